// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes an OCI image layout from layers, with none of the project's own code,
//! so that other tools can be given exactly what we are given.

use std::fs;
use std::io;
use std::path::Path;

use elfuse_payload::Digest;
use serde_json::{Value, json};

/// One layer blob with what the manifest and configuration say about it.
#[derive(Debug, Clone)]
pub struct LayerBlob {
    /// Media type in the manifest.
    pub media_type: &'static str,
    /// The blob.
    pub bytes: Vec<u8>,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
}

impl LayerBlob {
    /// An uncompressed layer.
    #[must_use]
    pub fn tar(bytes: Vec<u8>) -> Self {
        let diff_id = Digest::of(&bytes);
        Self {
            media_type: "application/vnd.oci.image.layer.v1.tar",
            bytes,
            diff_id,
        }
    }
}

/// Writes a layout with one image, tagged `latest`, for linux/arm64.
///
/// # Errors
/// What writing a file says.
pub fn write(dir: &Path, layers: &[LayerBlob]) -> io::Result<()> {
    fs::create_dir_all(dir.join("blobs/sha256"))?;
    let mut descriptors = Vec::new();
    for layer in layers {
        descriptors.push(blob(dir, layer.media_type, &layer.bytes)?);
    }
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| layer.diff_id.to_string())
        .collect();
    let config = json!({
        "architecture": "arm64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = blob(
        dir,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    )?;
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": config,
        "layers": descriptors,
    });
    let mut manifest = blob(dir, manifest_type, manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    manifest["platform"] = json!({ "architecture": "arm64", "os": "linux" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(dir.join("index.json"), index.to_string())?;
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
}

fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> io::Result<Value> {
    let digest = Digest::of(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes)?;
    Ok(json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() }))
}
