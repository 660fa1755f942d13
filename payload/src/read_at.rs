// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random access to bytes: a part of a file, or memory in tests.
//!
//! Payload readers are written against [`ReadAt`], so that the same code reads
//! the segment of a running program, a bundle on disk and a test's vector.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that can be read at any offset, from any thread, without a cursor.
pub trait ReadAt: Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 means the end.
    ///
    /// # Errors
    /// What the host's read said.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The number of bytes there are.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if there are not enough bytes, or what the read said.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buf, offset)
    }

    fn size(&self) -> u64 {
        (**self).size()
    }
}

impl ReadAt for &'static [u8] {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..));
        let rest = rest.unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..));
        let rest = rest.unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// `len` bytes of another reader from `start` on.
#[derive(Clone)]
pub struct Range {
    inner: Arc<dyn ReadAt>,
    start: u64,
    len: u64,
}

impl Range {
    /// The part of `inner` that begins at `start`; `None` if it is not all there.
    #[must_use]
    pub fn new(inner: Arc<dyn ReadAt>, start: u64, len: u64) -> Option<Self> {
        (start.checked_add(len)? <= inner.size()).then_some(Self { inner, start, len })
    }
}

impl ReadAt for Range {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = within(self.len, buf.len(), offset);
        if n == 0 {
            return Ok(0);
        }
        self.inner.read_at(&mut buf[..n], self.start + offset)
    }

    fn size(&self) -> u64 {
        self.len
    }
}

/// `len` bytes of a file from `start` on. The file may be shared: reading
/// moves no cursor.
#[derive(Debug, Clone)]
pub struct FileRange {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl FileRange {
    /// The part of `file` that begins at `start`.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before the part does, or what `fstat` said.
    pub fn new(file: Arc<File>, start: u64, len: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        if start.checked_add(len).is_none_or(|end| end > size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { file, start, len })
    }

    /// The whole of a file, as long as it is now.
    ///
    /// # Errors
    /// What `fstat` said.
    pub fn whole(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            start: 0,
            len,
        })
    }
}

impl ReadAt for FileRange {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = within(self.len, buf.len(), offset);
        if n == 0 {
            return Ok(0);
        }
        self.file.read_at(&mut buf[..n], self.start + offset)
    }

    fn size(&self) -> u64 {
        self.len
    }
}

/// How much of a read of `wanted` bytes at `offset` lies within `len` bytes.
fn within(len: u64, wanted: usize, offset: u64) -> usize {
    let left = len.saturating_sub(offset);
    usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_ends_where_it_was_told() {
        let range = Range::new(Arc::new(b"0123456789".to_vec()), 2, 3).unwrap();
        let mut buf = [0; 8];
        assert_eq!(range.read_at(&mut buf, 1).unwrap(), 2);
        assert_eq!(&buf[..2], b"34");
        assert_eq!(range.read_at(&mut buf, 3).unwrap(), 0);
        assert!(range.read_exact_at(&mut buf[..4], 0).is_err());
    }

    #[test]
    fn range_outside_is_none() {
        assert!(Range::new(Arc::new(vec![0; 4]), 3, 2).is_none());
        assert!(Range::new(Arc::new(vec![0; 4]), u64::MAX, 2).is_none());
    }

    #[test]
    fn file_range_is_checked_against_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"0123456789").unwrap();
        let file = Arc::new(file);
        let range = FileRange::new(Arc::clone(&file), 8, 2).unwrap();
        let mut buf = [0; 2];
        range.read_exact_at(&mut buf, 0).unwrap();
        assert_eq!(&buf, b"89");
        assert!(FileRange::new(Arc::clone(&file), 8, 3).is_err());
        assert!(FileRange::new(file, u64::MAX, 2).is_err());
    }
}
