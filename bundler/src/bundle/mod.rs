// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bundle file: assemble, open, verify.
//!
//! [`build()`] puts a stub and a payload together into one signed executable
//! that appears under its name at once or not at all. [`Bundle`] opens a
//! finished file, [`Tree`] its files, [`compare`] tells two apart. The
//! layout is docs/macho.md's and docs/payload-format.md's.

mod build;
mod config;
mod diff;
mod early;
mod error;
mod open;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use build::{BuildError, Built, Request, build};
pub use config::Overrides;
pub use diff::{Aspect, Change, Differences, compare};
pub use error::BundleError;
pub use open::Bundle;
pub use tree::{LookupError, Tree, escaped, text};
pub(crate) use write::parent_of;
pub use write::{Contents, Overwrite, check_output, read_stub};
