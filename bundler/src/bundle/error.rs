// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a bundle could not be written, opened or verified.

use std::io;
use std::path::PathBuf;

use elfuse_payload::reader::{PayloadError, VerifyError};
use elfuse_payload::segment::SegmentError;

use crate::macho::MachoError;

/// What to do about a damaged file.
const AGAIN: &str = "hint: copy or download it again, or make it anew";

/// Why a bundle could not be written, opened or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The host refused an operation on the file.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// `open`, `write` and so on.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is no bundle.
    #[error(
        "open {}: not a bundle: {source}\nhint: name a file that elfuse-bundle made; if it did, copy or download it again",
        .path.display()
    )]
    NotBundle {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        source: MachoError,
    },
    /// The executable cannot be made.
    #[error("{}: {source}", .path.display())]
    Macho {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MachoError,
    },
    /// The executable part is damaged.
    #[error("{}: {source}\n{AGAIN}", .path.display())]
    Executable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MachoError,
    },
    /// The payload cannot be read.
    #[error("{}: {source}\n{AGAIN}", .path.display())]
    Payload {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PayloadError,
    },
    /// The payload is damaged.
    #[error("{}: {source}\n{AGAIN}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged.
        source: VerifyError,
    },
    /// The payload cannot be laid out.
    #[error("lay out payload: {0}")]
    Layout(#[from] SegmentError),
    /// The output exists and is not ours to replace.
    #[error(
        "write {}: it exists and is not a bundle\nhint: choose another name with -o, or replace it with --force",
        .0.display()
    )]
    Exists(PathBuf),
    /// The output is a directory or something else that is not a file.
    #[error("write {}: it is not a regular file\nhint: name a file with -o", .0.display())]
    NotFile(PathBuf),
}

impl BundleError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Io {
            action,
            path,
            source,
        }
    }
}
