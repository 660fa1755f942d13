// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes to the squashed tree the user asked for.
//!
//! [`Transforms`] is the request as data, so that a cached result can be keyed
//! by it. Files are added as one more layer on top of the image's
//! ([`inject`]); then paths are stripped ([`strip`]), so that `--strip-prefix` has
//! the last word.

pub mod inject;
pub mod strip;

use std::path::PathBuf;

pub use inject::Addition;
pub use strip::Strip;

use crate::squash::Problem;

/// All changes to the tree, in the order of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transforms {
    /// Host files and directories to add.
    pub additions: Vec<Addition>,
    /// What to leave out.
    pub strip: Strip,
}

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// `HOST:CONTAINER` without a colon, with an empty half, or not absolute.
    #[error("parse {spec:?}: expected HOST_PATH:CONTAINER_PATH, the latter absolute")]
    Spec {
        /// As given.
        spec: String,
    },
    /// A container path that is not usable.
    #[error("add {}: container path {container}: {problem}", .host.display())]
    Container {
        /// The host side.
        host: PathBuf,
        /// The container side.
        container: crate::squash::Name,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The host file cannot be read.
    #[error("add {}: {source}", .host.display())]
    Host {
        /// The host path.
        host: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The host file has a type that cannot be added.
    #[error("add {}: {expected}", .host.display())]
    Type {
        /// The host path.
        host: PathBuf,
        /// What it would have to be.
        expected: &'static str,
    },
    /// `--strip-prefix` with `..` or nothing.
    #[error("strip {prefix}: {problem}")]
    Prefix {
        /// As given.
        prefix: crate::squash::Name,
        /// What is wrong with it.
        problem: Problem,
    },
}
