// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the packages of rpm's own database format, ndb.
//!
//! `Packages.db` begins with a header and slots, in pages of 4 KiB; each slot
//! that is in use says where the blob of a package lies, in blocks of 16 bytes
//! (rpm 4.18, `lib/backend/ndb/rpmpkg.c`). The checksum of a blob is compared,
//! which rpm itself only does on `rpmdb --verifydb`. As blobs must not overlap,
//! all of them together are not longer than the file.

use std::io;

use elfuse_payload::ReadAt;

use super::pages::{MAX_RECORD, Order, Pages, Record, at, cut};
use super::{MAX_PACKAGES, invalid};

const HEADER_MAGIC: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT_MAGIC: u32 = u32::from_le_bytes(*b"Slot");
const HEAD_MAGIC: u32 = u32::from_le_bytes(*b"BlbS");
const TAIL_MAGIC: u32 = u32::from_le_bytes(*b"BlbE");
const VERSION: u32 = 0;

const PAGE: usize = 4096;
/// Of a slot, and the unit of lengths and places of blobs.
const BLOCK: usize = 16;
/// Blocks at the file's beginning that are no slots.
const HEADER: usize = 2;
const HEAD: usize = 16;
const TAIL: usize = 12;
/// The byte order of the format.
const ORDER: Order = Order::Little;

/// Where a blob lies, in blocks, and of which package it is.
struct Slot {
    number: u64,
    package: u32,
    start: u64,
    end: u64,
}

/// Hands every package's header to `record`, in the order of the file.
pub(super) fn scan(file: &impl ReadAt, record: Record<'_>) -> io::Result<()> {
    let mut header = [0; HEADER * BLOCK];
    file.read_exact_at(&mut header, 0)?;
    let [magic, version, _generation, pages] = ORDER.words(&header)?;
    if magic != HEADER_MAGIC {
        return Err(invalid("not an ndb database"));
    }
    if version != VERSION || pages == 0 {
        return Err(invalid("its header is of an unknown version or damaged"));
    }
    let mut slots = slots(file, pages)?;
    slots.sort_unstable_by_key(|slot| slot.start);
    let mut free = u64::from(pages) * (PAGE / BLOCK) as u64;
    for slot in slots {
        if slot.start < free {
            return Err(at("slot", slot.number)(invalid("its blob is not its own")));
        }
        free = slot.end;
        let blob = blob(file, &slot).and_then(|blob| record(&blob[HEAD..]));
        blob.map_err(at("slot", slot.number))?;
    }
    Ok(())
}

/// The slots that are in use.
fn slots(file: &impl ReadAt, count: u32) -> io::Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut pages = Pages::new(file, PAGE);
    for number in 0..count {
        let page = pages.take(number).map_err(at("page", number))?;
        let first = if number == 0 { HEADER } else { 0 };
        let blocks = page.as_chunks::<BLOCK>().0.iter();
        for (n, block) in blocks.enumerate().skip(first) {
            let number = u64::from(number) * (PAGE / BLOCK) as u64 + n as u64;
            let [magic, package, start, count] = ORDER.words(block)?;
            if [magic, package, start, count] == [SLOT_MAGIC, 0, 0, 0] {
                continue;
            }
            if magic != SLOT_MAGIC || package == 0 || start == 0 {
                return Err(at("slot", number)(invalid("it is damaged")));
            }
            if slots.len() == MAX_PACKAGES {
                return Err(invalid("too many packages"));
            }
            slots.push(Slot {
                number,
                package,
                start: u64::from(start),
                end: u64::from(start) + u64::from(count),
            });
        }
    }
    Ok(slots)
}

/// A blob without its tail and padding.
fn blob(file: &impl ReadAt, slot: &Slot) -> io::Result<Vec<u8>> {
    let place = slot.start * BLOCK as u64;
    let length = (slot.end - slot.start) * BLOCK as u64;
    if place + length > file.size() {
        return Err(cut());
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_RECORD {
        return Err(invalid("its blob is longer than 64 MiB"));
    }
    let mut blob = vec![0; length];
    file.read_exact_at(&mut blob, place)?;
    let tail = length.checked_sub(TAIL).ok_or_else(cut)?;
    let [head, package, _time, size] = ORDER.words(&blob)?;
    let [sum, again, end] = ORDER.words(&blob[tail..])?;
    let used = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(HEAD);
    let is_whole = head == HEAD_MAGIC
        && end == TAIL_MAGIC
        && package == slot.package
        && size == again
        && used.saturating_add(TAIL).div_ceil(BLOCK) == length / BLOCK;
    if !is_whole {
        return Err(invalid("its blob is damaged"));
    }
    if adler2::adler32_slice(&blob[..tail]) != sum {
        return Err(invalid("its blob has another checksum"));
    }
    blob.truncate(used);
    Ok(blob)
}
