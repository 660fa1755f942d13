// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one form in which we write tar headers.
//!
//! POSIX ustar, with a pax header before it only for what ustar cannot hold, so
//! that the same tree always gives the same bytes and every tar can read them.
//! Normalised: no user or group names, no access or change times, device
//! numbers on devices only, names relative without `./`, directories with a
//! trailing slash, pax records in key order. docs/squash.md is the contract.

use base64::Engine as _;

use super::header::checksums;
use super::{BLOCK_LEN, padding};
use crate::squash::entry::{Meta, Timestamp};

/// The type of an entry as the header spells it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flag<'a> {
    File,
    /// The path of the first name of the same file.
    Hardlink(&'a [u8]),
    Symlink(&'a [u8]),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Dir,
    Fifo,
}

/// Everything the header tells about an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Relative path; empty for the root.
    pub(crate) path: &'a [u8],
    pub(crate) flag: Flag<'a>,
    pub(crate) meta: &'a Meta,
    pub(crate) mtime: Timestamp,
    /// Bytes of contents that follow; only files have any.
    pub(crate) size: u64,
}

/// Two zero blocks.
pub(crate) const END: [u8; 2 * BLOCK_LEN] = [0; 2 * BLOCK_LEN];

/// Name of the pax header's own entry, for readers that do not know pax.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// The largest values of 7 and 11 octal digits.
const MAX_7: u64 = 0o7_777_777;
const MAX_11: u64 = 0o77_777_777_777;

/// Appends the header, with a pax header before it when one is needed.
pub(crate) fn write_header(out: &mut Vec<u8>, head: &Head<'_>) {
    let name = archive_name(head);
    let link = match head.flag {
        Flag::Hardlink(target) | Flag::Symlink(target) => target,
        _ => &[],
    };
    let split = split_name(&name);
    let records = records(head, split.is_none().then_some(&name[..]), link);
    if !records.is_empty() {
        let mut block = Ustar::new(b'x', PAX_NAME, &[]);
        block.octal(124, 11, records.len() as u64);
        out.extend_from_slice(&block.finish());
        out.extend_from_slice(&records);
        pad(out, records.len() as u64);
    }
    let (prefix, base) = split.unwrap_or_else(|| (&[], &name[..100]));
    let mut block = Ustar::new(type_flag(head.flag), base, prefix);
    block.octal(100, 7, u64::from(head.meta.mode));
    block.octal(108, 7, clip(u64::from(head.meta.uid), MAX_7));
    block.octal(116, 7, clip(u64::from(head.meta.gid), MAX_7));
    block.octal(124, 11, clip(head.size, MAX_11));
    block.octal(
        136,
        11,
        u64::try_from(head.mtime.secs).map_or(0, |secs| clip(secs, MAX_11)),
    );
    if link.len() <= 100 {
        block.bytes(157, link);
    }
    if let Flag::CharDevice(major, minor) | Flag::BlockDevice(major, minor) = head.flag {
        block.octal(329, 7, u64::from(major));
        block.octal(337, 7, u64::from(minor));
    }
    out.extend_from_slice(&block.finish());
}

/// Appends zeros up to the block boundary after `len` bytes of contents.
pub(crate) fn pad(out: &mut Vec<u8>, len: u64) {
    const ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];
    let count = usize::try_from(padding(len)).unwrap_or(0);
    out.extend_from_slice(&ZEROS[..count]);
}

/// A value too large for its field is in the pax header; the field says zero.
fn clip(value: u64, max: u64) -> u64 {
    if value > max { 0 } else { value }
}

fn archive_name(head: &Head<'_>) -> Vec<u8> {
    match (head.flag, head.path) {
        (_, b"") => b"./".to_vec(),
        (Flag::Dir, path) => [path, b"/"].concat(),
        (_, path) => path.to_vec(),
    }
}

fn type_flag(flag: Flag<'_>) -> u8 {
    match flag {
        Flag::File => b'0',
        Flag::Hardlink(_) => b'1',
        Flag::Symlink(_) => b'2',
        Flag::CharDevice(..) => b'3',
        Flag::BlockDevice(..) => b'4',
        Flag::Dir => b'5',
        Flag::Fifo => b'6',
    }
}

/// Prefix and name such that each fits its field: the longest prefix that
/// ends at a slash. `None` when there is no such split.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= 100 {
        return Some((&[], name));
    }
    // The slash itself is in neither part, and the name may not be empty.
    let first = name.len() - 101;
    let last = (name.len() - 2).min(155);
    let slash = (first.max(1)..=last).rev().find(|&at| name[at] == b'/')?;
    Some((&name[..slash], &name[slash + 1..]))
}

fn records(head: &Head<'_>, long_name: Option<&[u8]>, link: &[u8]) -> Vec<u8> {
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| records.push((key.to_vec(), value.to_vec()));
    if let Some(name) = long_name {
        add(b"path", name);
    }
    if link.len() > 100 {
        add(b"linkpath", link);
    }
    for (key, id) in [(&b"uid"[..], head.meta.uid), (b"gid", head.meta.gid)] {
        if u64::from(id) > MAX_7 {
            add(key, id.to_string().as_bytes());
        }
    }
    if head.size > MAX_11 {
        add(b"size", head.size.to_string().as_bytes());
    }
    if head.mtime.nanos != 0 || u64::try_from(head.mtime.secs).map_or(true, |secs| secs > MAX_11) {
        add(b"mtime", time(head.mtime).as_bytes());
    }
    // Hard links share the attributes of the name that came first.
    if !matches!(head.flag, Flag::Hardlink(_)) {
        for (name, value) in &head.meta.xattrs {
            let (key, value) = xattr(name, value);
            add(&key, &value);
        }
    }
    records.sort_unstable();
    records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect()
}

/// An `=` would end the key, so such names take libarchive's encoded form.
fn xattr(name: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if !name.contains(&b'=') {
        return ([b"SCHILY.xattr.", name].concat(), value.to_vec());
    }
    let mut key = b"LIBARCHIVE.xattr.".to_vec();
    for &byte in name {
        if matches!(byte, b'=' | b'%') || !byte.is_ascii_graphic() {
            key.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            key.push(byte);
        }
    }
    (
        key,
        base64::engine::general_purpose::STANDARD_NO_PAD
            .encode(value)
            .into_bytes(),
    )
}

/// `"<length> <key>=<value>\n"`, the length counting its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// `[-]seconds[.fraction]` without trailing zeros.
fn time(at: Timestamp) -> String {
    let Timestamp { secs, nanos } = at;
    if nanos == 0 {
        return secs.to_string();
    }
    // -1.5 is stored as -2 and half a second on top.
    let (sign, whole, fraction) = if secs < 0 {
        ("-", (secs + 1).unsigned_abs(), 1_000_000_000 - nanos)
    } else {
        ("", secs.unsigned_abs(), nanos)
    };
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').to_owned()
}

/// A ustar block under construction.
struct Ustar([u8; BLOCK_LEN]);

impl Ustar {
    fn new(flag: u8, name: &[u8], prefix: &[u8]) -> Self {
        let mut block = Self([0; BLOCK_LEN]);
        block.bytes(0, name);
        block.octal(100, 7, 0o644);
        for field in [108, 116, 329, 337] {
            block.octal(field, 7, 0);
        }
        block.octal(124, 11, 0);
        block.octal(136, 11, 0);
        block.0[156] = flag;
        block.bytes(257, b"ustar\x0000");
        block.bytes(345, prefix);
        block
    }

    fn bytes(&mut self, at: usize, value: &[u8]) {
        self.0[at..at + value.len()].copy_from_slice(value);
    }

    /// `digits` octal digits; the NUL after them is there already.
    fn octal(&mut self, at: usize, digits: usize, value: u64) {
        for place in 0..digits {
            let digit = (value >> (3 * (digits - 1 - place))) & 7;
            self.0[at + place] = b"01234567"[usize::try_from(digit).unwrap_or(0)];
        }
    }

    fn finish(mut self) -> [u8; BLOCK_LEN] {
        let (sum, _) = checksums(&self.0);
        self.octal(148, 6, u64::from(sum));
        self.bytes(154, b"\0 ");
        self.0
    }
}
