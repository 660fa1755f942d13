// SPDX-License-Identifier: MIT OR Apache-2.0
//! `[REGISTRY/]REPO[:TAG][@DIGEST]`: an image in a registry.
//!
//! The store is asked first and the registry only for what is missing. A tag
//! means what it was pinned to, unless `--pull=always` asks anew; it is pinned
//! when the whole image is in the store. Layers come several at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use elfuse_payload::Digest;
use oci_spec::image::{Descriptor, MediaType};

use super::{FetchContext, PullPolicy, Source, SourceError, oci_digest};
use crate::image::{self, BlobHandle, BlobSource, Image, digest_of};
use crate::reference::Reference;
use crate::registry::{Access, Client, Missing, Policy, RegistryError};
use crate::store::Pin;

/// Transfers at once; more makes registries angry and nothing faster.
const TRANSFERS: usize = 4;

/// An image in a registry.
#[derive(Debug)]
pub struct Registry {
    reference: Reference,
}

impl Registry {
    /// The image of that name.
    #[must_use]
    pub fn new(reference: Reference) -> Self {
        Self { reference }
    }
}

impl Source for Registry {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        if let Some(path) = &context.registry.policy {
            Policy::read(path)?.check(&self.reference)?;
        }
        let client = Client::new(
            &self.reference,
            Access::Pull,
            context.registry,
            context.progress,
        )?;
        let remote = Remote {
            client,
            reference: &self.reference,
            context,
        };
        let pin = remote.root()?;
        let root = Descriptor::new(
            MediaType::from(&pin.media_type[..]),
            pin.size,
            oci_digest(&pin.digest)?,
        );
        let name = self.reference.to_string();
        let mut image = image::select(&remote, &root, &name, context.platform)?;
        image.rename(&self.reference)?;
        if self.reference.digest().is_none() {
            context.store.set_pin(&pin)?;
        }
        Ok(image)
    }
}

/// The blobs of a repository, through the store.
struct Remote<'a> {
    client: Client<'a>,
    reference: &'a Reference,
    context: &'a FetchContext<'a>,
}

impl Remote<'_> {
    /// What the reference names: the store's knowledge, or the registry's.
    fn root(&self) -> Result<Pin, SourceError> {
        let store = self.context.store;
        let name = self.reference.to_string();
        if let Some(digest) = self.reference.digest() {
            if let Some(bytes) = store.document(&digest) {
                let size = bytes.len() as u64;
                // The document says itself what it is, or its fields do.
                return Ok(pin(name, digest, size, String::new()));
            }
            self.may_ask(Missing::Blob(digest))?;
            return self.fetch_root(name, &digest.to_string());
        }
        let tag = self.reference.tag().unwrap_or_default();
        let known = store.pin(&name);
        let known = known.filter(|pin| store.document(&pin.digest).is_some());
        match known {
            Some(pin) if self.context.pull != PullPolicy::Always => return Ok(pin),
            Some(pin) if self.client.resolve(tag)? == Some(pin.digest) => return Ok(pin),
            _ => self.may_ask(Missing::Tag)?,
        }
        self.fetch_root(name, tag)
    }

    fn fetch_root(&self, name: String, what: &str) -> Result<Pin, SourceError> {
        let fetched = self.client.manifest(what)?;
        self.context.store.put_document(&fetched.bytes)?;
        let size = fetched.bytes.len() as u64;
        Ok(pin(name, fetched.digest, size, fetched.media_type))
    }

    fn may_ask(&self, what: Missing) -> Result<(), SourceError> {
        if self.context.pull != PullPolicy::Never {
            return Ok(());
        }
        Err(RegistryError::Offline {
            reference: self.reference.to_string(),
            what,
        }
        .into())
    }
}

fn pin(reference: String, digest: Digest, size: u64, media_type: String) -> Pin {
    Pin {
        reference,
        digest,
        size,
        media_type,
    }
}

impl BlobSource for Remote<'_> {
    type Error = SourceError;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, SourceError> {
        let digest = digest_of(blob)?;
        if let Some(bytes) = self.context.store.document(&digest) {
            return Ok(bytes);
        }
        self.may_ask(Missing::Blob(digest))?;
        let bytes = match blob.media_type() {
            MediaType::ImageIndex | MediaType::ImageManifest => {
                self.client.manifest(&digest.to_string())?.bytes
            }
            MediaType::Other(other) if image::MANIFEST_TYPES.contains(&&other[..]) => {
                self.client.manifest(&digest.to_string())?.bytes
            }
            _ => self.client.document(&digest)?,
        };
        self.context.store.put_document(&bytes)?;
        Ok(bytes)
    }

    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, SourceError> {
        let wanted: Vec<(Digest, u64)> = blobs
            .iter()
            .map(|blob| Ok((digest_of(blob)?, blob.size())))
            .collect::<Result<_, SourceError>>()?;
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), SourceError> {
            while let Some(&(digest, size)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.layer(digest, size)
                    // The others stop after what they are at.
                    .inspect_err(|_| next.store(wanted.len(), Ordering::Relaxed))?;
            }
            Ok(())
        };
        let count = TRANSFERS.min(wanted.len());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            let results = workers.into_iter().map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            results.collect::<Result<Vec<()>, _>>()
        })?;
        let path = |(digest, _): &(Digest, u64)| self.context.store.blob_path(digest);
        Ok(wanted.iter().map(path).map(BlobHandle::from_path).collect())
    }
}

impl Remote<'_> {
    fn layer(&self, digest: Digest, size: u64) -> Result<(), SourceError> {
        if self.context.store.blob(&digest, size).is_some() {
            return Ok(());
        }
        self.may_ask(Missing::Blob(digest))?;
        let name = format!("pull {}", &digest.hex()[..12]);
        let task = self.context.progress.task(&name, Some(size));
        self.client.blob(self.context.store, digest, size, &*task)?;
        task.finish();
        Ok(())
    }
}
