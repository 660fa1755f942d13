// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files by name, in a directory or in an archive, and their digests, several
//! at once.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use elfuse_payload::{Digest, Sha256Stream};

use super::SourceError;
use crate::image::{BlobHandle, ImageError, MAX_DOCUMENT};

/// Where the files of an image are found by name.
pub(super) trait Files: Sync {
    /// A regular file and its length.
    ///
    /// # Errors
    /// It is not there, is something else, or cannot be read.
    fn file(&self, name: &str) -> Result<(BlobHandle, u64), SourceError>;

    /// The directory or archive, for messages.
    fn path(&self) -> &Path;

    /// A small file's bytes.
    ///
    /// # Errors
    /// As [`Files::file`], or it is too large for a document.
    fn document(&self, name: &str) -> Result<Vec<u8>, SourceError> {
        let (blob, size) = self.file(name)?;
        let path = self.path().join(name);
        if size > MAX_DOCUMENT {
            return Err(SourceError::format(path, "too large for a document"));
        }
        let mut bytes = Vec::new();
        blob.open()
            .and_then(|file| file.take(MAX_DOCUMENT).read_to_end(&mut bytes))
            .map_err(|source| SourceError::io("read", path, source))?;
        Ok(bytes)
    }
}

/// A directory.
#[derive(Debug)]
pub(super) struct Dir(pub(super) PathBuf);

impl Files for Dir {
    fn file(&self, name: &str) -> Result<(BlobHandle, u64), SourceError> {
        let path = self.0.join(name);
        let meta = fs::metadata(&path).map_err(|source| SourceError::io("open", &path, source))?;
        if !meta.is_file() {
            return Err(SourceError::format(path, "not a regular file"));
        }
        Ok((BlobHandle::from_path(path), meta.len()))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// A layer's file of the right size. Its digest is checked by whoever reads it
/// all, which is the squash, and only if no earlier result can be used.
pub(super) fn layer(
    files: &dyn Files,
    name: &str,
    digest: Digest,
    expected: u64,
) -> Result<BlobHandle, SourceError> {
    let (blob, actual) = files.file(name)?;
    if actual == expected {
        return Ok(blob);
    }
    Err(ImageError::Size {
        digest,
        expected,
        actual,
    }
    .into())
}

/// Does `work` for each item on `threads` threads; stops at the first error.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, SourceError> + Sync,
) -> Result<Vec<R>, SourceError> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return Ok(done);
            };
            let result = work(item);
            // Nobody takes up another item after an error.
            let result = result.inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            done.push((index, result));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let count = threads.clamp(1, items.len().max(1));
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(run)).collect();
        let mut all = Vec::new();
        for worker in workers {
            let done: Result<Vec<_>, SourceError> = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.extend(done?);
        }
        Ok::<_, SourceError>(all)
    })?;
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// Reads a blob to its end: its digest and length.
pub(super) fn digest(
    blob: &BlobHandle,
    path: &Path,
    advance: &dyn Fn(u64),
) -> Result<(Digest, u64), SourceError> {
    let failed = |source| SourceError::io("read", path, source);
    let mut file = blob.open().map_err(failed)?;
    let mut stream = Sha256Stream::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        stream.update(&buffer[..count]);
        advance(count as u64);
    }
    let length = stream.length();
    Ok((stream.finish(), length))
}
