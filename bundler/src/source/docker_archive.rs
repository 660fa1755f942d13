// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docker-archive:FILE[:NAME[:TAG]]`: what `docker save` and `podman save` write.
//!
//! `manifest.json` lists images, each with the names of its config and layers.
//! Old archives keep layers in a directory each, new ones are OCI layouts as
//! well; both are read through `manifest.json`. It is no OCI manifest, so one is
//! made: the same archive always gives the same. Layers are compared with the
//! digest in their name, or as uncompressed tar with their `diff_id`.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use elfuse_payload::Digest;
use oci_spec::image::{Descriptor, MediaType};
use serde::Deserialize;

use super::archive::Archive;
use super::files::{self, Files, digest, each};
use super::{FetchContext, Source, SourceError};
use crate::image::{self, BlobHandle, BlobSource, Image, ImageError, MAX_LAYERS, digest_of};

const LIST: &str = "manifest.json";

/// An image in an archive.
#[derive(Debug)]
pub struct DockerArchive {
    path: PathBuf,
    name: Option<String>,
}

/// One image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl DockerArchive {
    /// The image of that name in the archive at `path`.
    #[must_use]
    pub fn new(path: PathBuf, name: Option<String>) -> Self {
        Self { path, name }
    }

    fn choose(&self, all: Vec<Saved>) -> Result<Saved, SourceError> {
        let tags = |saved: &Saved| saved.repo_tags.clone().unwrap_or_default();
        let present: Vec<_> = all.iter().flat_map(tags).collect();
        let wanted = |saved: &Saved| match &self.name {
            None => true,
            Some(name) => tags(saved).iter().any(|tag| full(tag) == full(name)),
        };
        let mut found: Vec<_> = all.into_iter().filter(wanted).collect();
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(SourceError::Name {
                name: self.name.clone().unwrap_or_else(|| "the only image".into()),
                path: self.path.clone(),
                present: present.join(", "),
            }),
        }
    }

    fn list(&self, archive: &Archive) -> Result<Vec<Saved>, SourceError> {
        if !archive.contains(LIST) {
            let why = if archive.contains("oci-layout") {
                "no docker archive but an OCI layout\nhint: name it oci-archive:FILE"
            } else if archive.contains("repositories") {
                "written by a Docker older than 1.10, which is not supported"
            } else {
                "no docker archive (no file manifest.json)"
            };
            return Err(SourceError::format(&self.path, why));
        }
        let bytes = archive.document(LIST)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| SourceError::format(self.path.join(LIST), error.to_string()))
    }
}

/// A name as docker reads it.
fn full(name: &str) -> String {
    let parsed = crate::reference::parse(name);
    parsed.map_or_else(|_| name.to_owned(), |reference| reference.to_string())
}

impl Source for DockerArchive {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        let archive = Archive::open(&self.path)?;
        let saved = self.choose(self.list(&archive)?)?;
        let config = archive.document(&saved.config)?;
        let blobs = Converted::new(&archive, &saved, config, context)?;
        let name = self
            .name
            .as_ref()
            .or(saved.repo_tags.as_ref().and_then(|tags| tags.first()));
        let reference = name.map_or("docker-archive".to_owned(), |name| {
            format!("docker-archive:{name}")
        });
        let root = blobs.root()?;
        let mut image = image::select(&blobs, &root, &reference, context.platform)?;
        // The manifest was made here and is nobody else's.
        image.published = None;
        Ok(image)
    }
}

/// The image with the manifest made for it.
struct Converted<'a> {
    archive: &'a Archive,
    manifest: Vec<u8>,
    config: Vec<u8>,
    /// Entry of each layer.
    layers: HashMap<Digest, String>,
}

impl<'a> Converted<'a> {
    fn new(
        archive: &'a Archive,
        saved: &Saved,
        config: Vec<u8>,
        context: &FetchContext<'_>,
    ) -> Result<Self, SourceError> {
        let config_digest = Digest::of(&config);
        if let Some(stated) = digest_in(&saved.config).filter(|stated| *stated != config_digest) {
            return Err(ImageError::Content {
                expected: stated,
                actual: config_digest,
            }
            .into());
        }
        let ids = diff_ids(&config, config_digest)?;
        let names = saved.layers.as_deref().unwrap_or_default();
        if names.len() != ids.len() || names.len() > MAX_LAYERS {
            return Err(ImageError::LayerCount {
                config: config_digest,
                ids: ids.len(),
                layers: names.len(),
            }
            .into());
        }
        let entries: Vec<_> = names.iter().zip(ids).collect();
        let described = each(&entries, context.threads, |(name, diff_id)| {
            describe(archive, name, *diff_id)
        })?;
        let layers = described.iter().map(|layer| layer.json());
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::ImageManifest.to_string(),
            "config": {
                "mediaType": MediaType::ImageConfig.to_string(),
                "digest": config_digest.to_string(),
                "size": config.len(),
            },
            "layers": layers.collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        let layers = described.iter().map(|layer| layer.digest);
        Ok(Self {
            archive,
            manifest,
            config,
            layers: layers.zip(names.iter().cloned()).collect(),
        })
    }

    fn root(&self) -> Result<Descriptor, SourceError> {
        super::descriptor(MediaType::ImageManifest, &self.manifest)
    }
}

impl BlobSource for Converted<'_> {
    type Error = SourceError;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let is_manifest = *blob.media_type() == MediaType::ImageManifest;
        Ok(if is_manifest {
            &self.manifest
        } else {
            &self.config
        }
        .clone())
    }

    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, SourceError> {
        let layer = |blob: &Descriptor| {
            let digest = digest_of(blob)?;
            let name = self.layers.get(&digest).map_or("", String::as_str);
            files::layer(self.archive, name, digest, blob.size())
        };
        blobs.iter().map(layer).collect()
    }
}

/// A layer as the manifest shall name it.
struct Described {
    media_type: MediaType,
    digest: Digest,
    size: u64,
}

impl Described {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "mediaType": self.media_type.to_string(),
            "digest": self.digest.to_string(),
            "size": self.size,
        })
    }
}

/// What a layer claims to be; the digest is computed only when nothing states it.
fn describe(archive: &Archive, name: &str, diff_id: Digest) -> Result<Described, SourceError> {
    let (blob, size) = archive.file(name)?;
    let path = archive.path().join(name);
    let mut start = Vec::new();
    blob.open()
        .and_then(|file| file.take(4).read_to_end(&mut start))
        .map_err(|source| SourceError::io("read", &path, source))?;
    let media_type = match &start[..] {
        [0x1f, 0x8b, ..] => MediaType::ImageLayerGzip,
        [0x28, 0xb5, 0x2f, 0xfd] => MediaType::ImageLayerZstd,
        _ => MediaType::ImageLayer,
    };
    let is_plain = media_type == MediaType::ImageLayer;
    let stated = digest_in(name).or(is_plain.then_some(diff_id));
    let digest = match stated {
        Some(stated) => stated,
        None => digest(&blob, &path, &|_| ())?.0,
    };
    Ok(Described {
        media_type,
        digest,
        size,
    })
}

/// The digest that an entry's name states: `HEX.json`, `blobs/sha256/HEX`.
fn digest_in(name: &str) -> Option<Digest> {
    let hex = name
        .strip_suffix(".json")
        .or(name.strip_prefix("blobs/sha256/"))?;
    format!("sha256:{hex}").parse().ok()
}

fn diff_ids(config: &[u8], digest: Digest) -> Result<Vec<Digest>, SourceError> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: Rootfs,
    }
    #[derive(Deserialize)]
    struct Rootfs {
        #[serde(default)]
        diff_ids: Vec<String>,
    }
    let config: Config =
        serde_json::from_slice(config).map_err(|source| ImageError::Json { digest, source })?;
    let ids = config.rootfs.diff_ids;
    let parse = |id: &String| {
        id.parse()
            .map_err(|_| ImageError::Digest(id.clone()).into())
    };
    ids.iter().map(parse).collect()
}
