// SPDX-License-Identifier: MIT OR Apache-2.0
//! The on-disk format of a bundle's payload: an OCI image with one layer, inside
//! one segment of an executable file. The format is specified, byte by byte, in
//! docs/payload-format.md.
//!
//! From the outside in: [`segment`] is the header and its table of sections,
//! [`reader::Payload`] opens and verifies a whole segment, [`layer`] writes and
//! reads the layer blob, which is a tar in the Zstandard Seekable Format
//! ([`seekable`]) with a table of contents ([`toc`]), and [`extract`] turns it
//! into files. [`provenance`] says where an image came from.
//!
//! Everything read is treated as hostile: each length is bounded before memory
//! is taken for it. The crate opens nothing itself; callers decide on paths,
//! locks and retries.
#![forbid(unsafe_code)]

mod digest;
pub mod extract;
pub mod layer;
pub mod provenance;
mod read_at;
pub mod reader;
pub mod seekable;
pub mod segment;
pub mod toc;
mod tune;

pub use digest::{Digest, InvalidDigest, Sha256Stream};
pub use read_at::{FileRange, Range, ReadAt};
