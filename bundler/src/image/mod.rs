// SPDX-License-Identifier: MIT OR Apache-2.0
//! A selected image: manifest, configuration and verified layers.

mod error;
mod platform;
mod select;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use elfuse_payload::Digest;
use oci_spec::image::ImageConfiguration;

use crate::reference::Reference;

pub use error::ImageError;
pub use platform::{InvalidPlatform, Platform};
pub(crate) use select::MAX_LAYERS;
pub use select::{BlobSource, MANIFEST_TYPES, MAX_DOCUMENT, digest_of, select};

/// An image for one platform, every document checked.
#[derive(Debug, Clone)]
pub struct Image {
    /// What provenance calls it: its full name with a tag or else a digest, or
    /// the kind of place it came from.
    pub reference: String,
    /// Of the manifest that others know the image by; `None` where the source
    /// has none and made `manifest` itself.
    pub published: Option<Digest>,
    /// The index that the manifest was chosen from, the outermost.
    pub index_digest: Option<Digest>,
    /// Of `manifest`.
    pub manifest_digest: Digest,
    /// The manifest as it came.
    pub manifest: Vec<u8>,
    /// Of `config`.
    pub config_digest: Digest,
    /// The config as it came.
    pub config: Vec<u8>,
    /// The config, parsed.
    pub configuration: ImageConfiguration,
    /// What the config says it runs on.
    pub platform: Platform,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The lowest first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Gives the image its full name. A name with a tag is one that may move; a
    /// name without stays with this manifest.
    ///
    /// # Errors
    /// [`ImageError::Name`] if the name's digest is another image's.
    pub fn rename(&mut self, name: &Reference) -> Result<(), ImageError> {
        if let Some(stated) = name.digest() {
            let own = [self.published, self.index_digest];
            if self.published.is_some() && !own.contains(&Some(stated)) {
                return Err(ImageError::Name {
                    stated,
                    actual: self.manifest_digest,
                });
            }
            // An archive cannot tell; whoever names it does.
            self.published = self.published.or(Some(stated));
        }
        self.reference = match (name.tag(), self.published) {
            (None, Some(manifest)) => format!("{}@{manifest}", name.name()),
            (tag, _) => format!("{}:{}", name.name(), tag.unwrap_or_default()),
        };
        Ok(())
    }
}

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerMediaType {
    /// Not at all.
    Tar,
    /// Gzip, any number of members.
    Gzip,
    /// Zstandard, any number of frames.
    Zstd,
}

/// One layer of an image.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Compression of the blob.
    pub media_type: LayerMediaType,
    /// Of the blob.
    pub digest: Digest,
    /// Length of the blob.
    pub size: u64,
    /// Of the uncompressed tar; `None` when no configuration states it.
    pub diff_id: Option<Digest>,
    /// The bytes.
    pub blob: BlobHandle,
}

/// A blob that can be read any number of times.
#[derive(Debug, Clone)]
pub struct BlobHandle {
    place: Arc<dyn OpenBlob>,
}

/// A place where a blob's bytes come from.
pub trait OpenBlob: fmt::Debug + Send + Sync {
    /// Reads the blob from its beginning.
    ///
    /// # Errors
    /// What the host says.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

impl BlobHandle {
    /// A blob at any place.
    #[must_use]
    pub fn new(place: impl OpenBlob + 'static) -> Self {
        Self {
            place: Arc::new(place),
        }
    }

    /// A blob in a file of its own, already verified.
    #[must_use]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(path.into())
    }

    /// Reads the blob from its beginning.
    ///
    /// # Errors
    /// What opening the file says.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.place.open()
    }
}

impl OpenBlob for PathBuf {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self)?))
    }
}
