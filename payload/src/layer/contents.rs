// SPDX-License-Identifier: MIT OR Apache-2.0
//! The skippable frame that carries the table of contents.
//!
//! Skippable header (8) | `ELFTOCFR` (8) | length of the encoded table (8) | its
//! sha256 (32) | the encoded table as one Zstandard frame. Decompression stops
//! at the declared length, which is bounded.

use std::io;

use zstd::bulk::Decompressor;
use zstd::zstd_safe::{CParameter, find_frame_compressed_size};

use crate::Digest;
use crate::seekable::SKIPPABLE_HEADER;
use crate::toc::MAX_ENCODED;

const SKIPPABLE_MAGIC: u32 = 0x184D_2A5D;
const MAGIC: &[u8; 8] = b"ELFTOCFR";
const HEADER: usize = SKIPPABLE_HEADER + 48;
/// High enough to gain, low enough not to be noticed beside the contents.
const LEVEL: i32 = 9;

/// Wraps an encoded table in its frame.
pub(super) fn encode(table: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let compressed = compressor.compress(table)?;
    let length = HEADER - SKIPPABLE_HEADER + compressed.len();
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut frame = Vec::with_capacity(HEADER + compressed.len());
    frame.extend(SKIPPABLE_MAGIC.to_le_bytes());
    frame.extend(length.to_le_bytes());
    frame.extend(MAGIC);
    frame.extend((table.len() as u64).to_le_bytes());
    frame.extend(Digest::of(table).as_bytes());
    frame.extend(compressed);
    Ok(frame)
}

/// Takes the encoded table out of its frame and checks its digest.
pub(super) fn decode(frame: &[u8]) -> io::Result<Vec<u8>> {
    let invalid = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let (header, compressed) = frame
        .split_first_chunk::<HEADER>()
        .ok_or_else(|| invalid("frame too short"))?;
    let body = u32::try_from(frame.len() - SKIPPABLE_HEADER).ok();
    if header[..4] != SKIPPABLE_MAGIC.to_le_bytes()
        || body.is_none_or(|body| header[4..8] != body.to_le_bytes())
        || header[8..16] != *MAGIC
    {
        return Err(invalid("frame header is not a table of contents'"));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&header[16..24]);
    let mut digest = [0; 32];
    digest.copy_from_slice(&header[24..]);
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_ENCODED {
        return Err(invalid("table longer than the format allows"));
    }
    if find_frame_compressed_size(compressed) != Ok(compressed.len()) {
        return Err(invalid("not exactly one Zstandard frame"));
    }
    let table = Decompressor::new()?.decompress(compressed, length)?;
    if table.len() != length || Digest::of(&table) != Digest::from_bytes(digest) {
        return Err(invalid(
            "table does not have the length or digest of its header",
        ));
    }
    Ok(table)
}
