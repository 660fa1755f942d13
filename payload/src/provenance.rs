// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where an image came from and what was done to it.
//!
//! [`Provenance`] is written as JSON with fields in the order declared here and
//! maps sorted, so equal values have equal bytes. It holds nothing of the
//! building host, no time but what the image or `SOURCE_DATE_EPOCH` says, and of
//! its sources only what does not depend on the way they came.
//! Unknown fields of a later version are ignored, an unknown `version` is not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The version that this program writes and reads.
pub const VERSION: u32 = 1;

/// Where an image came from and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this document, [`VERSION`].
    pub version: u32,
    /// The program that made the bundle.
    pub tool: Tool,
    /// The images it was made of, the base first.
    pub sources: Vec<Source>,
    /// What the bundle runs on.
    pub platform: Platform,
    /// Annotations of the source manifest, as they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of the image as bundled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Changes made on the way, in the order they were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
    /// Run options that the bundle has unless it is told otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub run_options: Vec<String>,
    /// Whether the bundle passes all its arguments to the program in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cli: bool,
    /// `SOURCE_DATE_EPOCH`, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_date_epoch: Option<i64>,
    /// When the source image says it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// The program that made a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// An image that went into a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its full name, with a tag or else with the manifest's digest; for an
    /// image without one the kind of place it came from, such as `rootfs`.
    pub reference: String,
    /// Digest of the manifest, where it has one that others know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Digest of the config: the image's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Digest>,
    /// Digests of the uncompressed layers, the lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff_ids: Vec<Digest>,
}

/// What an image runs on, in the words of OCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `arm64`.
    pub architecture: String,
    /// `v8`, where the image says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A change made to an image on the way into the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// The option that asked for it, such as `strip-prefix`.
    pub name: String,
    /// Its value in the image, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Digest of what was added from the building host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// JSON that is not a provenance document.
#[derive(Debug, thiserror::Error)]
pub enum ProvenanceError {
    /// Not the JSON it should be.
    #[error("read provenance")]
    Json(#[from] serde_json::Error),
    /// A version this program does not know.
    #[error("read provenance: version {0} is not supported")]
    Version(u32),
}

impl Provenance {
    /// The document's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses a document.
    ///
    /// # Errors
    /// It is not JSON of this form, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        let provenance: Self = serde_json::from_slice(bytes)?;
        if provenance.version == VERSION {
            Ok(provenance)
        } else {
            Err(ProvenanceError::Version(provenance.version))
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
