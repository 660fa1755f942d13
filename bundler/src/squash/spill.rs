// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scratch space for file contents between reading the layers and writing the
//! result.
//!
//! A [`Spill`] is an unnamed temporary file that grows at its end; the operating
//! system removes it whatever happens to us. Holes of sparse files are not
//! written. [`Spilled`] is the finished file, from which everything is read at
//! most once: what has been read is given back to the host on the way, which
//! then need not find new memory for the result.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::host;

const BUFFER: usize = 512 << 10;

/// Bytes that are given back at once; fewer are not worth a system call.
const RELEASE: u64 = 4 << 20;

/// What a host's pages and blocks divide.
const UNIT: u64 = 64 << 10;

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
    pub(crate) fn finish(mut self) -> io::Result<Spilled> {
        self.flush()?;
        // A hole at the end has no byte after it to make it real.
        self.file.set_len(self.base)?;
        Ok(Spilled {
            file: self.file,
            spent: 0..0,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.base)?;
        self.base += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// A scratch file to be read.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: File,
    /// What was read and not given back.
    spent: Range<u64>,
}

impl Spilled {
    /// Reads bytes, for the only time.
    pub(crate) fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)?;
        if self.spent.end != offset {
            self.release();
            self.spent.start = offset;
        }
        self.spent.end = offset + buffer.len() as u64;
        if self.spent.end - self.spent.start >= RELEASE {
            self.release();
        }
        Ok(())
    }

    /// Gives back the whole units of what is spent.
    fn release(&mut self) {
        let start = self.spent.start.next_multiple_of(UNIT);
        let end = self.spent.end - self.spent.end % UNIT;
        if start < end {
            host::punch_hole(&self.file, start..end);
            self.spent.start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_was_written_in_any_order() {
        let mut spill = Spill::create(&std::env::temp_dir()).expect("a file");
        let length = 3 * RELEASE + 12_345;
        let byte = |at: u64| u8::try_from(at * 31 % 251).expect("below 251");
        let all: Vec<u8> = (0..length).map(byte).collect();
        for piece in all.chunks(100_000) {
            spill.write(piece).expect("room");
        }
        let mut spilled = spill.finish().expect("room");
        // Neighbours first, then what they jumped over.
        let part = RELEASE / 2 + 777;
        let parts = length.div_ceil(part);
        let order = (0..parts).filter(|n| n % 3 != 1);
        for number in order.chain((0..parts).filter(|n| n % 3 == 1)) {
            let range = number * part..length.min((number + 1) * part);
            let mut read = vec![0; usize::try_from(range.end - range.start).expect("small")];
            let result = spilled.read_exact_at(&mut read, range.start);
            result.expect("bytes that were not read yet");
            assert!(range.map(byte).eq(read), "part {number}");
        }
    }
}
