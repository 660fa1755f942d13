// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns a container image into one signed, self-contained macOS executable.
//!
//! The path of an image: [`reference`] and [`source`] find it, [`registry`] and
//! [`store`] fetch and keep its blobs, [`image`] selects and checks it,
//! [`squash`] merges its layers into one tree and one tar, [`transform`] edits
//! that tree, [`bundle`] assembles the payload with the stub, and [`macho`]
//! grows and signs the file. [`export`], [`push`] and [`sbom`] work on finished
//! bundles. [`cli`] is the thin command line on top.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod cli;
mod date;
pub mod export;
pub mod image;
pub mod macho;
pub mod progress;
pub mod push;
pub mod reference;
pub mod registry;
pub mod sbom;
pub mod source;
pub mod squash;
pub mod store;
pub mod transform;

#[cfg(test)]
mod testing;
