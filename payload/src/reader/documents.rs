// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the format asks of the OCI manifest and config: that they describe the
//! sections beside them. Everything else in them is for their readers.

use serde::Deserialize;

use crate::Digest;
use crate::layer::MEDIA_TYPE;
use crate::segment::{Header, SectionKind};

/// A manifest or config that does not describe this payload.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not the JSON it should be.
    #[error("read {0}")]
    Json(&'static str, #[source] serde_json::Error),
    /// A field does not agree with the payload.
    #[error("read {0}: {1} does not describe the payload")]
    Field(&'static str, &'static str),
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    diff_ids: Vec<Digest>,
}

/// Checks that a manifest names exactly the config and the layer of `header`.
pub(super) fn check_manifest(json: &[u8], header: &Header) -> Result<(), DocumentError> {
    let manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| DocumentError::Json("manifest", error))?;
    let describes = |descriptor: &Descriptor, kind| {
        let section = header.section(kind);
        descriptor.digest == section.digest && descriptor.size == section.len
    };
    let wrong = |field| Err(DocumentError::Field("manifest", field));
    if manifest.schema_version != 2 {
        return wrong("schemaVersion");
    }
    if !describes(&manifest.config, SectionKind::Config) {
        return wrong("config");
    }
    match manifest.layers.as_slice() {
        [layer] if describes(layer, SectionKind::Layer) && layer.media_type == MEDIA_TYPE => Ok(()),
        _ => wrong("layers"),
    }
}

/// The one diff id of a config.
pub(super) fn diff_id(json: &[u8]) -> Result<Digest, DocumentError> {
    let config: Config =
        serde_json::from_slice(json).map_err(|error| DocumentError::Json("config", error))?;
    match config.rootfs.diff_ids.as_slice() {
        [diff_id] if config.rootfs.kind == "layers" => Ok(*diff_id),
        _ => Err(DocumentError::Field("config", "rootfs")),
    }
}
