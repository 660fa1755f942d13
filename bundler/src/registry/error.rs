// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a registry could not be used.
//!
//! Addresses are shown without their query: after a redirect it often carries a
//! signature that opens the blob to whoever reads the message.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use elfuse_payload::Digest;
use reqwest::Url;

use crate::image::ImageError;
use crate::store::StoreError;

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A file named by an option or found in its usual place is wrong.
    #[error("read {}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A credential helper failed.
    #[error("ask {helper} for the credentials of {registry}: {why}")]
    Helper {
        /// The program.
        helper: String,
        /// Whose credentials.
        registry: String,
        /// What it said.
        why: String,
    },
    /// The policy does not allow the image.
    #[error("use {reference}: {why}, by the policy {}", .path.display())]
    Policy {
        /// The image.
        reference: String,
        /// What the policy says.
        why: String,
        /// The policy's file.
        path: PathBuf,
    },
    /// The address is not allowed.
    #[error("use {url}: {why}")]
    Address {
        /// Where to.
        url: Shown,
        /// Why not.
        why: &'static str,
    },
    /// No answer came.
    #[error("{method} {url}: {}{hint}", chain(.cause))]
    Network {
        /// The method.
        method: &'static str,
        /// The address.
        url: Shown,
        /// The cause; not this error's source, as the message tells what counts of it.
        cause: reqwest::Error,
        /// What the user can do; begins with a line break when there is any.
        hint: &'static str,
    },
    /// An answer broke off.
    #[error("{method} {url}: answer broke off: {source}")]
    Body {
        /// The method.
        method: &'static str,
        /// The address.
        url: Shown,
        /// The cause.
        source: io::Error,
    },
    /// The registry refused.
    #[error("{method} {url}: {status}{message}{hint}")]
    Status {
        /// The method.
        method: &'static str,
        /// The address.
        url: Shown,
        /// The status.
        status: reqwest::StatusCode,
        /// What the registry said, after a colon.
        message: String,
        /// What the user can do; begins with a line break when there is any.
        hint: String,
    },
    /// The registry allows no more requests for now.
    #[error(
        "{method} {url}: too many requests{}{message}\nhint: log in to raise the limit, use --mirror, or --pull=missing to use what is in the store",
        wait(*.retry_after)
    )]
    RateLimit {
        /// The method.
        method: &'static str,
        /// The address.
        url: Shown,
        /// When to come back.
        retry_after: Option<Duration>,
        /// What the registry said, its limits included.
        message: String,
    },
    /// The registry answers what the protocol does not allow.
    #[error("{method} {url}: {why}")]
    Protocol {
        /// The method.
        method: &'static str,
        /// The address.
        url: Shown,
        /// What is wrong.
        why: String,
    },
    /// A blob is another than its digest says, tried twice.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Something is not here, and the registry may not be asked.
    #[error(
        "find {what} of {reference}: not in the store, and offline\nhint: elfuse-bundle pull fetches it"
    )]
    Offline {
        /// The image.
        reference: String,
        /// A tag or a digest.
        what: Missing,
    },
}

/// What is not in the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum Missing {
    /// What the tag points at.
    Tag,
    /// A blob.
    Blob(Digest),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag => f.write_str("the tag"),
            Self::Blob(digest) => write!(f, "blob {digest}"),
        }
    }
}

/// An address without user, query and fragment.
#[derive(Debug, Clone)]
pub struct Shown(String);

impl Shown {
    pub(super) fn nowhere() -> Self {
        Self("connections".to_owned())
    }
}

impl From<&Url> for Shown {
    fn from(url: &Url) -> Self {
        let origin = url.origin().ascii_serialization();
        Self(format!("{origin}{}", url.path()))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The cause that says most is the innermost.
fn chain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn wait(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!(" (try again in {} s)", after.as_secs())
    })
}
