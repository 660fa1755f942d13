// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a name to one image: walks indexes, checks every document.
//!
//! Nothing that a [`BlobSource`] hands out is believed. Manifests and configs
//! are compared with the digest and size that named them, the platform is the
//! config's own, and the config must list one `diff_id` a layer. Layers come as
//! handles that the source has verified.

use std::collections::BTreeSet;

use elfuse_payload::Digest;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};

use super::{BlobHandle, Image, ImageError, Layer, LayerMediaType, Platform};

/// Manifests and configs may have this many bytes.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// Indexes may be nested this deep.
const MAX_DEPTH: usize = 4;
/// Manifests and indexes looked at for one image.
const MAX_DOCUMENTS: usize = 64;
/// Layers an image may have; Docker allows 127.
pub(crate) const MAX_LAYERS: usize = 1024;

const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// Media types that a registry is asked for.
pub const MANIFEST_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    DOCKER_INDEX,
    DOCKER_MANIFEST,
];

/// Hands out the blobs of one image.
pub trait BlobSource {
    /// Its error.
    type Error: From<ImageError>;

    /// The bytes of a manifest, an index or a config; checked by the caller.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, Self::Error>;

    /// The layers, each with the digest and size of its descriptor.
    ///
    /// # Errors
    /// One is not there, cannot be read, or is another.
    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, Self::Error>;
}

/// Selects the image for `platform` from what `root` describes, an index or a
/// manifest.
///
/// # Errors
/// The source's, or an [`ImageError`].
pub fn select<S: BlobSource>(
    source: &S,
    root: &Descriptor,
    reference: &str,
    platform: &Platform,
) -> Result<Image, S::Error> {
    let mut search = Search {
        source,
        reference,
        platform,
        index: None,
        present: BTreeSet::new(),
        documents: 0,
    };
    if let Some(image) = search.visit(root, 0)? {
        return Ok(image);
    }
    Err(ImageError::Platform {
        wanted: platform.clone(),
        present: search.present.into_iter().collect(),
    }
    .into())
}

/// A walk through an index, depth first.
struct Search<'a, S> {
    source: &'a S,
    reference: &'a str,
    platform: &'a Platform,
    /// The outermost index.
    index: Option<Digest>,
    /// Platforms seen and not wanted.
    present: BTreeSet<String>,
    documents: usize,
}

impl<S: BlobSource> Search<'_, S> {
    fn visit(&mut self, at: &Descriptor, depth: usize) -> Result<Option<Image>, S::Error> {
        self.documents += 1;
        if depth == MAX_DEPTH || self.documents > MAX_DOCUMENTS {
            return Err(ImageError::Nested {
                index: self.index.map_or_else(|| digest_of(at), Ok)?,
                limit: MAX_DEPTH,
            }
            .into());
        }
        let bytes = document(self.source, at)?;
        let digest = digest_of(at)?;
        match kind(at, &bytes)? {
            Kind::Manifest => self.manifest(digest, bytes),
            Kind::Index => {
                self.index.get_or_insert(digest);
                let entries = self.candidates(digest, &bytes)?;
                for entry in &entries {
                    if let Some(image) = self.visit(entry, depth + 1)? {
                        return Ok(Some(image));
                    }
                }
                Ok(None)
            }
        }
    }

    /// The entries worth looking at: those for the platform, then those that
    /// do not say what they are for, such as nested indexes.
    fn candidates(&mut self, digest: Digest, bytes: &[u8]) -> Result<Vec<Descriptor>, ImageError> {
        let index: ImageIndex =
            serde_json::from_slice(bytes).map_err(|source| ImageError::Json { digest, source })?;
        let (mut named, mut unnamed) = (Vec::new(), Vec::new());
        for entry in index.manifests() {
            match entry.platform().as_ref().map(Platform::of_descriptor) {
                Some(offered) if self.platform.accepts(&offered) => named.push(entry.clone()),
                // How signatures and attestations are marked.
                Some(offered) if offered.os == "unknown" => {}
                Some(offered) => drop(self.present.insert(offered.to_string())),
                None if entry.artifact_type().is_some() => {}
                None => unnamed.push(entry.clone()),
            }
        }
        named.append(&mut unnamed);
        Ok(named)
    }

    /// The image of a manifest, if it is for the platform.
    fn manifest(&mut self, digest: Digest, bytes: Vec<u8>) -> Result<Option<Image>, S::Error> {
        let manifest: ImageManifest =
            serde_json::from_slice(&bytes).map_err(|source| ImageError::Json { digest, source })?;
        let config_digest = check_config_type(manifest.config())?;
        let config = document(self.source, manifest.config())?;
        let configuration: ImageConfiguration =
            serde_json::from_slice(&config).map_err(|source| ImageError::Json {
                digest: config_digest,
                source,
            })?;
        let offered = Platform::of_config(&configuration);
        if !self.platform.accepts(&offered) {
            self.present.insert(offered.to_string());
            return Ok(None);
        }
        let layers = describe_layers(&manifest, &configuration, config_digest)?;
        let blobs = self.source.layers(manifest.layers())?;
        let layers = layers.into_iter().zip(blobs);
        Ok(Some(Image {
            reference: self.reference.to_owned(),
            published: Some(digest),
            index_digest: self.index,
            manifest_digest: digest,
            config_digest,
            layers: layers.map(|(layer, blob)| layer.with_blob(blob)).collect(),
            annotations: manifest
                .annotations()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            manifest: bytes,
            config,
            configuration,
            platform: offered,
        }))
    }
}

enum Kind {
    Index,
    Manifest,
}

/// What a document is: by its descriptor's media type, else by its own.
fn kind(descriptor: &Descriptor, bytes: &[u8]) -> Result<Kind, ImageError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        media_type: Option<String>,
        #[serde(default)]
        schema_version: u32,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
    }
    let digest = digest_of(descriptor)?;
    let probe: Probe =
        serde_json::from_slice(bytes).map_err(|source| ImageError::Json { digest, source })?;
    let named = descriptor.media_type().to_string();
    let own = probe.media_type.unwrap_or_default();
    let media_type = if own.is_empty() { named } else { own };
    match MediaType::from(media_type.as_str()) {
        MediaType::ImageIndex => Ok(Kind::Index),
        MediaType::ImageManifest => Ok(Kind::Manifest),
        MediaType::Other(other) if other == DOCKER_INDEX => Ok(Kind::Index),
        MediaType::Other(other) if other == DOCKER_MANIFEST => Ok(Kind::Manifest),
        _ if probe.schema_version == 1 => Err(ImageError::Schema1(digest)),
        // Old tools wrote manifests without a media type.
        _ if media_type.is_empty() && probe.manifests.is_some() => Ok(Kind::Index),
        _ if media_type.is_empty() && probe.layers.is_some() => Ok(Kind::Manifest),
        _ => Err(ImageError::MediaType {
            what: "manifest",
            digest,
            media_type,
        }),
    }
}

/// A layer whose bytes are not there yet.
struct Described {
    media_type: LayerMediaType,
    digest: Digest,
    size: u64,
    diff_id: Digest,
}

impl Described {
    fn with_blob(self, blob: BlobHandle) -> Layer {
        let Self {
            media_type,
            digest,
            size,
            diff_id,
        } = self;
        Layer {
            media_type,
            digest,
            size,
            diff_id: Some(diff_id),
            blob,
        }
    }
}

fn describe_layers(
    manifest: &ImageManifest,
    configuration: &ImageConfiguration,
    config: Digest,
) -> Result<Vec<Described>, ImageError> {
    let ids = configuration.rootfs().diff_ids();
    let layers = manifest.layers();
    if ids.len() != layers.len() || layers.len() > MAX_LAYERS {
        return Err(ImageError::LayerCount {
            config,
            ids: ids.len(),
            layers: layers.len(),
        });
    }
    let describe = |(layer, id): (&Descriptor, &String)| {
        let diff_id = id.parse().map_err(|_| ImageError::Digest(id.clone()))?;
        Ok(Described {
            media_type: layer_type(layer)?,
            digest: digest_of(layer)?,
            size: layer.size(),
            diff_id,
        })
    };
    layers.iter().zip(ids).map(describe).collect()
}

fn layer_type(layer: &Descriptor) -> Result<LayerMediaType, ImageError> {
    match layer.media_type() {
        MediaType::ImageLayer => Ok(LayerMediaType::Tar),
        MediaType::ImageLayerGzip => Ok(LayerMediaType::Gzip),
        MediaType::ImageLayerZstd => Ok(LayerMediaType::Zstd),
        MediaType::Other(other) if other == DOCKER_LAYER => Ok(LayerMediaType::Tar),
        MediaType::Other(other) if other == DOCKER_LAYER_GZIP => Ok(LayerMediaType::Gzip),
        MediaType::Other(other) if other == DOCKER_LAYER_ZSTD => Ok(LayerMediaType::Zstd),
        other => Err(ImageError::MediaType {
            what: "layer",
            digest: digest_of(layer)?,
            media_type: other.to_string(),
        }),
    }
}

fn check_config_type(config: &Descriptor) -> Result<Digest, ImageError> {
    let digest = digest_of(config)?;
    match config.media_type() {
        MediaType::ImageConfig => Ok(digest),
        MediaType::Other(other) if other == DOCKER_CONFIG => Ok(digest),
        other => Err(ImageError::MediaType {
            what: "config",
            digest,
            media_type: other.to_string(),
        }),
    }
}

/// Fetches a small document and compares it with its descriptor.
fn document<S: BlobSource>(source: &S, descriptor: &Descriptor) -> Result<Vec<u8>, S::Error> {
    let digest = digest_of(descriptor)?;
    if descriptor.size() > MAX_DOCUMENT {
        let size = descriptor.size();
        return Err(ImageError::DocumentSize {
            digest,
            size,
            limit: MAX_DOCUMENT,
        }
        .into());
    }
    let bytes = source.document(descriptor)?;
    if bytes.len() as u64 != descriptor.size() {
        let actual = bytes.len() as u64;
        return Err(ImageError::Size {
            digest,
            expected: descriptor.size(),
            actual,
        }
        .into());
    }
    let actual = Digest::of(&bytes);
    if actual != digest {
        return Err(ImageError::Content {
            expected: digest,
            actual,
        }
        .into());
    }
    Ok(bytes)
}

/// The digest of a descriptor.
///
/// # Errors
/// [`ImageError::Digest`] for other algorithms than SHA-256.
pub fn digest_of(descriptor: &Descriptor) -> Result<Digest, ImageError> {
    let text = descriptor.digest().to_string();
    text.parse().map_err(|_| ImageError::Digest(text))
}
