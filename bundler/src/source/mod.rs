// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where images come from: one trait, verified readers only.
//!
//! [`parse()`] reads what the user typed, a [`Source`] loads one image from
//! there. A source hands out nothing that was not compared with its digest:
//! documents are checked by [`crate::image::select()`], layers by the source.

mod error;
mod layout;
mod registry;
#[cfg(test)]
mod registry_tests;

use std::path::PathBuf;

pub use error::SourceError;
pub use layout::Layout;
pub use registry::Registry;

use crate::image::{Image, Platform};
use crate::progress::Progress;
use crate::registry::RegistryOptions;
use crate::store::Store;

/// When to ask the registry what a tag points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum PullPolicy {
    /// Every time.
    Always,
    /// When the store does not know the tag.
    #[default]
    Missing,
    /// Never; the same as being offline.
    Never,
}

/// What every source is told.
pub struct FetchContext<'a> {
    /// Where blobs are kept.
    pub store: &'a Store,
    /// What the image shall run on.
    pub platform: &'a Platform,
    /// When to ask the registry.
    pub pull: PullPolicy,
    /// How registries are reached.
    pub registry: &'a RegistryOptions,
    /// How many checks may run at once.
    pub threads: usize,
    /// Hears of transfers.
    pub progress: &'a dyn Progress,
}

/// A place that an image can be loaded from.
pub trait Source {
    /// Loads the image; all of its bytes are then local and verified.
    ///
    /// # Errors
    /// Names the object and the place.
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError>;
}

/// Reads what the user typed.
///
/// # Errors
/// It is none of the forms.
pub fn parse(text: &str) -> Result<Box<dyn Source>, SourceError> {
    match text.split_once(':') {
        Some(("oci", rest)) => {
            let (path, name) = split_name(rest);
            Ok(Box::new(Layout::new(text, path, name)))
        }
        _ => Ok(Box::new(Registry::new(text.parse()?))),
    }
}

/// Whether a reference, as an [`Image`] has it, means files of one machine.
#[must_use]
pub fn is_local(reference: &str) -> bool {
    const LOCAL: [&str; 5] = ["oci", "oci-archive", "docker-archive", "rootfs", "tar"];
    let kind = reference.split(':').next().unwrap_or(reference);
    LOCAL.contains(&kind)
}

/// Splits `PATH[:TAG]` or `PATH@DIGEST`. A colon before a slash is the path's.
fn split_name(text: &str) -> (PathBuf, Option<String>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let split = text[last..].find(['@', ':']).map(|at| last + at);
    match split {
        Some(at) if text[at..].starts_with('@') => {
            (PathBuf::from(&text[..at]), Some(text[at..].to_owned()))
        }
        Some(at) => (PathBuf::from(&text[..at]), Some(text[at + 1..].to_owned())),
        None => (PathBuf::from(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_and_digest_are_split_from_the_path() {
        let split = |text| {
            let (path, name) = split_name(text);
            (path.to_str().unwrap().to_owned(), name)
        };
        assert_eq!(split("dir"), ("dir".into(), None));
        assert_eq!(split("a/dir:tag"), ("a/dir".into(), Some("tag".into())));
        assert_eq!(split("a:b/dir"), ("a:b/dir".into(), None));
        assert_eq!(
            split("dir@sha256:00"),
            ("dir".into(), Some("@sha256:00".into()))
        );
        assert_eq!(split("dir:r/x:1"), ("dir:r/x".into(), Some("1".into())));
    }
}
