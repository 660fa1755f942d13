// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the readers of rpm's three kinds of databases share: numbers in either
//! byte order, pages that are read once each, and errors that say where.
//!
//! A reader hands every record to a [`Record`] as it comes, so that it keeps
//! one in memory. None is longer than [`MAX_RECORD`], whatever the file says.

use std::collections::HashSet;
use std::io;

use elfuse_payload::ReadAt;

use super::invalid;

/// A record longer than this is refused.
pub(super) const MAX_RECORD: usize = 64 << 20;

/// Takes the header of one package.
pub(super) type Record<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// How numbers lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> io::Result<u16> {
        let found = fixed(bytes, at)?;
        Ok(match self {
            Self::Little => u16::from_le_bytes(found),
            Self::Big => u16::from_be_bytes(found),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> io::Result<u32> {
        let found = fixed(bytes, at)?;
        Ok(match self {
            Self::Little => u32::from_le_bytes(found),
            Self::Big => u32::from_be_bytes(found),
        })
    }

    /// The first words of some bytes.
    pub(super) fn words<const N: usize>(self, bytes: &[u8]) -> io::Result<[u32; N]> {
        let mut words = [0; N];
        for (n, word) in words.iter_mut().enumerate() {
            *word = self.u32(bytes, 4 * n)?;
        }
        Ok(words)
    }
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().ok_or_else(cut)
}

/// The pages of a file, counted from 0. Each is given out once: what leads
/// back to itself ends.
pub(super) struct Pages<'f, R> {
    file: &'f R,
    size: usize,
    seen: HashSet<u32>,
}

impl<'f, R: ReadAt> Pages<'f, R> {
    pub(super) fn new(file: &'f R, size: usize) -> Self {
        Self {
            file,
            size,
            seen: HashSet::new(),
        }
    }

    pub(super) fn take(&mut self, number: u32) -> io::Result<Vec<u8>> {
        if !self.seen.insert(number) {
            return Err(invalid("it is used twice"));
        }
        let mut page = vec![0; self.size];
        let offset = u64::from(number) * self.size as u64;
        self.file.read_exact_at(&mut page, offset)?;
        Ok(page)
    }
}

/// Says where an error is: `page 7: unexpected end of file`.
pub(super) fn at(place: &str, number: impl Into<u64>) -> impl FnOnce(io::Error) -> io::Error {
    let number = number.into();
    move |error| io::Error::new(error.kind(), format!("{place} {number}: {error}"))
}

pub(super) fn cut() -> io::Error {
    invalid("it ends too early")
}
