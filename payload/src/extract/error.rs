// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an extraction failed.

use std::io;

use crate::Digest;
use crate::layer::LayerError;
use crate::toc::Entry;

/// An extraction that failed.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The layer is broken.
    #[error("extract layer")]
    Layer(#[from] LayerError),
    /// The directory to extract into cannot be read.
    #[error("extract layer: read the target directory")]
    Root(#[source] io::Error),
    /// The directory to extract into has something in it.
    #[error("extract layer: the target directory is not empty")]
    NotEmpty,
    /// The host refused an entry.
    #[error("extract layer: {action} {path}")]
    Entry {
        /// What was done.
        action: &'static str,
        /// Path in the layer.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// The contents of a file do not have its digest.
    #[error("extract layer: contents of {path} have digest {actual}, not {expected}")]
    Digest {
        /// Path in the layer.
        path: String,
        /// The digest in the table of contents.
        expected: Digest,
        /// The digest of the contents.
        actual: Digest,
    },
    /// The host has no thread to spare.
    #[error("extract layer: start a thread")]
    Thread(#[source] io::Error),
}

impl ExtractError {
    pub(super) fn entry(action: &'static str, entry: &Entry, source: io::Error) -> Self {
        Self::Entry {
            action,
            path: display(entry),
            source,
        }
    }
}

pub(super) fn display(entry: &Entry) -> String {
    if entry.path.is_empty() {
        return "the root directory".to_owned();
    }
    entry.path.escape_ascii().to_string()
}
