// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares a layer's tar with its table of contents as the tar streams by.
//!
//! The table decides what our runtime sees, the tar what every other tool sees;
//! a bundle in which they differ would be two images. The tar has one form, so
//! [`HeaderCheck`] writes each header again from the table and compares bytes.
//! One header is in memory at a time; contents are passed over, their digests
//! are the caller's business. The caller is the verification of a bundle.

use elfuse_payload::reader::{TarCheck, TarMismatch};
use elfuse_payload::toc::{Entry, Kind};

use super::writer::{END, Flag, Head, pad, write_header};
use crate::squash::entry::Meta;

/// Where the stream is, and what must come next.
#[derive(Debug, Default)]
pub(crate) struct HeaderCheck {
    /// Padding and header that must come next, and how much of it has come.
    expected: Vec<u8>,
    matched: usize,
    /// Contents that follow it, then their padding.
    contents: u64,
    padding_for: u64,
    /// Offset in the tar of the next byte.
    position: u64,
    /// Entries whose headers were made.
    made: usize,
    is_ended: bool,
}

impl TarCheck for HeaderCheck {
    fn data(&mut self, entries: &[Entry], mut data: &[u8]) -> Result<(), TarMismatch> {
        while !data.is_empty() {
            if self.matched == self.expected.len() && self.contents == 0 {
                self.make(entries)?;
            }
            data = self.compare(data)?;
            let left = usize::try_from(self.contents).unwrap_or(usize::MAX);
            let passed = data.len().min(left);
            data = &data[passed..];
            self.contents -= passed as u64;
            self.position += passed as u64;
        }
        Ok(())
    }

    fn finish(&mut self, entries: &[Entry]) -> Result<(), TarMismatch> {
        let is_complete = self.matched == self.expected.len() && self.contents == 0;
        if is_complete && self.is_ended && self.made == entries.len() {
            Ok(())
        } else {
            Err(self.mismatch())
        }
    }
}

impl HeaderCheck {
    /// Makes what must come after the contents that ended here.
    fn make(&mut self, entries: &[Entry]) -> Result<(), TarMismatch> {
        self.expected.clear();
        self.matched = 0;
        pad(&mut self.expected, std::mem::take(&mut self.padding_for));
        let Some(entry) = entries.get(self.made) else {
            if self.is_ended {
                return Err(self.mismatch());
            }
            self.is_ended = true;
            self.expected.extend_from_slice(&END);
            return Ok(());
        };
        self.made += 1;
        header(&mut self.expected, entry);
        let contents_at = self.position + self.expected.len() as u64;
        if entry.kind == Kind::File && entry.offset != contents_at {
            return Err(self.mismatch());
        }
        self.contents = entry.size;
        self.padding_for = entry.size;
        Ok(())
    }

    /// Compares what there is with what must come; returns the rest.
    fn compare<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], TarMismatch> {
        let wanted = &self.expected[self.matched..];
        let (now, rest) = data.split_at(data.len().min(wanted.len()));
        if now != &wanted[..now.len()] {
            return Err(self.mismatch());
        }
        self.matched += now.len();
        self.position += now.len() as u64;
        Ok(rest)
    }

    /// The last header made is the one at fault, or the end.
    fn mismatch(&self) -> TarMismatch {
        TarMismatch {
            entry: (!self.is_ended).then_some(self.made.saturating_sub(1)),
            offset: self.position,
        }
    }
}

fn header(out: &mut Vec<u8>, entry: &Entry) {
    let meta = Meta {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        xattrs: entry.xattrs.iter().cloned().collect(),
    };
    let flag = match entry.kind {
        Kind::File => Flag::File,
        Kind::Dir => Flag::Dir,
        Kind::Symlink => Flag::Symlink(&entry.link),
        Kind::Hardlink => Flag::Hardlink(&entry.link),
        Kind::CharDevice => Flag::CharDevice(entry.device.0, entry.device.1),
        Kind::BlockDevice => Flag::BlockDevice(entry.device.0, entry.device.1),
        Kind::Fifo => Flag::Fifo,
    };
    let head = Head {
        path: &entry.path,
        flag,
        meta: &meta,
        mtime: entry.mtime,
        size: entry.size,
    };
    write_header(out, &head);
}
