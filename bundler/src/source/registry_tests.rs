// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of whole images from a registry: what is asked, kept and refused.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elfuse_payload::Digest;
use serde_json::json;

use super::{FetchContext, PullPolicy, SourceError};
use crate::image::{Image, Platform};
use crate::progress::Quiet;
use crate::registry::{RegistryError, RegistryOptions, Retry};
use crate::store::Store;
use crate::testing::http::{Reply, Request, Server};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a registry holds, by path below `/v2/a/b/`.
#[derive(Default, Clone)]
struct Content(Arc<Mutex<HashMap<String, Typed>>>);

/// Media type and bytes.
type Typed = (String, Vec<u8>);

impl Content {
    fn put(&self, path: &str, media_type: &str, bytes: &[u8]) {
        let entry = (media_type.to_owned(), bytes.to_vec());
        self.0.lock().unwrap().insert(path.to_owned(), entry);
    }

    fn document(&self, kind: &str, media_type: &str, bytes: &[u8]) -> serde_json::Value {
        let digest = Digest::of(bytes).to_string();
        self.put(&format!("{kind}/{digest}"), media_type, bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Puts an image of `layers` for arm64, in an index, under the tag `t`.
    fn tag(&self, layers: &[&[u8]]) {
        let layer_type = "application/vnd.oci.image.layer.v1.tar";
        let ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
        let config = json!({"os": "linux", "architecture": "arm64",
            "rootfs": {"type": "layers", "diff_ids": ids}});
        let config_type = "application/vnd.oci.image.config.v1+json";
        let config = self.document("blobs", config_type, config.to_string().as_bytes());
        let layers = layers.iter().map(|l| self.document("blobs", layer_type, l));
        let layers: Vec<_> = layers.collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut entry = self.document("manifests", MANIFEST, manifest.to_string().as_bytes());
        entry["platform"] = json!({"os": "linux", "architecture": "arm64"});
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let index = index.to_string();
        self.document("manifests", INDEX, index.as_bytes());
        self.put("manifests/t", INDEX, index.as_bytes());
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.path.strip_prefix("/v2/a/b/").unwrap_or_default();
        let Some((media_type, bytes)) = self.0.lock().unwrap().get(path).cloned() else {
            return Reply::new(404);
        };
        Reply::new(200)
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", Digest::of(&bytes))
            .body(bytes)
    }
}

struct World {
    content: Content,
    server: Server,
    _dir: tempfile::TempDir,
    store: Store,
    options: RegistryOptions,
}

impl World {
    fn new() -> Self {
        let content = Content::default();
        let served = content.clone();
        let dir = tempfile::tempdir().unwrap();
        let auth_file = dir.path().join("auth.json");
        std::fs::write(&auth_file, "{}").unwrap();
        Self {
            content,
            server: Server::start(move |request| served.answer(request)),
            store: Store::open(Some(&dir.path().join("store"))).unwrap(),
            _dir: dir,
            options: RegistryOptions {
                auth_file: Some(auth_file),
                insecure: true,
                retry: Retry {
                    tries: 2,
                    first_wait: Duration::from_millis(1),
                },
                ..RegistryOptions::default()
            },
        }
    }

    fn load_named(&self, name: &str, pull: PullPolicy) -> Result<Image, SourceError> {
        let context = FetchContext {
            store: &self.store,
            platform: &Platform::default(),
            pull,
            registry: &self.options,
            threads: 2,
            progress: &Quiet,
        };
        super::parse(&format!("{}/a/b{name}", self.server.host()))?.load(&context)
    }

    fn load(&self, pull: PullPolicy) -> Result<Image, SourceError> {
        self.load_named(":t", pull)
    }

    /// How many requests `f` makes.
    fn count(&self, f: impl FnOnce()) -> usize {
        let before = self.server.requests().len();
        f();
        self.server.requests().len() - before
    }
}

fn bytes(image: &Image, layer: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut blob = image.layers[layer].blob.open().unwrap();
    blob.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn second_load_asks_nothing_and_works_offline() {
    let world = World::new();
    world.content.tag(&[b"one", b"two", b"one"]);
    let image = world.load(PullPolicy::Missing).unwrap();
    assert_eq!(
        (bytes(&image, 1), bytes(&image, 2)),
        (b"two".to_vec(), b"one".to_vec())
    );
    assert!(image.reference.ends_with("/a/b:t"));
    // Index, manifest, config and two layers: the one that is there twice once.
    assert_eq!(world.server.requests().len(), 5);
    for pull in [PullPolicy::Missing, PullPolicy::Never] {
        let asked = world.count(|| {
            let again = world.load(pull).unwrap();
            assert_eq!(again.manifest_digest, image.manifest_digest);
        });
        assert_eq!(asked, 0);
    }
    let index = image.index_digest.unwrap();
    let asked = world.count(|| {
        drop(
            world
                .load_named(&format!("@{index}"), PullPolicy::Never)
                .unwrap(),
        )
    });
    assert_eq!(asked, 0);
}

#[test]
fn tag_that_moved_is_seen_by_pull_always_only() {
    let world = World::new();
    world.content.tag(&[b"old"]);
    world.load(PullPolicy::Missing).unwrap();
    let asked = world.count(|| drop(world.load(PullPolicy::Always).unwrap()));
    assert_eq!(asked, 1, "the tag is asked for, nothing is fetched");
    world.content.tag(&[b"new"]);
    assert_eq!(bytes(&world.load(PullPolicy::Missing).unwrap(), 0), b"old");
    assert_eq!(bytes(&world.load(PullPolicy::Always).unwrap(), 0), b"new");
    assert_eq!(bytes(&world.load(PullPolicy::Never).unwrap(), 0), b"new");
}

#[test]
fn what_is_not_in_the_store_is_named_when_offline() {
    let world = World::new();
    let error = world.load(PullPolicy::Never).unwrap_err();
    assert!(matches!(
        error,
        SourceError::Registry(RegistryError::Offline { .. })
    ));
    world.content.tag(&[b"one"]);
    world.load(PullPolicy::Missing).unwrap();
    let digest = Digest::of(b"one");
    std::fs::remove_file(world.store.blob_path(&digest)).unwrap();
    let error = world.load(PullPolicy::Never).unwrap_err().to_string();
    assert!(error.contains(&digest.to_string()), "{error}");
    assert!(world.server.requests().len() == 4, "offline asks nobody");
    world.load(PullPolicy::Missing).unwrap();
}

#[test]
fn failed_load_pins_nothing_and_the_next_one_goes_on() {
    let world = World::new();
    world.content.tag(&[b"one", b"two"]);
    let path = format!("blobs/{}", Digest::of(b"two"));
    let kept = world.content.0.lock().unwrap().remove(&path).unwrap();
    let error = world.load(PullPolicy::Missing).unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
    assert_eq!(world.store.pins().unwrap(), []);
    world.content.put(&path, &kept.0, &kept.1);
    let asked = world.count(|| drop(world.load(PullPolicy::Missing).unwrap()));
    // The tag again, and the layer that was missing.
    assert!(asked <= 3, "{asked} requests");
}

#[test]
fn policy_is_asked_before_anybody_else() {
    let mut world = World::new();
    let path = world.store.root().join("policy.json");
    std::fs::write(&path, r#"{"default":[{"type":"reject"}]}"#).unwrap();
    world.options.policy = Some(path);
    let error = world.load(PullPolicy::Missing).unwrap_err();
    assert!(matches!(
        error,
        SourceError::Registry(RegistryError::Policy { .. })
    ));
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn layers_come_several_at_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let mut world = World::new();
    let layers: Vec<Vec<u8>> = (0..8_u8).map(|n| vec![n; 100]).collect();
    let layers: Vec<&[u8]> = layers.iter().map(|l| &l[..]).collect();
    world.content.tag(&layers);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (content, at_once, seen) = (world.content.clone(), now, most.clone());
    world.server = Server::start(move |request| {
        let count = at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(count, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        at_once.fetch_sub(1, Ordering::SeqCst);
        content.answer(request)
    });
    let image = world.load(PullPolicy::Missing).unwrap();
    assert_eq!(bytes(&image, 7), vec![7; 100]);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");
}
