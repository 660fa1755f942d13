// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of a table of contents: docs/payload-format.md, "Table of contents".
//!
//! Integers are LEB128 in their shortest form, byte strings have their length
//! in front. Memory taken grows with the bytes actually there, never with a
//! number that the bytes claim.

use super::{
    Entry, Kind, MAX_ENCODED, MAX_ENTRIES, MAX_PATH, MAX_XATTR_VALUE, MAX_XATTRS, Timestamp,
    TocError,
};
use crate::Digest;

const MAGIC: &[u8; 8] = b"ELFTOC\x00\x01";
/// Bytes that every entry has at the least; bounds what a count may reserve.
const MIN_ENTRY: usize = 9;

pub(super) fn encode(entries: &[Entry]) -> Result<Vec<u8>, TocError> {
    let mut out = MAGIC.to_vec();
    put(&mut out, entries.len() as u64);
    for entry in entries {
        put_entry(&mut out, entry);
        if out.len() > MAX_ENCODED {
            return Err(TocError::TooLong(out.len()));
        }
    }
    Ok(out)
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(entry.kind.to_byte());
    put_bytes(out, &entry.path);
    for number in [entry.mode, entry.uid, entry.gid] {
        put(out, u64::from(number));
    }
    put(out, zigzag(entry.mtime.secs));
    put(out, u64::from(entry.mtime.nanos));
    put(out, entry.xattrs.len() as u64);
    for (name, value) in &entry.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
    match entry.kind {
        Kind::File => {
            put(out, entry.offset);
            put(out, entry.size);
            out.extend(entry.digest.iter().flat_map(Digest::as_bytes));
        }
        Kind::Symlink | Kind::Hardlink => put_bytes(out, &entry.link),
        Kind::CharDevice | Kind::BlockDevice => {
            put(out, u64::from(entry.device.0));
            put(out, u64::from(entry.device.1));
        }
        Kind::Dir | Kind::Fifo => {}
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

impl Kind {
    fn to_byte(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Dir => 1,
            Self::Symlink => 2,
            Self::Hardlink => 3,
            Self::CharDevice => 4,
            Self::BlockDevice => 5,
            Self::Fifo => 6,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::File,
            1 => Self::Dir,
            2 => Self::Symlink,
            3 => Self::Hardlink,
            4 => Self::CharDevice,
            5 => Self::BlockDevice,
            6 => Self::Fifo,
            _ => return None,
        })
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, TocError> {
    let mut cursor = Cursor {
        bytes,
        at: 0,
        xattrs_left: MAX_XATTRS,
    };
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(TocError::Encoding {
            offset: 0,
            what: "not a table of contents of version 1",
        });
    }
    let count = cursor.length(MAX_ENTRIES, "too many entries")?;
    let room = (bytes.len() - cursor.at) / MIN_ENTRY;
    let mut entries = Vec::with_capacity(count.min(room));
    for _ in 0..count {
        entries.push(cursor.entry()?);
    }
    if cursor.at != bytes.len() {
        return Err(cursor.wrong("bytes after the last entry"));
    }
    Ok(entries)
}

type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// An attribute takes far more memory than bytes here, so the table as a
    /// whole has a limit.
    xattrs_left: usize,
}

impl<'a> Cursor<'a> {
    fn wrong(&self, what: &'static str) -> TocError {
        TocError::Encoding {
            offset: self.at,
            what,
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TocError> {
        let rest = &self.bytes[self.at..];
        let taken = rest
            .get(..length)
            .ok_or_else(|| self.wrong("unexpected end"))?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, TocError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, TocError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.wrong("number too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift != 0 {
                    return Err(self.wrong("number not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(self.wrong("number too large"))
    }

    fn number32(&mut self) -> Result<u32, TocError> {
        u32::try_from(self.number()?).map_err(|_| self.wrong("number too large"))
    }

    fn length(&mut self, most: usize, what: &'static str) -> Result<usize, TocError> {
        let length = usize::try_from(self.number()?).ok();
        length
            .filter(|&length| length <= most)
            .ok_or_else(|| self.wrong(what))
    }

    fn string(&mut self, most: usize) -> Result<Vec<u8>, TocError> {
        let length = self.length(most, "byte string too long")?;
        Ok(self.take(length)?.to_vec())
    }

    fn entry(&mut self) -> Result<Entry, TocError> {
        let kind = Kind::from_byte(self.byte()?).ok_or_else(|| self.wrong("unknown kind"))?;
        let mut entry = Entry {
            path: self.string(MAX_PATH)?,
            kind,
            mode: self.number32()?,
            uid: self.number32()?,
            gid: self.number32()?,
            mtime: Timestamp {
                secs: unzigzag(self.number()?),
                nanos: self.number32()?,
            },
            xattrs: self.xattrs()?,
            link: Vec::new(),
            device: (0, 0),
            offset: 0,
            size: 0,
            digest: None,
        };
        match kind {
            Kind::File => {
                entry.offset = self.number()?;
                entry.size = self.number()?;
                entry.digest = Some(self.digest()?);
            }
            Kind::Symlink | Kind::Hardlink => entry.link = self.string(MAX_PATH)?,
            Kind::CharDevice | Kind::BlockDevice => {
                entry.device = (self.number32()?, self.number32()?);
            }
            Kind::Dir | Kind::Fifo => {}
        }
        Ok(entry)
    }

    fn xattrs(&mut self) -> Result<Xattrs, TocError> {
        let count = self.length(self.xattrs_left, "too many extended attributes")?;
        self.xattrs_left -= count;
        let mut xattrs = Vec::new();
        for _ in 0..count {
            xattrs.push((self.string(MAX_PATH)?, self.string(MAX_XATTR_VALUE)?));
        }
        Ok(xattrs)
    }

    fn digest(&mut self) -> Result<Digest, TocError> {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.take(32)?);
        Ok(Digest::from_bytes(bytes))
    }
}
