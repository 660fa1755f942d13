// SPDX-License-Identifier: MIT OR Apache-2.0
//! Archives of `docker save`, old and new.

use elfuse_payload::Digest;
use serde_json::json;

use super::{Made, Place, config, error, gzip, layer};
use crate::image::LayerMediaType;

fn layers() -> [Vec<u8>; 2] {
    [layer("a", "1"), layer("b", "2")]
}

/// The old form: a directory for each layer, the config named by its digest.
fn old(tags: &[&str], layers: &[Vec<u8>]) -> Made {
    let mut made = Made::default();
    let config = config("linux/arm64", layers);
    let config_name = format!("{}.json", Digest::of(&config).hex());
    made.put(&config_name, config);
    let names: Vec<_> = (0..layers.len())
        .map(|i| format!("{i}/layer.tar"))
        .collect();
    for (name, layer) in names.iter().zip(layers) {
        made.put(name, &layer[..]);
    }
    let list = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
    made.put("manifest.json", list.to_string());
    made
}

#[test]
fn old_and_new_form_are_the_same_image() {
    let place = Place::new();
    place.write("old.tar", &old(&["box:1"], &layers()).tar());
    let mut made = Made::default();
    let config = made.blob("", &config("linux/arm64", &layers()));
    let blobs = layers().map(|layer| made.blob("", &layer));
    let name = |blob: &serde_json::Value| {
        let digest = blob["digest"].as_str().unwrap();
        digest.replace("sha256:", "blobs/sha256/")
    };
    let names: Vec<_> = blobs.iter().map(name).collect();
    let list = json!([{"Config": name(&config), "RepoTags": ["box:1"], "Layers": names}]);
    made.put("manifest.json", list.to_string());
    made.put("oci-layout", "{}");
    place.write("new.tar", &made.tar());
    let old = place.load("docker-archive", "old.tar").unwrap();
    let new = place.load("docker-archive", "new.tar").unwrap();
    assert_eq!(old.reference, "docker-archive:box:1");
    assert_eq!(old.manifest, new.manifest);
    assert_eq!(place.squash(&new), ["./", "a", "b"]);
    assert_eq!(place.squash(&old), place.squash(&new));
}

#[test]
fn compressed_layers_are_found_out() {
    let place = Place::new();
    let mut made = old(&[], &layers());
    made.put("0/layer.tar", gzip(&layers()[0]));
    made.put(
        "1/layer.tar",
        zstd::encode_all(&layers()[1][..], 3).unwrap(),
    );
    place.write("a.tar", &made.tar());
    let image = place.load("docker-archive", "a.tar").unwrap();
    let types: Vec<_> = image.layers.iter().map(|layer| layer.media_type).collect();
    assert_eq!(types, [LayerMediaType::Gzip, LayerMediaType::Zstd]);
    assert_eq!(place.squash(&image), ["./", "a", "b"]);
}

#[test]
fn layer_may_be_a_link_to_another() {
    let place = Place::new();
    let twice = [layer("a", "1"), layer("a", "1")];
    let mut made = old(&[], &twice);
    made.0.remove("1/layer.tar");
    let link = Some(("1/layer.tar", "../0/layer.tar"));
    place.write("a.tar", &made.tar_with_link(link));
    let image = place.load("docker-archive", "a.tar").unwrap();
    assert_eq!(image.layers[0].digest, image.layers[1].digest);
    assert_eq!(place.squash(&image), ["./", "a"]);
}

#[test]
fn layer_that_is_not_what_the_config_says_is_refused() {
    let place = Place::new();
    let mut made = old(&[], &layers());
    made.put("1/layer.tar", layer("b", "3"));
    place.write("a.tar", &made.tar());
    let message = place.refusal("docker-archive", "a.tar");
    assert!(message.contains("its digest is"), "{message}");
    let mut made = old(&[], &layers());
    let list = String::from_utf8(made.0["manifest.json"].clone()).unwrap();
    made.put("manifest.json", list.replace(",\"1/layer.tar\"", ""));
    place.write("b.tar", &made.tar());
    let message = error(place.load("docker-archive", "b.tar"));
    assert!(message.contains("2 diff_ids for 1 layers"), "{message}");
}

#[test]
fn image_is_found_by_any_form_of_its_name() {
    let place = Place::new();
    let mut made = old(&["box:1", "example.test/a/box:2"], &layers());
    let list = String::from_utf8(made.0["manifest.json"].clone()).unwrap();
    let other = old(&["other:latest"], &layers());
    let more = String::from_utf8(other.0["manifest.json"].clone()).unwrap();
    made.put("manifest.json", list.replace("}]", "},") + &more[1..]);
    place.write("a.tar", &made.tar());
    for name in [
        "box:1",
        "docker.io/library/box:1",
        "example.test/a/box:2",
        "other",
    ] {
        let image = place
            .load("docker-archive", &format!("a.tar:{name}"))
            .unwrap();
        assert_eq!(image.reference, format!("docker-archive:{name}"));
    }
    let message = error(place.load("docker-archive", "a.tar"));
    let present = "present: box:1, example.test/a/box:2, other:latest\n";
    assert!(message.contains(present), "{message}");
}

#[test]
fn other_archives_are_called_by_name() {
    let place = Place::new();
    for (file, expected) in [
        ("repositories", "older than 1.10"),
        ("oci-layout", "oci-archive:FILE"),
        ("else", "no file manifest.json"),
    ] {
        let mut made = Made::default();
        made.put(file, "{}");
        place.write("a.tar", &made.tar());
        let message = error(place.load("docker-archive", "a.tar"));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_has_another_form_is_told_its_prefix() {
    let place = Place::new();
    let mut made = Made::default();
    made.put("manifest.json", "[]");
    place.write("a.tar", &made.tar());
    std::fs::create_dir(place.path("dir")).unwrap();
    for (kind, name, hint) in [
        ("oci-archive", "a.tar", "hint: name it docker-archive:FILE"),
        ("oci-archive", "dir", "oci:DIR"),
        ("oci", "a.tar", "oci-archive:FILE"),
        ("rootfs", "a.tar", "tar:FILE"),
        ("tar", "dir", "rootfs:DIR"),
    ] {
        let message = error(place.load(kind, name));
        assert!(message.contains(hint), "{kind}: {message}");
    }
}
