// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with an image's documents.

use elfuse_payload::Digest;

use super::Platform;

/// What can be wrong with an image's documents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A document is not the JSON it should be.
    #[error("read {digest}: {source}")]
    Json {
        /// The document.
        digest: Digest,
        /// The cause.
        source: serde_json::Error,
    },
    /// A digest that is not SHA-256.
    #[error("read image: digest {0:?} is not SHA-256, the only one supported")]
    Digest(String),
    /// A document is too large to be one.
    #[error("read {digest}: {size} bytes, more than the {limit} a document may have")]
    DocumentSize {
        /// The document.
        digest: Digest,
        /// Its stated size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A blob has another size than its descriptor says.
    #[error("read {digest}: {actual} bytes, not {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// Stated.
        expected: u64,
        /// Found.
        actual: u64,
    },
    /// A blob has other bytes than its descriptor says.
    #[error("read {expected}: the content has digest {actual}")]
    Content {
        /// Stated.
        expected: Digest,
        /// Found.
        actual: Digest,
    },
    /// A media type that cannot be read.
    #[error("read {what} {digest}: media type {media_type:?} is not supported")]
    MediaType {
        /// `manifest`, `config` or `layer`.
        what: &'static str,
        /// The blob.
        digest: Digest,
        /// Its media type.
        media_type: String,
    },
    /// A manifest of Docker's first version.
    #[error(
        "read manifest {0}: Docker schema 1 is not supported\nhint: push the image again with a current tool"
    )]
    Schema1(Digest),
    /// Indexes within indexes without end.
    #[error("read index {index}: nested more than {limit} deep, or too many entries")]
    Nested {
        /// The outermost.
        index: Digest,
        /// The limit.
        limit: usize,
    },
    /// The image is not there for the platform wanted.
    #[error(
        "select image: not for {wanted}; present: {}\nhint: choose an image that is for {wanted}, or another --platform",
        list(present)
    )]
    Platform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        present: Vec<String>,
    },
    /// A name that another image has.
    #[error("name image {actual}: the name's digest is {stated}")]
    Name {
        /// In the name.
        stated: Digest,
        /// The image.
        actual: Digest,
    },
    /// The config lists another number of layers than the manifest.
    #[error("read config {config}: {ids} diff_ids for {layers} layers")]
    LayerCount {
        /// The config.
        config: Digest,
        /// In the config.
        ids: usize,
        /// In the manifest.
        layers: usize,
    },
}

fn list(present: &[String]) -> String {
    if present.is_empty() {
        "nothing".to_owned()
    } else {
        present.join(", ")
    }
}
