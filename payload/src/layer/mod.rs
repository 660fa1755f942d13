// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layer blob: a tar, compressed so that any part of it can be read, with
//! its table of contents.
//!
//! data frames (8 MiB of tar each) | table of contents (skippable frame) | seek
//! table (skippable frame). To every other program it is an OCI layer of type
//! `application/vnd.oci.image.layer.v1.tar+zstd`. [`LayerWriter`] makes one from
//! a stream, [`LayerReader`] reads one from anywhere.

mod contents;
mod error;
mod reader;
mod writer;

pub use error::LayerError;
pub(crate) use reader::Decoder;
pub use reader::{ContentReader, LayerReader};
pub use writer::{LayerOptions, LayerSummary, LayerWriter};

/// The media type of the layer blob.
pub const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
