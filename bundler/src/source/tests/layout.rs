// SPDX-License-Identifier: MIT OR Apache-2.0
//! OCI layouts in directories and archives, and Apple's store.

use serde_json::{Value, json};

use super::{Made, Place, add_image, error};
use crate::source::AppleStore;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn tagged(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    descriptor
}

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
        .to_string()
        .into_bytes()
}

/// One image for arm64, named v1, and an index of two named v2.
fn made() -> Made {
    let mut made = Made::default();
    let single = tagged(add_image(&mut made, "linux/arm64"), "v1");
    let platforms = ["linux/amd64", "linux/arm64"].map(|platform| {
        let mut image = add_image(&mut made, platform);
        let (os, architecture) = platform.split_once('/').unwrap();
        image["platform"] = json!({"os": os, "architecture": architecture});
        image
    });
    let nested = tagged(made.blob(INDEX, &index(&platforms)), "v2");
    made.put("index.json", index(&[single, nested]));
    made.put("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    made
}

#[test]
fn directory_and_archive_hold_the_same_image() {
    let place = Place::new();
    made().write_dir(&place.path("dir"));
    place.write("file.tar", &made().tar());
    let dir = place.load("oci", "dir:v2").unwrap();
    let archive = place.load("oci-archive", "file.tar:v2").unwrap();
    assert_eq!(dir.reference, "oci:v2");
    assert_eq!(archive.reference, "oci-archive:v2");
    assert!(dir.index_digest.is_some());
    assert_eq!(dir.index_digest, archive.index_digest);
    assert_eq!(dir.manifest, archive.manifest);
    assert_eq!(place.squash(&dir), ["./", "etc/", "etc/one", "etc/two"]);
    assert_eq!(place.squash(&archive), place.squash(&dir));
}

#[test]
fn image_is_named_by_tag_or_digest_or_is_the_only_one() {
    let place = Place::new();
    place.write("file.tar", &made().tar());
    let v1 = place.load("oci-archive", "file.tar:v1").unwrap();
    let by_digest = format!("file.tar@{}", v1.manifest_digest);
    let found = place.load("oci-archive", &by_digest).unwrap();
    assert_eq!(found.manifest, v1.manifest);
    assert_eq!(found.reference, "oci-archive");
    let message = error(place.load("oci-archive", "file.tar"));
    assert!(message.contains("present: v1, v2\n"), "{message}");
    let message = error(place.load("oci-archive", "file.tar:v3"));
    assert!(message.contains("\"v3\""), "{message}");
}

#[test]
fn changed_blob_is_refused_before_use() {
    for (from, to) in [("etc/two", "etc/2wo"), ("linux", "linex")] {
        let place = Place::new();
        let mut made = made();
        for (name, bytes) in &mut made.0 {
            let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
            if let (true, Some(at)) = (name.starts_with("blobs"), at) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
        made.write_dir(&place.path("dir"));
        let message = place.refusal("oci", "dir:v1");
        let is_right =
            ["the content has digest", "its digest is"].map(|text| message.contains(text));
        assert!(is_right.contains(&true), "{message}");
    }
}

#[test]
fn missing_and_short_blobs_are_named() {
    let place = Place::new();
    let mut made = made();
    let image = {
        made.write_dir(&place.path("whole"));
        place.load("oci", "whole:v1").unwrap()
    };
    let name = format!("blobs/sha256/{}", image.layers[1].digest.hex());
    made.0.get_mut(&name).unwrap().pop();
    made.write_dir(&place.path("short"));
    let size = image.layers[1].size;
    let message = error(place.load("oci", "short:v1"));
    let expected = format!("{} bytes, not {size}", size - 1);
    assert!(message.contains(&expected), "{message}");
    made.0.remove(&name);
    place.write("gone.tar", &made.tar());
    let message = error(place.load("oci-archive", "gone.tar:v1"));
    assert!(message.contains(&name), "{message}");
}

#[test]
fn compressed_and_truncated_archives_are_refused() {
    let place = Place::new();
    let tar = made().tar();
    place.write("a.tar.gz", &super::gzip(&tar));
    let message = error(place.load("oci-archive", "a.tar.gz:v1"));
    assert!(message.contains("compressed with gzip"), "{message}");
    place.write("a.tar.xz", b"\xfd7zXZ\0rest");
    let message = error(place.load("oci-archive", "a.tar.xz:v1"));
    assert!(message.contains("compressed with xz"), "{message}");
    for length in (0..tar.len()).step_by(256) {
        place.write("cut.tar", &tar[..length]);
        // All that is read comes before the last entries.
        if let Ok(image) = place.load("oci-archive", "cut.tar:v2") {
            assert_eq!(place.squash(&image).len(), 4);
        }
    }
}

#[test]
fn names_in_an_archive_lead_nowhere_else() {
    let place = Place::new();
    let link = Some(("index.json", "../../etc/passwd"));
    place.write("link.tar", &made().tar_with_link(link));
    let message = error(place.load("oci-archive", "link.tar:v1"));
    assert!(message.contains("leads outside"), "{message}");
}

#[test]
fn apples_store_is_read_by_full_name() {
    let place = Place::new();
    let mut made = made();
    let bytes = made.0.remove("index.json").unwrap();
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    let mut root = index["manifests"][1].clone();
    root.as_object_mut().unwrap().remove("annotations");
    // Apple's encoder escapes slashes.
    let state = json!({"docker.io/library/box:latest": root}).to_string();
    let state = state.replace('/', "\\/");
    made.write_dir(&place.path("apple/content"));
    place.write("apple/state.json", state.as_bytes());
    let store = |name: &str| AppleStore::at(place.path("apple"), name.parse().unwrap());
    let image = place.load_from(&store("box")).unwrap();
    assert_eq!(image.reference, "apple:docker.io/library/box:latest");
    assert_eq!(place.squash(&image).len(), 4);
    let message = error(place.load_from(&store("box:2")));
    assert!(
        message.contains("present: docker.io/library/box:latest\n"),
        "{message}"
    );
    assert!(
        error(place.load_from(&AppleStore::at("gone".into(), "box".parse().unwrap())))
            .contains("not there")
    );
}
