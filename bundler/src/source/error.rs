// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an image could not be loaded.

use std::io;
use std::path::PathBuf;

use crate::image::ImageError;
use crate::reference::InvalidReference;
use crate::registry::RegistryError;
use crate::store::StoreError;

/// Why an image could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The text has none of the forms.
    #[error(
        "{0}\nhint: name a registry image, oci:DIR, oci-archive:FILE, docker-archive:FILE, rootfs:DIR or tar:FILE"
    )]
    Unknown(#[from] InvalidReference),
    /// The host refused an operation.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// `open`, `read` and so on.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A document or a layer is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The registry cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A directory or an archive is not what its prefix says.
    #[error("read {}: {why}", .path.display())]
    Format {
        /// The directory or archive.
        path: PathBuf,
        /// What is missing or wrong.
        why: String,
    },
    /// The name is not in the layout.
    #[error("find {name:?} in {}: not there; present: {}\nhint: name one that is present", .path.display(), or_nothing(present))]
    Name {
        /// What was asked for.
        name: String,
        /// The layout.
        path: PathBuf,
        /// The names there are.
        present: String,
    },
}

fn or_nothing(present: &str) -> &str {
    if present.is_empty() {
        "nothing"
    } else {
        present
    }
}

impl SourceError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }

    pub(super) fn format(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Format {
            path: path.into(),
            why: why.into(),
        }
    }
}
