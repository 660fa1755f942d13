// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uploads a bundle's image to a registry.
//!
//! The config, the one layer and the manifest go up as [`Outgoing`] has them: with
//! the digests of the bundle, unless its layer was compressed anew. The manifest
//! comes last: until then the registry shows nothing new. The layer is compared
//! with its digest before the first byte leaves, since a damaged bundle is better
//! refused here than there.

use std::io::{self, Read};

use elfuse_payload::{Digest, Range, ReadAt, Sha256Stream};

use crate::export::Outgoing;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Access, Client, RegistryError, RegistryOptions};

/// Media type of the manifest in a bundle.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Why an image could not be uploaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The registry's.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The bundle is damaged.
    #[error("push layer: its digest is {actual}, not {expected}")]
    Layer {
        /// What the bundle says.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The name asks for another image.
    #[error("push to {reference}: the image is {actual}")]
    Digest {
        /// The name.
        reference: String,
        /// The image.
        actual: Digest,
    },
    /// The bundle cannot be read.
    #[error("read {path}: {source}")]
    Io {
        /// The bundle.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

/// What was uploaded.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Pushed {
    /// Where the image is now.
    pub reference: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of config and layer that the registry did not have.
    pub sent: u64,
}

/// Uploads `image` as `reference`.
///
/// # Errors
/// The registry's, or the bundle is damaged.
pub fn push(
    image: &Outgoing<'_>,
    reference: &Reference,
    options: &RegistryOptions,
    progress: &dyn Progress,
) -> Result<Pushed, PushError> {
    let digest = Digest::of(image.manifest());
    if reference.digest().is_some_and(|wanted| wanted != digest) {
        return Err(PushError::Digest {
            reference: reference.to_string(),
            actual: digest,
        });
    }
    let client = Client::new(reference, Access::Push, options, progress)?;
    let (layer, layer_digest) = (image.layer(), image.layer_digest());
    check(image, progress)?;
    let config = image.config();
    let open_layer = |from| Ok(Box::new(Rest::new(layer.clone(), from)) as Box<dyn Read + Send>);
    let open_config = |from| {
        let rest = usize::try_from(from)
            .ok()
            .and_then(|from| config.get(from..));
        Ok(Box::new(io::Cursor::new(rest.unwrap_or_default().to_vec())) as Box<dyn Read + Send>)
    };
    let upload = |what: &str, digest: Digest, size: u64, open| -> Result<u64, PushError> {
        let task = progress.task(what, Some(size));
        let was_missing = client.push_blob(digest, size, open, &*task)?;
        task.finish();
        Ok(if was_missing { size } else { 0 })
    };
    let mut sent = upload("push layer", layer_digest, layer.size(), &open_layer)?;
    let config_size = config.len() as u64;
    sent += upload("push config", Digest::of(config), config_size, &open_config)?;
    let name = reference
        .tag()
        .map_or_else(|| digest.to_string(), str::to_owned);
    client.push_manifest(&name, MANIFEST, image.manifest())?;
    Ok(Pushed {
        reference: reference.to_string(),
        digest,
        sent,
    })
}

/// Compares the layer with its digest.
fn check(image: &Outgoing<'_>, progress: &dyn Progress) -> Result<(), PushError> {
    let (layer, expected) = (image.layer(), image.layer_digest());
    let task = progress.task("check layer", Some(layer.size()));
    let mut hash = Sha256Stream::new();
    let mut rest = Rest::new(layer.clone(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        let n = rest.read(&mut block).map_err(|source| PushError::Io {
            path: image.bundle().path().display().to_string(),
            source,
        })?;
        if n == 0 {
            break;
        }
        hash.update(&block[..n]);
        task.advance(n as u64);
    }
    task.finish();
    let actual = hash.finish();
    if actual == expected {
        Ok(())
    } else {
        Err(PushError::Layer { expected, actual })
    }
}

/// A range from an offset to its end.
struct Rest {
    range: Range,
    at: u64,
}

impl Rest {
    fn new(range: Range, at: u64) -> Self {
        Self { range, at }
    }
}

impl Read for Rest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.range.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
