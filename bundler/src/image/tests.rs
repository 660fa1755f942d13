// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of selection: images made in memory, right and wrong in one place.

use std::cell::RefCell;
use std::collections::HashMap;

use elfuse_payload::Digest;
use oci_spec::image::Descriptor;
use serde_json::{Value, json};

use super::{BlobHandle, BlobSource, Image, ImageError, Platform, digest_of, select};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Documents by digest.
#[derive(Default)]
struct Memory(RefCell<HashMap<Digest, Vec<u8>>>);

#[derive(Debug, thiserror::Error)]
enum MemoryError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("not there: {0}")]
    Missing(Digest),
}

impl BlobSource for Memory {
    type Error = MemoryError;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, MemoryError> {
        let digest = digest_of(blob)?;
        let found = self.0.borrow().get(&digest).cloned();
        found.ok_or(MemoryError::Missing(digest))
    }

    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, MemoryError> {
        let handle = |_: &Descriptor| BlobHandle::from_path("/nonexistent");
        Ok(blobs.iter().map(handle).collect())
    }
}

impl Memory {
    /// Keeps a document; the answer is its descriptor.
    fn put(&self, media_type: &str, document: &Value) -> Value {
        self.put_bytes(media_type, document.to_string().into_bytes())
    }

    fn put_bytes(&self, media_type: &str, bytes: Vec<u8>) -> Value {
        let (digest, size) = (Digest::of(&bytes), bytes.len());
        self.0.borrow_mut().insert(digest, bytes);
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
    }

    /// An image with one layer.
    fn image(&self, os: &str, architecture: &str) -> Value {
        self.image_of(os, architecture, &[layer(GZIP)], 1)
    }

    fn image_of(&self, os: &str, architecture: &str, layers: &[Value], ids: usize) -> Value {
        let ids = vec![Digest::of(b"tar").to_string(); ids];
        let config = json!({"os": os, "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": ids}});
        let config = self.put(CONFIG, &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.put(MANIFEST, &manifest)
    }

    fn index(&self, entries: &[Value]) -> Value {
        self.put(
            INDEX,
            &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}),
        )
    }

    fn select(&self, root: &Value) -> Result<Image, String> {
        self.select_for(root, "linux/arm64")
    }

    fn select_for(&self, root: &Value, platform: &str) -> Result<Image, String> {
        let root = serde_json::from_value(root.clone()).unwrap();
        let platform = platform.parse().unwrap();
        select(self, &root, "name", &platform).map_err(|error| error.to_string())
    }
}

fn layer(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(b"blob").to_string(), "size": 4})
}

/// An entry of an index that says what it is for.
fn entry(mut descriptor: Value, os: &str, architecture: &str, variant: Option<&str>) -> Value {
    descriptor["platform"] = json!({"os": os, "architecture": architecture});
    if let Some(variant) = variant {
        descriptor["platform"]["variant"] = json!(variant);
    }
    descriptor
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[test]
fn platform_is_chosen_from_an_index() {
    let memory = Memory::default();
    let (amd, arm) = (
        memory.image("linux", "amd64"),
        memory.image("linux", "arm64"),
    );
    let root = memory.index(&[
        entry(amd.clone(), "linux", "amd64", None),
        entry(arm.clone(), "linux", "arm64", Some("v8")),
    ]);
    let image = memory.select(&root).unwrap();
    assert_eq!(image.manifest_digest, digest(&arm));
    assert_eq!(image.index_digest, Some(digest(&root)));
    let image = memory.select_for(&root, "linux/amd64").unwrap();
    assert_eq!(image.manifest_digest, digest(&amd));
    assert_eq!(memory.select(&arm).unwrap().index_digest, None);
}

#[test]
fn nested_indexes_are_searched_beside_named_entries() {
    let memory = Memory::default();
    let (amd, arm) = (
        memory.image("linux", "amd64"),
        memory.image("linux", "arm64"),
    );
    let inner = memory.index(&[entry(arm.clone(), "linux", "arm64", None)]);
    let other = memory.index(&[entry(amd.clone(), "linux", "amd64", None)]);
    let root = memory.index(&[entry(amd, "linux", "amd64", None), other, inner]);
    let image = memory.select(&root).unwrap();
    assert_eq!(image.manifest_digest, digest(&arm));
    assert_eq!(image.index_digest, Some(digest(&root)));
}

#[test]
fn refusal_lists_what_there_is() {
    let memory = Memory::default();
    let (amd, riscv) = (
        memory.image("linux", "amd64"),
        memory.image("linux", "riscv64"),
    );
    let inner = memory.index(&[entry(riscv, "linux", "riscv64", None)]);
    let root = memory.index(&[
        entry(amd.clone(), "linux", "amd64", None),
        entry(amd.clone(), "unknown", "unknown", None),
        inner,
    ]);
    let text = memory.select(&root).unwrap_err();
    assert!(
        text.contains("linux/arm64; present: linux/amd64, linux/riscv64"),
        "{text}"
    );
    let text = memory.select(&amd).unwrap_err();
    assert!(text.contains("present: linux/amd64"), "{text}");
    assert!(
        memory
            .select(&memory.index(&[]))
            .unwrap_err()
            .contains("nothing")
    );
}

#[test]
fn config_decides_and_not_the_index() {
    let memory = Memory::default();
    let amd = memory.image("linux", "amd64");
    let root = memory.index(&[entry(amd, "linux", "arm64", None)]);
    let text = memory.select(&root).unwrap_err();
    assert!(text.contains("present: linux/amd64"), "{text}");
}

#[test]
fn nesting_and_breadth_are_bounded() {
    let memory = Memory::default();
    let mut root = memory.image("linux", "arm64");
    for _ in 0..5 {
        root = memory.index(&[root]);
    }
    assert!(memory.select(&root).unwrap_err().contains("nested"));
    let amd = memory.image("linux", "amd64");
    let wide = memory.index(&vec![amd; 1000]);
    assert!(memory.select(&wide).unwrap_err().contains("too many"));
}

#[test]
fn docker_media_types_are_the_same() {
    let memory = Memory::default();
    let docker = "application/vnd.docker";
    let ids = vec![Digest::of(b"").to_string(); 2];
    let config = json!({"os": "linux", "architecture": "arm64",
        "rootfs": {"type": "layers", "diff_ids": ids}});
    let config = memory.put(&format!("{docker}.container.image.v1+json"), &config);
    let layers = [
        layer(&format!("{docker}.image.rootfs.diff.tar.gzip")),
        layer(&format!("{docker}.image.rootfs.diff.tar")),
    ];
    let media_type = format!("{docker}.distribution.manifest.v2+json");
    let manifest =
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let manifest = memory.put(&media_type, &manifest);
    let list = format!("{docker}.distribution.manifest.list.v2+json");
    let entries = [entry(manifest, "linux", "arm64", Some("v8"))];
    let root = json!({"schemaVersion": 2, "mediaType": list, "manifests": entries});
    let image = memory.select(&memory.put(&list, &root)).unwrap();
    assert_eq!(image.layers.len(), 2);
}

#[test]
fn layers_that_cannot_be_read_are_refused_by_name() {
    for media_type in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.oci.image.layer.v1.tar+bzip2",
    ] {
        let memory = Memory::default();
        let root = memory.image_of("linux", "arm64", &[layer(media_type)], 1);
        let text = memory.select(&root).unwrap_err();
        assert!(
            text.contains(media_type) && text.contains("sha256:"),
            "{text}"
        );
    }
}

#[test]
fn old_and_foreign_manifests_are_refused_by_name() {
    let memory = Memory::default();
    let old = memory.put("", &json!({"schemaVersion": 1, "fsLayers": []}));
    assert!(memory.select(&old).unwrap_err().contains("schema 1"));
    let chart = json!({"schemaVersion": 2, "layers": [], "config":
        memory.put("application/vnd.cncf.helm.config.v1+json", &json!({}))});
    let text = memory.select(&memory.put(MANIFEST, &chart)).unwrap_err();
    assert!(text.contains("helm"), "{text}");
    let text = memory
        .select(&memory.put("text/html", &json!({})))
        .unwrap_err();
    assert!(text.contains("text/html"), "{text}");
}

#[test]
fn layers_and_diff_ids_must_be_as_many() {
    let memory = Memory::default();
    let root = memory.image_of("linux", "arm64", &[layer(GZIP)], 2);
    let text = memory.select(&root).unwrap_err();
    assert!(text.contains("2 diff_ids for 1 layers"), "{text}");
}

#[test]
fn documents_are_compared_with_their_descriptors() {
    let memory = Memory::default();
    let mut root = memory.image("linux", "arm64");
    root["size"] = json!(root["size"].as_u64().unwrap() + 1);
    assert!(memory.select(&root).unwrap_err().contains("bytes, not"));
    root["size"] = json!(5 << 20);
    assert!(memory.select(&root).unwrap_err().contains("more than"));
    let root = memory.image("linux", "arm64");
    let bytes = vec![b' '; usize::try_from(root["size"].as_u64().unwrap()).unwrap()];
    memory.0.borrow_mut().insert(digest(&root), bytes);
    assert!(
        memory
            .select(&root)
            .unwrap_err()
            .contains("the content has digest")
    );
    let mut other = root;
    other["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
    assert!(memory.select(&other).unwrap_err().contains("not SHA-256"));
}

/// The seeds name each other by digest: an index, manifests, a config.
fn seeds() -> Memory {
    let memory = Memory::default();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/manifest");
    for file in std::fs::read_dir(dir).unwrap() {
        memory.put_bytes("", std::fs::read(file.unwrap().path()).unwrap());
    }
    memory
}

/// Selects with `bytes` as index or manifest, and as the config of a manifest.
fn accepts(bytes: &[u8]) -> bool {
    thread_local!(static SEEDS: Memory = seeds());
    SEEDS.with(|memory| {
        let root = memory.put_bytes("", bytes.to_vec());
        let mut config = root.clone();
        config["mediaType"] = json!(CONFIG);
        let wrapped = json!({"schemaVersion": 2, "config": config, "layers": [layer(GZIP)]});
        let wrapped = memory.put(MANIFEST, &wrapped);
        let platform = Platform::default();
        let mut is_good = false;
        for root in [&root, &wrapped] {
            let descriptor = serde_json::from_value(root.clone()).unwrap();
            if let Ok(image) = select(memory, &descriptor, "name", &platform) {
                assert_eq!(Digest::of(&image.manifest), image.manifest_digest);
                assert_eq!(Digest::of(&image.config), image.config_digest);
                assert!(platform.accepts(&image.platform));
                assert!(image.layers.iter().all(|layer| layer.diff_id.is_some()));
                is_good = true;
            }
        }
        // Memory stays small however many mutants come; a mutant may be a seed.
        if memory.0.borrow().len() > 1000 {
            *memory.0.borrow_mut() = seeds().0.take();
        }
        is_good
    })
}

#[test]
fn seeds_are_all_good() {
    let memory = seeds();
    let all: Vec<_> = memory.0.borrow().values().cloned().collect();
    assert!(all.len() >= 4);
    assert!(all.iter().all(|bytes| accepts(bytes)));
}

#[test]
fn fuzz_manifest() {
    let tokens: &[&[u8]] = &[
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"-1",
        b"1e99",
        b"sha512:",
        b"arm64",
        b"unknown",
        b"\"platform\":",
        b"\"layers\":[]",
        b"\xff",
        b"\\u0000",
    ];
    crate::testing::fuzz("manifest", tokens, accepts);
}
