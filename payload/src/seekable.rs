// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Zstandard Seekable Format, version 0.1.0, as this project writes it.
//!
//! A stream is cut into frames of [`FRAME_LEN`] bytes, each compressed on its own
//! with its length and checksum in it. A [`SeekTable`] in a skippable frame at
//! the end lists the frames, so any decoder reads the whole and ours reads any
//! part. Source: `contrib/seekable_format/zstd_seekable_compression_format.md`
//! of Zstandard 1.5. What the format leaves open is fixed here: checksums are
//! present, all data frames but the last are full, reserved bits are zero.

use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, compress_bound, find_frame_compressed_size};

use crate::tune::Tuner;

/// Uncompressed bytes of every data frame but the last.
pub const FRAME_LEN: u32 = 8 << 20;
/// The same, for lengths of slices.
pub(crate) const FRAME_BYTES: usize = FRAME_LEN as usize;
/// Most frames that a seek table may list: 8 TiB of data.
pub const MAX_FRAMES: usize = 1 << 20;
/// Length of the header of a skippable frame.
pub const SKIPPABLE_HEADER: usize = 8;
/// Length of the part of the seek table that ends every file.
pub const FOOTER: usize = 9;

const SEEK_TABLE_MAGIC: u32 = 0x184D_2A5E;
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Descriptor byte: only the flag that says that checksums are present.
const WITH_CHECKSUMS: u8 = 0x80;
const TABLE_ENTRY: usize = 12;
/// Checksum of no data, which is what a skippable frame decompresses to.
const EMPTY_CHECKSUM: u32 = 0x51D8_E999;

/// One frame, as the seek table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameInfo {
    /// Length of the frame in the file.
    pub compressed_len: u32,
    /// Length of its data; zero for a skippable frame.
    pub decompressed_len: u32,
    /// The low 32 bits of the XXH64 of its data.
    pub checksum: u32,
}

impl FrameInfo {
    /// A skippable frame of this length.
    #[must_use]
    pub const fn skippable(compressed_len: u32) -> Self {
        Self {
            compressed_len,
            decompressed_len: 0,
            checksum: EMPTY_CHECKSUM,
        }
    }
}

/// A file's frames in order, without the seek table itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeekTable {
    /// The frames.
    pub frames: Vec<FrameInfo>,
}

/// Bytes that are not a seek table of the form written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeekTableError {
    /// The file does not end in the format's magic number.
    #[error("read seek table: the last bytes are not a Zstandard seek table's")]
    Magic,
    /// A descriptor with other flags than ours.
    #[error("read seek table: unexpected descriptor {0:#04x}")]
    Descriptor(u8),
    /// More frames than allowed, or than there is room for.
    #[error("read seek table: {0} frames are too many")]
    TooMany(u32),
    /// The skippable frame around the table does not have the right header.
    #[error("read seek table: its frame header is not what {0} frames need")]
    Header(u32),
    /// The frames' lengths do not add up to the file's.
    #[error("read seek table: frames have {frames} bytes, the file has {file} for them")]
    Length {
        /// Sum of the lengths in the table.
        frames: u64,
        /// What the file has in front of the table.
        file: u64,
    },
}

impl SeekTable {
    /// The table as the skippable frame that ends the file.
    ///
    /// # Errors
    /// More than [`MAX_FRAMES`].
    pub fn encode(&self) -> Result<Vec<u8>, SeekTableError> {
        let count = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        if self.frames.len() > MAX_FRAMES {
            return Err(SeekTableError::TooMany(count));
        }
        let length = Self::encoded_len(self.frames.len());
        let mut out = Vec::with_capacity(length);
        out.extend(SEEK_TABLE_MAGIC.to_le_bytes());
        out.extend(frame_size(count).to_le_bytes());
        for frame in &self.frames {
            out.extend(frame.compressed_len.to_le_bytes());
            out.extend(frame.decompressed_len.to_le_bytes());
            out.extend(frame.checksum.to_le_bytes());
        }
        out.extend(count.to_le_bytes());
        out.push(WITH_CHECKSUMS);
        out.extend(SEEKABLE_MAGIC.to_le_bytes());
        Ok(out)
    }

    /// Length of the encoding of a table of `count` frames.
    #[must_use]
    pub const fn encoded_len(count: usize) -> usize {
        SKIPPABLE_HEADER + count * TABLE_ENTRY + FOOTER
    }

    /// How many frames the table lists that ends in these [`FOOTER`] bytes.
    ///
    /// # Errors
    /// The bytes are not the end of a seek table, or it lists too many frames.
    pub fn parse_footer(footer: &[u8; FOOTER]) -> Result<usize, SeekTableError> {
        let [a, b, c, d, descriptor, magic @ ..] = *footer;
        if u32::from_le_bytes(magic) != SEEKABLE_MAGIC {
            return Err(SeekTableError::Magic);
        }
        if descriptor != WITH_CHECKSUMS {
            return Err(SeekTableError::Descriptor(descriptor));
        }
        let count = u32::from_le_bytes([a, b, c, d]);
        let frames = usize::try_from(count)
            .ok()
            .filter(|&frames| frames <= MAX_FRAMES);
        frames.ok_or(SeekTableError::TooMany(count))
    }

    /// Parses a whole seek table frame, which follows `data_len` bytes of frames.
    ///
    /// # Errors
    /// The first thing that is not as [`SeekTable::encode`] writes it.
    pub fn parse(bytes: &[u8], data_len: u64) -> Result<Self, SeekTableError> {
        let footer = bytes.last_chunk().ok_or(SeekTableError::Magic)?;
        let count = Self::parse_footer(footer)?;
        let count32 = u32::try_from(count).unwrap_or(u32::MAX);
        let mut header = [0; SKIPPABLE_HEADER];
        header[..4].copy_from_slice(&SEEK_TABLE_MAGIC.to_le_bytes());
        header[4..].copy_from_slice(&frame_size(count32).to_le_bytes());
        if bytes.len() != Self::encoded_len(count) || !bytes.starts_with(&header) {
            return Err(SeekTableError::Header(count32));
        }
        let (entries, _) = bytes[SKIPPABLE_HEADER..].as_chunks::<TABLE_ENTRY>();
        let frames: Vec<_> = entries.iter().take(count).map(parse_frame).collect();
        let total = frames
            .iter()
            .map(|frame| u64::from(frame.compressed_len))
            .sum();
        if total != data_len {
            return Err(SeekTableError::Length {
                frames: total,
                file: data_len,
            });
        }
        Ok(Self { frames })
    }
}

fn frame_size(count: u32) -> u32 {
    // At most 2^20 frames of 12 bytes, so this cannot wrap.
    count.saturating_mul(12).saturating_add(9)
}

fn parse_frame(bytes: &[u8; TABLE_ENTRY]) -> FrameInfo {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    FrameInfo {
        compressed_len: u32::from_le_bytes([a, b, c, d]),
        decompressed_len: u32::from_le_bytes([e, f, g, h]),
        checksum: u32::from_le_bytes([i, j, k, l]),
    }
}

/// The level whose parameters are chosen here, per frame.
pub const DEFAULT_LEVEL: i32 = 3;

/// Makes frames that carry their length and checksum.
pub struct FrameCompressor {
    zstd: Compressor<'static>,
    level: i32,
    tuner: Tuner,
}

impl FrameCompressor {
    /// A compressor of a level from 1 to 19.
    ///
    /// # Errors
    /// What Zstandard said of the level.
    pub fn new(level: i32) -> io::Result<Self> {
        let mut zstd = Compressor::new(level)?;
        zstd.set_parameter(CParameter::ChecksumFlag(true))?;
        if level == DEFAULT_LEVEL {
            zstd.set_parameter(CParameter::ChainLog(16))?;
            // A match may be as far away as the frame is long.
            zstd.set_parameter(CParameter::WindowLog(FRAME_LEN.ilog2()))?;
        }
        let tuner = Tuner::new();
        Ok(Self { zstd, level, tuner })
    }

    /// Compresses `data` as one frame into `frame`, whose old contents are
    /// dropped.
    ///
    /// # Errors
    /// What Zstandard said, or `InvalidInput` for more than [`FRAME_LEN`] bytes.
    pub fn compress(&mut self, data: &[u8], frame: &mut Vec<u8>) -> io::Result<FrameInfo> {
        if data.len() > FRAME_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.level == DEFAULT_LEVEL {
            let parameters = self.tuner.parameters(data);
            let set = |parameter| self.zstd.set_parameter(parameter);
            parameters.into_iter().try_for_each(set)?;
        }
        frame.clear();
        frame.reserve(compress_bound(data.len()));
        self.zstd.compress_to_buffer(data, frame)?;
        let checksum = frame
            .last_chunk()
            .map_or(0, |bytes| u32::from_le_bytes(*bytes));
        Ok(FrameInfo {
            compressed_len: narrow(frame.len())?,
            decompressed_len: narrow(data.len())?,
            checksum,
        })
    }
}

impl std::fmt::Debug for FrameCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameCompressor")
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Decompresses exactly one frame of exactly `info`'s lengths into `data`,
/// whose old contents are dropped. Never writes past the declared length.
///
/// # Errors
/// `InvalidData` if the frame is not what `info` says.
pub fn decompress_frame(
    decompressor: &mut Decompressor<'_>,
    info: &FrameInfo,
    frame: &[u8],
    data: &mut Vec<u8>,
) -> io::Result<()> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let length = usize::try_from(info.decompressed_len).unwrap_or(usize::MAX);
    if length > FRAME_BYTES {
        return Err(invalid("frame longer than the format allows"));
    }
    let size = find_frame_compressed_size(frame).map_err(|_| invalid("not a Zstandard frame"))?;
    if size != frame.len() || frame.last_chunk() != Some(&info.checksum.to_le_bytes()) {
        return Err(invalid(
            "frame length or checksum differs from the seek table",
        ));
    }
    data.resize(length, 0);
    let written = decompressor.decompress_to_buffer(frame, data.as_mut_slice())?;
    if written != length {
        return Err(invalid("frame has less data than the seek table says"));
    }
    Ok(())
}

/// The longest frame that [`FRAME_LEN`] bytes can compress to.
#[must_use]
pub(crate) fn max_compressed() -> u64 {
    compress_bound(FRAME_BYTES) as u64
}

fn narrow(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_LEVEL, FrameCompressor};
    use crate::tune::tests::samples;

    #[test]
    fn frames_do_not_depend_on_what_was_compressed_before() {
        let (text, program) = samples();
        let twice = program.repeat(2);
        for level in [1, DEFAULT_LEVEL, 19] {
            let mut used = FrameCompressor::new(level).expect("a level");
            for data in [&text, &program, &twice, &text, &program] {
                let (mut frame, mut fresh) = (vec![7; 3], Vec::new());
                used.compress(data, &mut frame).expect("memory");
                let mut compressor = FrameCompressor::new(level).expect("a level");
                compressor.compress(data, &mut fresh).expect("memory");
                assert!(frame == fresh, "level {level}");
                assert!(zstd::decode_all(&frame[..]).expect("a frame") == *data);
            }
        }
    }
}
