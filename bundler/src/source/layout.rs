// SPDX-License-Identifier: MIT OR Apache-2.0
//! `oci:DIR[:TAG|@DIGEST]` and `oci-archive:FILE[:TAG|@DIGEST]`: an OCI image
//! layout in a directory or in a tar archive.
//!
//! Blobs are read in place, after their digests were computed, on all cores.
//! The image is the one whose `org.opencontainers.image.ref.name` is the tag,
//! or the only one there is.

use std::path::PathBuf;

use oci_spec::image::{Descriptor, ImageIndex};

use super::archive::Archive;
use super::files::{self, Dir, Files};
use super::{FetchContext, Source, SourceError};
use crate::image::{self, BlobHandle, BlobSource, Image, digest_of};

/// Annotation that names an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Where a layout lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a directory.
    Dir,
    /// In an uncompressed tar archive.
    Archive,
}

/// An image in an OCI image layout.
#[derive(Debug)]
pub struct Layout {
    place: Place,
    path: PathBuf,
    name: Option<String>,
}

impl Layout {
    /// The image `name`, a tag or `@` and a digest, in the layout at `path`.
    #[must_use]
    pub fn new(place: Place, path: PathBuf, name: Option<String>) -> Self {
        Self { place, path, name }
    }

    /// What provenance says of the image: the path is the building host's own
    /// business.
    fn reference(&self) -> String {
        let place = match self.place {
            Place::Dir => "oci",
            Place::Archive => "oci-archive",
        };
        let tag = self.name.iter().filter(|name| !name.starts_with('@'));
        tag.fold(place.to_owned(), |place, tag| format!("{place}:{tag}"))
    }

    fn choose(&self, index: &ImageIndex) -> Result<Descriptor, SourceError> {
        let all = index.manifests();
        let name_of = |d: &Descriptor| d.annotations().as_ref()?.get(REF_NAME).cloned();
        let wanted = |d: &&Descriptor| match self.name.as_deref() {
            None => true,
            Some(name) => match name.strip_prefix('@') {
                Some(digest) => d.digest().to_string() == digest,
                None => name_of(d).as_deref() == Some(name),
            },
        };
        let found: Vec<_> = all.iter().filter(wanted).collect();
        // One image may be listed under several names.
        let is_one = found.windows(2).all(|w| w[0].digest() == w[1].digest());
        if let (Some(&found), true) = (found.first(), is_one) {
            return Ok(found.clone());
        }
        let label = |d: &Descriptor| name_of(d).unwrap_or_else(|| format!("@{}", d.digest()));
        let present: Vec<_> = all.iter().map(label).collect();
        Err(SourceError::Name {
            name: self.name.clone().unwrap_or_else(|| "the only image".into()),
            path: self.path.clone(),
            present: present.join(", "),
        })
    }
}

impl Source for Layout {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        let files: Box<dyn Files> = match self.place {
            Place::Dir => Box::new(Dir(self.path.clone())),
            Place::Archive => Box::new(Archive::open(&self.path)?),
        };
        if files.file("oci-layout").is_err() {
            let why = if self.path.is_file() && self.place == Place::Dir {
                "not a directory\nhint: an OCI layout in a file is oci-archive:FILE"
            } else if files.file("manifest.json").is_ok() {
                "no OCI image layout but a docker archive\nhint: name it docker-archive:FILE"
            } else {
                "no OCI image layout (no file oci-layout)"
            };
            return Err(SourceError::format(&self.path, why));
        }
        let bytes = files.document("index.json")?;
        let index: ImageIndex = serde_json::from_slice(&bytes).map_err(|error| {
            SourceError::format(self.path.join("index.json"), error.to_string())
        })?;
        let root = self.choose(&index)?;
        let blobs = Blobs { files: &*files };
        image::select(&blobs, &root, &self.reference(), context.platform)
    }
}

/// The blobs in `blobs/sha256` of a directory or an archive.
pub(super) struct Blobs<'a> {
    pub(super) files: &'a dyn Files,
}

impl Blobs<'_> {
    fn name(blob: &Descriptor) -> Result<String, SourceError> {
        Ok(format!("blobs/sha256/{}", digest_of(blob)?.hex()))
    }
}

impl BlobSource for Blobs<'_> {
    type Error = SourceError;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, SourceError> {
        self.files.document(&Self::name(blob)?)
    }

    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, SourceError> {
        let layer = |blob: &Descriptor| {
            let name = Self::name(blob)?;
            files::layer(self.files, &name, digest_of(blob)?, blob.size())
        };
        blobs.iter().map(layer).collect()
    }
}
