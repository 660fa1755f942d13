// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local content-addressed store of blobs, in OCI layout.
//!
//! `blobs/sha256/HEX` holds verified blobs, and is with `index.json` and
//! `oci-layout` a layout that other tools read. `ingest/` holds downloads in
//! progress, `derived/` squashed layers by what they were made of, `refs/` the
//! digests that tags were found to point at. Every file appears by rename when
//! it is complete, so a run killed at any moment leaves a store that the next
//! one uses. `lock` is held shared by every run and exclusively by pruning.

mod error;
mod gc;
mod ingest;
mod refs;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use elfuse_payload::Digest;
use rustix::fs::{FlockOperation, flock};

pub use error::StoreError;
pub use gc::{Pruned, Status};
pub use ingest::Ingest;
pub use refs::Pin;

use crate::image::BlobHandle;
use crate::squash::cache::DirCache;

const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
const EMPTY_INDEX: &str = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";

/// An open store. Blobs in it are not pruned while it is open.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Holds the shared lock.
    _lock: File,
}

impl Store {
    /// Opens the store, made if missing: in `path`, or else in the user's cache
    /// directory (`XDG_CACHE_HOME`, or `~/Library/Caches` on a Mac).
    ///
    /// # Errors
    /// The directories cannot be made, or no home directory is known.
    pub fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let root = match path {
            Some(path) => path.to_path_buf(),
            None => default_root(|name| std::env::var_os(name)).ok_or(StoreError::NoHome)?,
        };
        for dir in ["blobs/sha256", "ingest", "derived", "refs", "scratch"] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).map_err(|source| StoreError::io("make", dir, source))?;
        }
        let lock = lock_file(&root)?;
        // While nobody else is here, scratch files belong to runs that were killed.
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            clear(&root.join("scratch"));
        }
        flock(&lock, FlockOperation::LockShared)
            .map_err(|source| StoreError::io("lock", root.join("lock"), source.into()))?;
        let store = Self { root, _lock: lock };
        store.write_once("oci-layout", LAYOUT)?;
        store.write_once("index.json", EMPTY_INDEX)?;
        Ok(store)
    }

    /// The store's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where large temporary files may live; on the store's file system.
    #[must_use]
    pub fn scratch_dir(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Squashed layers kept from earlier runs.
    #[must_use]
    pub fn layer_cache(&self) -> DirCache {
        DirCache::new(self.root.join("derived"), self.scratch_dir())
    }

    /// Where a blob is or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// A blob of that size, if it is here; its time of last use becomes now.
    #[must_use]
    pub fn blob(&self, digest: &Digest, size: u64) -> Option<BlobHandle> {
        let path = self.blob_path(digest);
        let meta = fs::metadata(&path).ok()?;
        if !meta.is_file() || meta.len() != size {
            return None;
        }
        // Only pruning reads the time: a store that cannot be touched still works.
        let _ = File::open(&path).and_then(|file| file.set_modified(std::time::SystemTime::now()));
        Some(BlobHandle::from_path(path))
    }

    /// The bytes of a small blob, if it is here and still has its digest.
    #[must_use]
    pub fn document(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.blob_path(digest);
        let small = fs::metadata(&path).ok()?.len() <= crate::image::MAX_DOCUMENT;
        let bytes = small.then(|| fs::read(&path).ok()).flatten()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    /// Keeps a small blob.
    ///
    /// # Errors
    /// The host refused the write.
    pub fn put_document(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.write_atomically(&self.blob_path(&digest), bytes)?;
        Ok(digest)
    }

    fn write_once(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let path = self.root.join(name);
        if path.exists() {
            Ok(())
        } else {
            self.write_atomically(&path, text.as_bytes())
        }
    }

    fn write_atomically(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::io("write", path, source);
        let mut file = tempfile::NamedTempFile::new_in(self.scratch_dir()).map_err(failed)?;
        io::Write::write_all(&mut file, bytes).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Removes the files of a directory. One that cannot be removed only takes room.
fn clear(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let _ = fs::remove_file(file.path());
    }
}

fn lock_file(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| StoreError::io("open", path, source))
}

/// The default directory, by the host's own convention.
fn default_root(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = cache.or_else(|| {
        let mac = cfg!(target_vendor = "apple");
        Some(set("HOME")?.join(if mac { "Library/Caches" } else { ".cache" }))
    });
    Some(cache?.join("elfuse-bundle"))
}

#[cfg(test)]
mod tests;
