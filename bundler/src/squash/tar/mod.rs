// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing tar streams.
//!
//! [`reader::TarReader`] understands v7, ustar, pax (local and global
//! headers), GNU long names, star, and every GNU sparse form; [`writer`] emits
//! one normal form of ustar with pax records where ustar has no room. Layers
//! are foreign bytes: nothing here allocates more than [`MAX_RECORD`] because
//! a header said so.

pub(crate) mod check;
mod header;
pub(crate) mod pax;
pub(crate) mod reader;
pub(crate) mod sparse;
pub(crate) mod writer;

/// Size of a tar block; headers and contents are padded to it.
pub(crate) const BLOCK: u64 = 512;

/// [`BLOCK`] as an array length.
pub(crate) const BLOCK_LEN: usize = 512;

/// The longest pax header, GNU long name or sparse map that is accepted.
pub(crate) const MAX_RECORD: u64 = 1 << 20;

/// Why a byte stream is not a tar archive we can read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream itself could not be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// The stream ends inside a header or a file.
    #[error("archive is truncated")]
    Truncated,
    /// A header block whose checksum does not match.
    #[error("header has a wrong checksum")]
    Checksum,
    /// A numeric field that is not a number, or out of range.
    #[error("header field {0} is not a valid number")]
    Number(&'static str),
    /// A malformed pax extended header.
    #[error("pax header: {0}")]
    Pax(&'static str),
    /// A malformed map of a sparse file.
    #[error("sparse file: {0}")]
    Sparse(&'static str),
    /// A header record longer than 1 MiB.
    #[error("{0} of {1} bytes is longer than 1 MiB")]
    TooLong(&'static str, u64),
    /// An entry type that has no meaning in a layer.
    #[error("entry type {:?} is not supported", char::from(*.0))]
    Type(u8),
}

/// Bytes from `len` to the next block boundary.
pub(crate) fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK
}
