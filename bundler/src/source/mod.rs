// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where images come from: one trait, verified readers only.
//!
//! [`parse()`] reads what the user typed, a [`Source`] loads one image from
//! there. A source hands out nothing that was not compared with its digest:
//! documents are checked by [`crate::image::select()`], layers by the source.

mod apple;
mod archive;
mod docker_archive;
mod error;
mod files;
mod layout;
mod plain;
mod registry;
#[cfg(test)]
mod registry_tests;
mod rootfs;

use std::path::PathBuf;

use elfuse_payload::Digest;
use oci_spec::image::{Descriptor, MediaType};

pub use apple::AppleStore;
pub use docker_archive::DockerArchive;
pub use error::SourceError;
pub use layout::{Layout, Place};
pub use plain::{Directory, Tarball};
pub use registry::Registry;

use crate::image::{Image, ImageError, Platform};
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
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    let layout = |place| {
        let (path, name) = split_name(rest);
        Box::new(Layout::new(place, path, name))
    };
    Ok(match kind {
        "oci" => layout(Place::Dir),
        "oci-archive" => layout(Place::Archive),
        "docker-archive" => {
            let (path, name) = split_name(rest);
            Box::new(DockerArchive::new(path, name))
        }
        "rootfs" => Box::new(Directory::new(rest.into())),
        "tar" => Box::new(Tarball::new(rest.into())),
        "apple" => Box::new(AppleStore::new(rest.parse()?)),
        _ => Box::new(Registry::new(text.parse()?)),
    })
}

/// Whether a reference means something on this machine, not in a registry.
#[must_use]
pub fn is_local(reference: &str) -> bool {
    has_path(reference) || kind(reference) == "apple"
}

/// Whether a reference means files by their path, which an [`Image`] leaves out
/// of its own: it would have to be told again.
#[must_use]
pub fn has_path(reference: &str) -> bool {
    const KINDS: [&str; 5] = ["oci", "oci-archive", "docker-archive", "rootfs", "tar"];
    KINDS.contains(&kind(reference))
}

fn kind(reference: &str) -> &str {
    reference.split(':').next().unwrap_or(reference)
}

/// Splits `PATH[:NAME]` or `PATH[@DIGEST]`: the path is the longest that
/// exists, or everything before the first colon. A digest keeps its `@`.
fn split_name(text: &str) -> (PathBuf, Option<String>) {
    let exists = |at: &usize| PathBuf::from(&text[..*at]).exists();
    let ends = text.match_indices(['@', ':']).map(|(at, _)| at);
    let mut ends: Vec<usize> = ends.chain([text.len()]).collect();
    ends.reverse();
    let at = ends.iter().copied().find(exists);
    let at = at.or(ends.last().copied()).unwrap_or(text.len());
    let name = text[at..].strip_prefix(':').unwrap_or(&text[at..]);
    let name = (!name.is_empty()).then(|| name.to_owned());
    (PathBuf::from(&text[..at]), name)
}

/// Describes a document.
fn descriptor(media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, SourceError> {
    let digest = oci_digest(&Digest::of(bytes))?;
    Ok(Descriptor::new(media_type, bytes.len() as u64, digest))
}

fn oci_digest(digest: &Digest) -> Result<oci_spec::image::Digest, SourceError> {
    let text = digest.to_string();
    text.parse().map_err(|_| ImageError::Digest(text).into())
}

#[cfg(test)]
mod tests;
