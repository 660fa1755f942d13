// SPDX-License-Identifier: MIT OR Apache-2.0
//! `apple:NAME`: an image that Apple's `container` pulled, from its store.
//!
//! The store is one directory: `state.json` maps full image names to OCI
//! descriptors, `content/blobs/sha256` holds the blobs. The `container` tool
//! keeps it in `com.apple.container`, programs that use the Containerization
//! framework alone in `com.apple.containerization`, both below
//! `~/Library/Application Support`. Nothing is written and nothing is fetched.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;

use super::files::{Dir, Files};
use super::layout::Blobs;
use super::{FetchContext, Source, SourceError};
use crate::image::{self, Image};
use crate::reference::{self, Reference};

/// Names a store instead of the usual ones.
const VARIABLE: &str = "ELFUSE_APPLE_STORE";
const INDEX: &str = "state.json";

/// An image in Apple's store.
#[derive(Debug)]
pub struct AppleStore {
    reference: Reference,
    stores: Vec<PathBuf>,
}

impl AppleStore {
    /// The image of that name, in this user's stores or in the one that
    /// `ELFUSE_APPLE_STORE` names.
    #[must_use]
    pub fn new(reference: Reference) -> Self {
        Self {
            reference,
            stores: stores(|name| std::env::var_os(name)),
        }
    }

    /// The image of that name in the store at `path`.
    #[must_use]
    pub fn at(path: PathBuf, reference: Reference) -> Self {
        Self {
            reference,
            stores: vec![path],
        }
    }

    /// The store that has the image, and what it points at there.
    fn find(&self) -> Result<(&Path, Descriptor), SourceError> {
        let mut present = Vec::new();
        for store in self.stores.iter().filter(|store| store.is_dir()) {
            let bytes = Dir(store.clone()).document(INDEX)?;
            let index: BTreeMap<String, Descriptor> = serde_json::from_slice(&bytes)
                .map_err(|error| SourceError::format(store.join(INDEX), error.to_string()))?;
            for (name, root) in index {
                if reference::parse(&name).is_ok_and(|name| name == self.reference) {
                    return Ok((store, root));
                }
                present.push(name);
            }
        }
        Err(SourceError::Name {
            name: self.reference.to_string(),
            path: self.stores.first().cloned().unwrap_or_default(),
            present: present.join(", "),
        })
    }
}

impl Source for AppleStore {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        let (store, root) = self.find()?;
        let files = Dir(store.join("content"));
        let blobs = Blobs { files: &files };
        // With its scheme, so that an update looks here again and not in a
        // registry, where the name may be somebody else's.
        let name = format!("apple:{}", self.reference);
        image::select(&blobs, &root, &name, context.platform)
    }
}

fn stores(env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    if let Some(path) = env(VARIABLE).filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let home = PathBuf::from(env("HOME").unwrap_or_default());
    let support = home.join("Library/Application Support");
    ["com.apple.container", "com.apple.containerization"]
        .map(|name| support.join(name))
        .to_vec()
}
