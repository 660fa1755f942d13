// SPDX-License-Identifier: MIT OR Apache-2.0
//! Downloads in progress.
//!
//! An [`Ingest`] is a file in `ingest/` named by the digest it will have. It is
//! locked while in use, so two runs that want the same blob fetch it once: the
//! second waits and then finds it. What an interrupted run received stays and
//! is continued, after its digest was computed again from the bytes on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use elfuse_payload::{Digest, Sha256Stream};
use rustix::fs::{FlockOperation, flock};

use super::{Store, StoreError};
use crate::image::BlobHandle;

/// A blob on its way into the store.
#[derive(Debug)]
pub struct Ingest<'a> {
    store: &'a Store,
    digest: Digest,
    size: u64,
    path: PathBuf,
    file: File,
    received: Sha256Stream,
}

impl Store {
    /// Begins or continues a blob; `None` if it is complete, perhaps because
    /// another run finished it while this one waited.
    ///
    /// # Errors
    /// The host refused.
    pub fn ingest(&self, digest: Digest, size: u64) -> Result<Option<Ingest<'_>>, StoreError> {
        let path = self.root.join("ingest").join(digest.hex());
        let failed = |source| StoreError::io("open", &path, source);
        loop {
            if self.blob(&digest, size).is_some() {
                return Ok(None);
            }
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).map_err(failed)?;
            flock(&file, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
            // While waiting the file may have become the blob.
            if !is_still(&path, &file) {
                continue;
            }
            // Or it had become the blob already, and opening made a new one.
            if self.blob(&digest, size).is_some() {
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            let mut received = Sha256Stream::new();
            if file.metadata().map_err(failed)?.len() > size {
                file.set_len(0).map_err(failed)?;
            }
            io::copy(&mut (&mut file).take(size), &mut received).map_err(failed)?;
            return Ok(Some(Ingest {
                store: self,
                digest,
                size,
                path,
                file,
                received,
            }));
        }
    }
}

fn is_still(path: &std::path::Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(named), Ok(open)) = (fs::metadata(path), file.metadata()) else {
        return false;
    };
    named.ino() == open.ino() && named.dev() == open.dev()
}

impl Ingest<'_> {
    /// How many bytes are there already: where to continue.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.length()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The host refused, or the blob has fewer.
    pub fn keep(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let kept = self.write_all(bytes);
        kept.map_err(|source| StoreError::io("write", &self.path, source))
    }

    /// Throws away what was received, for a source that cannot continue.
    ///
    /// # Errors
    /// The host refused.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.received = Sha256Stream::new();
        let cleared = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cleared
            .map(drop)
            .map_err(|source| StoreError::io("write", &self.path, source))
    }

    /// Puts the blob into the store, if its size and digest are right. A blob
    /// that is too short stays for another try, a wrong one is thrown away.
    ///
    /// # Errors
    /// [`StoreError::Size`], [`StoreError::Content`], or the host's.
    pub fn finish(self) -> Result<BlobHandle, StoreError> {
        let Self {
            store,
            digest,
            size,
            path,
            file,
            received,
        } = self;
        let actual = received.length();
        if actual != size {
            return Err(StoreError::Size {
                digest,
                expected: size,
                actual,
            });
        }
        let actual = received.finish();
        if actual != digest {
            // Fails only if it is gone already.
            let _ = fs::remove_file(&path);
            return Err(StoreError::Content {
                expected: digest,
                actual,
            });
        }
        file.sync_data()
            .map_err(|source| StoreError::io("write", &path, source))?;
        let blob = store.blob_path(&digest);
        fs::rename(&path, &blob).map_err(|source| StoreError::io("rename", &path, source))?;
        Ok(BlobHandle::from_path(blob))
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A source that sends more than it said is cut off here.
        if self.received.length() + bytes.len() as u64 > self.size {
            return Err(io::Error::other("more bytes than the blob has"));
        }
        let n = self.file.write(bytes)?;
        self.received.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
