// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rootfs:DIR` and `tar:FILE`: a root file system without an image around it.
//!
//! It becomes an image of one layer with an empty config for the platform
//! wanted; entrypoint, variables and the rest come from options. A directory is
//! read twice: once for its digest, and then by the squash, which compares.

use std::fs::File;
use std::path::{Path, PathBuf};

use elfuse_payload::Digest;
use oci_spec::image::MediaType;
use serde_json::json;

use super::archive::compression;
use super::files::digest;
use super::rootfs::Rootfs;
use super::{FetchContext, Source, SourceError};
use crate::image::{BlobHandle, Image, ImageError, Layer, LayerMediaType, Platform};

/// A directory that is to be the root.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Source for Directory {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        let rootfs = Rootfs::scan(&self.path, context.progress)?;
        let total = rootfs.content_size();
        let blob = BlobHandle::new(rootfs);
        let (digest, size) = read(&blob, &self.path, total, context)?;
        let layer = Layer {
            media_type: LayerMediaType::Tar,
            digest,
            size,
            diff_id: Some(digest),
            blob,
        };
        image("rootfs", layer, context.platform)
    }
}

/// A tar archive of a root: plain, gzip or zstd.
#[derive(Debug)]
pub struct Tarball {
    path: PathBuf,
}

impl Tarball {
    /// The archive at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Source for Tarball {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        let failed = |source| SourceError::io("open", &self.path, source);
        let file = File::open(&self.path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            let why = if meta.is_dir() {
                "a directory\nhint: an image of a directory is rootfs:DIR"
            } else {
                "not a regular file"
            };
            return Err(SourceError::format(&self.path, why));
        }
        let media_type = match compression(&file).map_err(failed)? {
            None => LayerMediaType::Tar,
            Some("gzip") => LayerMediaType::Gzip,
            Some("zstd") => LayerMediaType::Zstd,
            Some(other) => {
                let why = format!(
                    "compressed with {other}, which is not supported\nhint: decompress it first, or use gzip or zstd"
                );
                return Err(SourceError::format(&self.path, why));
            }
        };
        let blob = BlobHandle::from_path(&self.path);
        let (digest, size) = read(&blob, &self.path, meta.len(), context)?;
        let layer = Layer {
            media_type,
            digest,
            size,
            diff_id: (media_type == LayerMediaType::Tar).then_some(digest),
            blob,
        };
        image("tar", layer, context.platform)
    }
}

/// The digest and length of a whole stream.
fn read(
    blob: &BlobHandle,
    path: &Path,
    total: u64,
    context: &FetchContext<'_>,
) -> Result<(Digest, u64), SourceError> {
    let task = context.progress.task("read files", Some(total));
    let read = digest(blob, path, &|count| task.advance(count))?;
    task.finish();
    Ok(read)
}

/// An image of one layer. Its documents name only what is in them.
fn image(reference: &str, layer: Layer, platform: &Platform) -> Result<Image, SourceError> {
    let mut config = json!({
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": layer.diff_id.iter().map(Digest::to_string).collect::<Vec<_>>(),
        },
    });
    if let Some(variant) = &platform.variant {
        config["variant"] = json!(variant);
    }
    let config = config.to_string().into_bytes();
    let config_digest = Digest::of(&config);
    let media_type = match layer.media_type {
        LayerMediaType::Tar => MediaType::ImageLayer,
        LayerMediaType::Gzip => MediaType::ImageLayerGzip,
        LayerMediaType::Zstd => MediaType::ImageLayerZstd,
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest.to_string(),
        "config": {
            "mediaType": MediaType::ImageConfig.to_string(),
            "digest": config_digest.to_string(),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": media_type.to_string(),
            "digest": layer.digest.to_string(),
            "size": layer.size,
        }],
    });
    let manifest = manifest.to_string().into_bytes();
    let configuration = serde_json::from_slice(&config).map_err(|source| ImageError::Json {
        digest: config_digest,
        source,
    })?;
    Ok(Image {
        reference: reference.to_owned(),
        published: None,
        index_digest: None,
        manifest_digest: Digest::of(&manifest),
        manifest,
        config_digest,
        config,
        configuration,
        platform: platform.clone(),
        annotations: std::collections::BTreeMap::new(),
        layers: vec![layer],
    })
}
