// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mach-O: read, grow the payload segment, sign, verify.
//!
//! The stub is linked with a small `__ELFUSE` segment right before
//! `__LINKEDIT`. [`Template`] makes room in it for a payload of any size,
//! [`SignedWriter`] writes the whole file with its ad-hoc signature in one pass
//! and constant memory, [`verify()`] checks a finished file. The layout and its
//! reasons: docs/macho.md.

mod error;
mod grow;
mod image;
mod sign;
mod verify;
mod writer;

pub use error::MachoError;
pub use grow::Template;
pub use image::{Image, Segment};
pub use verify::{Signature, verify};
pub use writer::SignedWriter;

/// Name of the segment that holds the payload.
pub const SEGMENT: &str = "__ELFUSE";

/// Code is signed in pages of this size; segments are aligned to it.
pub const PAGE: u64 = 16384;

/// The largest file whose offsets Mach-O can hold.
pub const MAX_FILE: u64 = u32::MAX as u64;

/// Rounds up to the next multiple of `unit`, a power of two.
const fn align(value: u64, unit: u64) -> u64 {
    (value + unit - 1) & !(unit - 1)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
pub(crate) mod tests;
