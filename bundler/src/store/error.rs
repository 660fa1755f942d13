// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the store could not be used.

use std::io;
use std::path::PathBuf;

use elfuse_payload::Digest;

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Neither `HOME` nor `XDG_CACHE_HOME` is set.
    #[error("open store: no home directory\nhint: name a directory with --store")]
    NoHome,
    /// The host refused an operation.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// `open`, `write` and so on.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A blob ended early or late.
    #[error("store {digest}: {actual} bytes, not {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// Stated.
        expected: u64,
        /// Received.
        actual: u64,
    },
    /// A blob has other bytes than its name says.
    #[error("store {expected}: the content has digest {actual}")]
    Content {
        /// Stated.
        expected: Digest,
        /// Received.
        actual: Digest,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}
