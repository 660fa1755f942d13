// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the local sources, with images made here.

mod docker;
mod layout;
mod plain;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use elfuse_payload::Digest;
use serde_json::{Value, json};

use super::{FetchContext, PullPolicy, Source, SourceError, parse, split_name};
use crate::image::{Image, Platform};
use crate::progress::Quiet;
use crate::registry::RegistryOptions;
use crate::squash::{SquashError, SquashOptions, squash};
use crate::store::Store;

/// Names and contents, as a directory or an archive will have them.
#[derive(Debug, Clone, Default)]
pub(super) struct Made(pub(super) BTreeMap<String, Vec<u8>>);

impl Made {
    pub(super) fn put(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), bytes.into());
    }

    /// Adds a blob; the descriptor of it.
    pub(super) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.put(&format!("blobs/sha256/{}", digest.hex()), bytes);
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    pub(super) fn write_dir(&self, root: &Path) {
        for (name, bytes) in &self.0 {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    pub(super) fn tar(&self) -> Vec<u8> {
        self.tar_with_link(None)
    }

    /// An archive that ends in a symbolic link: its name and its target.
    pub(super) fn tar_with_link(&self, link: Option<(&str, &str)>) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        for (name, bytes) in &self.0 {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        if let Some((name, target)) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, name, target).unwrap();
        }
        tar.into_inner().unwrap()
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A layer with one file.
pub(super) fn layer(name: &str, text: &str) -> Vec<u8> {
    let mut made = Made::default();
    made.put(name, text);
    made.tar()
}

pub(super) fn config(platform: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let platform: Platform = platform.parse().unwrap();
    let ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    let config = json!({
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    config.to_string().into_bytes()
}

/// Adds an image of a gzip and a plain layer; its manifest's descriptor.
pub(super) fn add_image(made: &mut Made, platform: &str) -> Value {
    let layers = [layer("etc/one", "1"), layer("etc/two", platform)];
    let config = config(platform, &layers);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": made.blob("application/vnd.oci.image.config.v1+json", &config),
        "layers": [
            made.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&layers[0])),
            made.blob("application/vnd.oci.image.layer.v1.tar", &layers[1]),
        ],
    });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    made.blob(media_type, manifest.to_string().as_bytes())
}

/// An empty directory and a store in it.
pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(&dir.path().join("store"))).unwrap();
        Self { dir, store }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Loads `KIND:NAME`, the name a file in this directory.
    pub(super) fn load(&self, kind: &str, name: &str) -> Result<Image, SourceError> {
        let text = format!("{kind}:{}", self.path(name).display());
        self.load_from(&*parse(&text)?)
    }

    pub(super) fn load_from(&self, source: &dyn Source) -> Result<Image, SourceError> {
        source.load(&FetchContext {
            store: &self.store,
            platform: &Platform::default(),
            pull: PullPolicy::Never,
            registry: &RegistryOptions::default(),
            threads: 2,
            progress: &Quiet,
        })
    }

    fn try_squash(&self, image: &Image) -> Result<Vec<u8>, SquashError> {
        let options = SquashOptions {
            scratch: self.store.scratch_dir(),
            ..SquashOptions::default()
        };
        let mut out = Vec::new();
        squash(&image.layers, &options, &Quiet, &mut out)?;
        Ok(out)
    }

    /// Why an image is refused, when it is loaded or when its layers are read.
    pub(super) fn refusal(&self, kind: &str, name: &str) -> String {
        match self.load(kind, name) {
            Ok(image) => self.try_squash(&image).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// The squashed names of an image.
    pub(super) fn squash(&self, image: &Image) -> Vec<String> {
        let out = self.try_squash(image).unwrap();
        let tar = zstd::decode_all(&out[..]).unwrap();
        let mut tar = tar::Archive::new(&tar[..]);
        let names = tar.entries().unwrap().map(|entry| {
            let name = entry.unwrap().path_bytes().into_owned();
            String::from_utf8(name).unwrap()
        });
        names.collect()
    }
}

pub(super) fn error(result: Result<Image, SourceError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_longest_path_that_exists_is_the_path() {
    let place = Place::new();
    let split = |text: &str| {
        let (path, name) = split_name(&format!("{}/{text}", place.dir.path().display()));
        let path = path.strip_prefix(place.dir.path()).unwrap();
        (path.to_str().unwrap().to_owned(), name)
    };
    std::fs::create_dir(place.path("dir")).unwrap();
    std::fs::create_dir(place.path("a:b")).unwrap();
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(split("dir"), ("dir".into(), None));
    assert_eq!(split("dir:tag"), ("dir".into(), some("tag")));
    assert_eq!(split("a:b"), ("a:b".into(), None));
    assert_eq!(split("a:b:c"), ("a:b".into(), some("c")));
    assert_eq!(split("dir@sha256:00"), ("dir".into(), some("@sha256:00")));
    assert_eq!(split("dir:r.io:5/x:1"), ("dir".into(), some("r.io:5/x:1")));
    assert_eq!(split("gone:r/x:1"), ("gone".into(), some("r/x:1")));
}
