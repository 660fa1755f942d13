// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a layer blob, and where.

use std::io;

use crate::seekable::SeekTableError;
use crate::toc::TocError;

/// A layer blob that cannot be read. Offsets count from the blob's first byte.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The host could not read it.
    #[error("read layer at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the host said.
        source: io::Error,
    },
    /// The seek table is broken.
    #[error("read layer at byte {offset}")]
    SeekTable {
        /// Where the seek table begins, as far as is known.
        offset: u64,
        /// What is wrong with it.
        source: SeekTableError,
    },
    /// A frame is listed with lengths that the format does not have there.
    #[error(
        "read layer: frame {index} at byte {offset}: the seek table gives it an impossible length"
    )]
    Layout {
        /// Number of the frame.
        index: usize,
        /// Where it begins.
        offset: u64,
    },
    /// A data frame is broken.
    #[error("read layer: frame {index} at bytes {offset} to {end}")]
    Frame {
        /// Number of the frame.
        index: usize,
        /// Where it begins.
        offset: u64,
        /// Where the next one begins.
        end: u64,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The frame of the table of contents is broken.
    #[error("read layer: table of contents at byte {offset}")]
    Contents {
        /// Where the frame begins.
        offset: u64,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The table of contents breaks the format.
    #[error("read layer: table of contents at byte {offset}")]
    Toc {
        /// Where its frame begins.
        offset: u64,
        /// What is wrong with it.
        source: TocError,
    },
    /// The receiver of the data failed.
    #[error("read layer: pass on its contents")]
    Sink(#[source] io::Error),
}

impl LayerError {
    /// The same as an error of a reader.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Read { source, .. } | Self::Sink(source) => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}
