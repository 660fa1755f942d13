// SPDX-License-Identifier: MIT OR Apache-2.0
//! From loaded images to a finished bundle.

use std::path::Path;

use elfuse_payload::Digest;
use elfuse_payload::layer::LayerSummary;
use elfuse_payload::provenance::{self, Provenance};
use elfuse_payload::segment::SegmentPlan;

use super::write::Output;
use super::{BundleError, Contents, Overrides, config};
use crate::image::{Image, Layer};
use crate::macho::Template;
use crate::progress::Progress;
use crate::squash::cache::squash_cached;
use crate::squash::{SquashError, SquashOptions};
use crate::store::Store;

/// Everything that decides the bytes of a bundle.
pub struct Request<'a> {
    /// The base image, then those stacked on it.
    pub images: &'a [Image],
    /// How to squash, transforms included.
    pub squash: SquashOptions,
    /// Changes to the config.
    pub overrides: Overrides,
    /// Changes made, as provenance tells them.
    pub transforms: Vec<provenance::Transform>,
    /// Run options that the bundle has unless it is told otherwise.
    pub run_options: Vec<String>,
    /// Whether the bundle passes all its arguments to the program.
    pub cli: bool,
}

/// What was built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Built {
    /// Digest of the manifest inside: the bundled image's name.
    pub digest: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the layer, compressed.
    pub layer_size: u64,
    /// Bytes of the layer, uncompressed.
    pub tar_size: u64,
    /// Names in the image.
    pub entries: u64,
    /// Whether the squashed layer was still there from an earlier run.
    pub is_cached: bool,
}

/// Why a bundle could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The layers cannot be merged.
    #[error(transparent)]
    Squash(#[from] SquashError),
    /// The file cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The config of the base image cannot be edited.
    #[error("edit config {digest}: {source}")]
    Config {
        /// The config.
        digest: Digest,
        /// The cause.
        source: serde_json::Error,
    },
    /// No image was given.
    #[error("build: no image")]
    NoImage,
}

/// Squashes the images and writes the bundle.
///
/// # Errors
/// What went wrong; nothing is then at `output`.
pub fn build(
    request: &Request<'_>,
    stub: &Template,
    store: &Store,
    output: &Path,
    progress: &dyn Progress,
) -> Result<Built, BuildError> {
    let base = request.images.first().ok_or(BuildError::NoImage)?;
    let layers: Vec<_> = request
        .images
        .iter()
        .flat_map(|image| image.layers.clone())
        .collect();
    let output = Output::create(stub, output)?;
    let mut early = output.early_layer(expected_head(request, base, &layers)?);
    let cache = store.layer_cache();
    let mut squashed = squash_cached(&layers, &request.squash, progress, &cache, &mut early)?;
    let placed = early.finish();
    let summary = squashed.summary;
    let documents = Documents::new(request, base, &summary.layer)?;
    let contents = Contents {
        manifest: &documents.manifest,
        config: &documents.config,
        provenance: &documents.provenance,
        layer: &mut squashed.file,
        layer_size: summary.layer.size,
        layer_digest: summary.layer.digest,
    };
    let size = output.finish(contents, placed, request.squash.threads, progress)?;
    Ok(Built {
        digest: Digest::of(&documents.manifest),
        size,
        layer_size: summary.layer.size,
        tar_size: summary.layer.tar_size,
        entries: summary.entries,
        is_cached: squashed.is_cached,
    })
}

/// What stands before the layer in a payload.
struct Documents {
    manifest: Vec<u8>,
    config: Vec<u8>,
    provenance: Vec<u8>,
}

impl Documents {
    fn new(request: &Request<'_>, base: &Image, layer: &LayerSummary) -> Result<Self, BuildError> {
        let config = config::config(&base.config, &request.overrides, layer);
        let config = config.map_err(|source| BuildError::Config {
            digest: base.config_digest,
            source,
        })?;
        Ok(Self {
            manifest: config::manifest(&config, layer),
            config,
            provenance: provenance(request, base).to_json(),
        })
    }
}

/// How long everything before the layer will be in the payload, most likely.
fn expected_head(request: &Request<'_>, base: &Image, layers: &[Layer]) -> Result<u64, BuildError> {
    let total = layers.iter().map(|layer| layer.size).sum::<u64>();
    let digest = Digest::from_bytes([0; 32]);
    let layer = LayerSummary {
        digest,
        // Only how many digits it has matters.
        size: total.min(1 << 30),
        diff_id: digest,
        tar_size: 0,
    };
    let Documents {
        manifest,
        config,
        provenance,
    } = Documents::new(request, base, &layer)?;
    let plan = SegmentPlan::new(&manifest, &config, &provenance, layer.size, digest);
    Ok(plan.map_err(BundleError::from)?.head.len() as u64)
}

fn provenance(request: &Request<'_>, base: &Image) -> Provenance {
    let created = base.configuration.created().clone();
    let labels = base
        .configuration
        .config()
        .as_ref()
        .and_then(|c| c.labels().clone());
    let mut labels: std::collections::BTreeMap<_, _> =
        labels.unwrap_or_default().into_iter().collect();
    labels.extend(request.overrides.labels.iter().cloned());
    Provenance {
        version: provenance::VERSION,
        tool: provenance::Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        sources: request.images.iter().map(source).collect(),
        platform: provenance::Platform {
            os: base.platform.os.clone(),
            architecture: base.platform.architecture.clone(),
            variant: base.platform.variant.clone(),
        },
        annotations: base.annotations.clone(),
        labels,
        transforms: request.transforms.clone(),
        run_options: request.run_options.clone(),
        cli: request.cli,
        source_date_epoch: request.squash.epoch,
        created,
    }
}

/// What does not depend on how the image came: in a registry, a layout and an
/// archive, blobs of the same image may be compressed in different ways.
fn source(image: &Image) -> provenance::Source {
    provenance::Source {
        reference: image.reference.clone(),
        manifest: image.published,
        config: Some(image.config_digest),
        diff_ids: image.layers.iter().filter_map(|l| l.diff_id).collect(),
    }
}
