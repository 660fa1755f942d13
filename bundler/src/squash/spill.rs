// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scratch space for file contents between reading the layers and writing the
//! result.
//!
//! A spill is an unnamed temporary file that grows at its end; the operating
//! system removes it whatever happens to us. Holes of sparse files are not
//! written. [`Sources`] is what can be read back: spills, and layers that can be
//! read in place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const BUFFER: usize = 512 << 10;

/// A growing scratch file.
pub(crate) struct Spill {
    file: File,
    buffer: Vec<u8>,
    /// Where the buffer's first byte belongs.
    base: u64,
}

impl Spill {
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(dir)?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(BUFFER),
            base: 0,
        })
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
            if bytes.len() >= BUFFER / 8 {
                self.file.write_all_at(bytes, self.base)?;
                self.base += bytes.len() as u64;
                return Ok(());
            }
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Leaves a hole of `length` zeros.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<()> {
        self.flush()?;
        self.base = self
            .base
            .checked_add(length)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(())
    }

    /// The file, complete.
    pub(crate) fn finish(mut self) -> io::Result<File> {
        self.flush()?;
        // A hole at the end has no byte after it to make it real.
        self.file.set_len(self.base)?;
        Ok(self.file)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.base)?;
        self.base += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
