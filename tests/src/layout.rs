// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes an OCI image layout from layers, with none of the project's own code,
//! so that other tools can be given exactly what we are given.

use std::fs;
use std::io;
use std::path::Path;

use elfuse_payload::Digest;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

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
    write_with_config(dir, layers, &json!({}))
}

/// The same with what a configuration says about running the image: `Entrypoint`,
/// `Env` and the like.
///
/// # Errors
/// What writing a file says.
pub fn write_with_config(dir: &Path, layers: &[LayerBlob], run: &Value) -> io::Result<()> {
    let mut manifest = image(dir, "arm64", layers, run)?;
    manifest["platform"] = json!({ "architecture": "arm64", "os": "linux" });
    finish(dir, manifest)
}

/// Writes a layout with one index, tagged `latest`, of an image for each
/// architecture; returns the digests of their manifests.
///
/// # Errors
/// What writing a file says.
pub fn write_index(dir: &Path, images: &[(&str, &[LayerBlob])]) -> io::Result<Vec<String>> {
    let mut manifests = Vec::new();
    for (architecture, layers) in images {
        let mut manifest = image(dir, architecture, layers, &json!({}))?;
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        manifests.push(manifest);
    }
    let digest = |manifest: &Value| manifest["digest"].as_str().unwrap_or_default().to_owned();
    let digests = manifests.iter().map(digest).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    finish(dir, blob(dir, INDEX, index.to_string().as_bytes())?)?;
    Ok(digests)
}

/// Names the only document of the layout `latest`.
fn finish(dir: &Path, mut document: Value) -> io::Result<()> {
    document["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [document] });
    fs::write(dir.join("index.json"), index.to_string())?;
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// Writes the blobs of one image and describes its manifest.
fn image(dir: &Path, architecture: &str, layers: &[LayerBlob], run: &Value) -> io::Result<Value> {
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
        "architecture": architecture,
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = blob(
        dir,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    )?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": descriptors,
    });
    blob(dir, MANIFEST, manifest.to_string().as_bytes())
}

fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> io::Result<Value> {
    let digest = Digest::of(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes)?;
    Ok(json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() }))
}
