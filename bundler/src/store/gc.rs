// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the store holds, and making it smaller.
//!
//! Pruning takes the store's lock alone, so it waits for nobody and harms
//! nobody: while any other run has the store open it is refused.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use elfuse_runs::spare::Spare;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::{Store, StoreError};

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its directory.
    pub path: PathBuf,
    /// Number of blobs.
    pub blobs: u64,
    /// Bytes of the blobs.
    pub blob_bytes: u64,
    /// Number of squashed layers.
    pub derived: u64,
    /// Bytes of the squashed layers.
    pub derived_bytes: u64,
    /// Number of downloads in progress or interrupted.
    pub partial: u64,
    /// Bytes of those.
    pub partial_bytes: u64,
    /// Number of pinned tags.
    pub pins: u64,
}

/// What pruning did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Files removed.
    pub files: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Bytes left.
    pub kept_bytes: u64,
}

struct Stored {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Store {
    /// Counts what is here.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn status(&self) -> Result<Status, StoreError> {
        let sum = |files: &[Stored]| (files.len() as u64, files.iter().map(|f| f.size).sum());
        let (blobs, blob_bytes) = sum(&self.files("blobs/sha256")?);
        let (derived, derived_bytes) = sum(&self.files("derived")?);
        let (partial, partial_bytes) = sum(&self.files("ingest")?);
        let pins = self.pins()?.len() as u64;
        let path = self.root.clone();
        Ok(Status {
            path,
            blobs,
            blob_bytes,
            derived,
            derived_bytes,
            partial,
            partial_bytes,
            pins,
        })
    }

    /// Removes what `spare` does not spare. Interrupted downloads and forgotten
    /// scratch files always go.
    ///
    /// # Errors
    /// Another run has the store open, or the host refused.
    pub fn prune(self, spare: Spare) -> Result<Pruned, StoreError> {
        let busy = |error: rustix::io::Errno| {
            let source = io::Error::from(error);
            StoreError::io("prune (another run is using it)", &self.root, source)
        };
        flock(&self._lock, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        let mut pruned = Pruned::default();
        for dir in ["ingest", "scratch"] {
            for file in self.files(dir)? {
                pruned.remove(&file)?;
            }
        }
        let mut kept = self.files("blobs/sha256")?;
        kept.extend(self.files("derived")?);
        kept.sort_by_key(|file| file.used);
        let mut left: u64 = kept.iter().map(|file| file.size).sum();
        for file in kept {
            let age = file.used.elapsed().unwrap_or_default();
            if !spare.spares(age, left) {
                pruned.remove(&file)?;
                left -= file.size;
            }
        }
        self.drop_dangling_pins()?;
        pruned.kept_bytes = left;
        Ok(pruned)
    }

    /// A pin whose document is gone would only mislead.
    fn drop_dangling_pins(&self) -> Result<(), StoreError> {
        for pin in self.pins()? {
            if !self.blob_path(&pin.digest).exists() {
                let path = self.pin_path(&pin.reference);
                fs::remove_file(&path).map_err(|source| StoreError::io("remove", path, source))?;
            }
        }
        Ok(())
    }

    fn files(&self, dir: &str) -> Result<Vec<Stored>, StoreError> {
        let dir = self.root.join(dir);
        let failed = |source| StoreError::io("read", &dir, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A file that vanishes meanwhile is not there.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() {
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.push(Stored {
                    path: entry.path(),
                    size: meta.len(),
                    used,
                });
            }
        }
        Ok(files)
    }
}

impl Pruned {
    fn remove(&mut self, file: &Stored) -> Result<(), StoreError> {
        fs::remove_file(&file.path)
            .map_err(|source| StoreError::io("remove", &file.path, source))?;
        self.files += 1;
        self.bytes += file.size;
        Ok(())
    }
}
