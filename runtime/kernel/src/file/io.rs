// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the bytes of a read go and those of a write come from.
//!
//! The memory manager implements both over user `iovec`s; [`VecSink`] and
//! [`SliceSource`] are the kernel's own buffers. A transfer that faults half way
//! reports the bytes before the fault, and `EFAULT` only when there are none.

use linux_abi::Errno;

/// Takes the bytes that a read produces.
pub trait IoSink {
    /// Room that is left.
    fn remaining(&self) -> usize;

    /// Takes a prefix of `data` and says how much.
    ///
    /// # Errors
    /// `EFAULT` when not even the first byte could be stored.
    fn put(&mut self, data: &[u8]) -> Result<usize, Errno>;
}

/// Gives the bytes that a write consumes.
pub trait IoSource {
    /// Bytes that are left.
    fn remaining(&self) -> usize;

    /// Fills a prefix of `buf` and says how much.
    ///
    /// # Errors
    /// `EFAULT` when not even the first byte could be fetched.
    fn get(&mut self, buf: &mut [u8]) -> Result<usize, Errno>;

    /// As `get`, and the bytes stay.
    ///
    /// # Errors
    /// As `get`.
    fn peek(&self, buf: &mut [u8]) -> Result<usize, Errno>;

    /// Consumes `count` bytes that were peeked at.
    fn skip(&mut self, count: usize);
}

/// A sink that collects into memory, up to a limit.
#[derive(Debug, Default)]
pub struct VecSink {
    data: Vec<u8>,
    limit: usize,
}

impl VecSink {
    /// A sink with room for `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            data: Vec::new(),
            limit,
        }
    }

    /// What was collected.
    #[must_use]
    pub fn into_inner(self) -> Vec<u8> {
        self.data
    }

    /// What was collected so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.data
    }
}

impl IoSink for VecSink {
    fn remaining(&self) -> usize {
        self.limit - self.data.len()
    }

    fn put(&mut self, data: &[u8]) -> Result<usize, Errno> {
        let n = data.len().min(self.remaining());
        self.data.extend_from_slice(&data[..n]);
        Ok(n)
    }
}

/// A source over a slice.
#[derive(Debug)]
pub struct SliceSource<'a>(pub &'a [u8]);

impl IoSource for SliceSource<'_> {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn get(&mut self, buf: &mut [u8]) -> Result<usize, Errno> {
        let n = self.peek(buf)?;
        self.skip(n);
        Ok(n)
    }

    fn peek(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        let n = buf.len().min(self.0.len());
        buf[..n].copy_from_slice(&self.0[..n]);
        Ok(n)
    }

    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}
