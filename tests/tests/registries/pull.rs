// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is fetched: the right image of an index, each blob once, nothing that
//! is there already, and nothing at all offline.

use std::time::Duration;

use anyhow::{Result, ensure};
use elfuse_payload::Digest;
use elfuse_tests::front::Rules;
use elfuse_tests::layout::{self, LayerBlob};
use elfuse_tests::tarball::{Member, Tarball};
use serde_json::json;

use super::World;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn layer(contents: &str) -> LayerBlob {
    LayerBlob::tar(Tarball::of([Member::file("name", contents)]).finish())
}

/// Puts an index of two platforms into the registry; the arm64 digest first.
fn two_platforms(world: &World) -> Result<[String; 2]> {
    let dir = world.user.path("two");
    let (arm, amd) = ([layer("arm64")], [layer("amd64")]);
    let digests = layout::write_index(&dir, &[("amd64", &amd), ("arm64", &arm)])?;
    world.registry.fill(&dir, "latest", "a/two:1")?;
    Ok([digests[1].clone(), digests[0].clone()])
}

#[test]
fn index_gives_the_image_for_the_platform() -> Result<()> {
    let world = World::empty()?;
    let [arm, amd] = two_platforms(&world)?;
    ensure!(world.pull("a/two:1", &[])?["digest"] == arm.as_str());
    let blobs = world.blobs_seen().len();
    ensure!(
        blobs == 2,
        "config and layer of one image, not {blobs} blobs"
    );
    ensure!(world.pull("a/two:1", &["--platform=linux/arm64/v8"])?["digest"] == arm.as_str());
    ensure!(world.pull("a/two:1", &["--platform=linux/amd64"])?["digest"] == amd.as_str());
    let refusal = world.pull_fails("a/two:1", &["--platform=linux/riscv64"])?;
    for word in ["linux/riscv64", "linux/amd64", "linux/arm64"] {
        ensure!(refusal.contains(word), "no {word}: {refusal}");
    }
    Ok(())
}

#[test]
fn index_in_an_index_is_searched() -> Result<()> {
    let world = World::empty()?;
    let [arm, _] = two_platforms(&world)?;
    let address = world.registry.address();
    let inner = super::raw_manifest(&format!("{address}/a/two:1"))?;
    let descriptor = json!({"mediaType": INDEX, "digest": Digest::of(&inner), "size": inner.len()});
    let outer = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
    let outer = outer.to_string().into_bytes();
    let digest = world
        .registry
        .put_manifest("a/two", "nested", INDEX, &outer)?;
    let image = world.pull("a/two:nested", &[])?;
    ensure!(image["digest"] == arm.as_str(), "{image}");
    ensure!(image["index"] == digest.to_string().as_str(), "{image}");
    Ok(())
}

#[test]
fn dockers_own_manifests_are_read() -> Result<()> {
    let world = World::with_busybox()?;
    let layout = elfuse_tests::image::busybox()?;
    world
        .registry
        .fill_as_docker(&layout, "latest", "a/docker:1")?;
    let raw = super::raw_manifest(&format!("{}/a/docker:1", world.registry.address()))?;
    let raw: serde_json::Value = serde_json::from_slice(&raw)?;
    ensure!(
        raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json",
        "{raw}"
    );
    let (docker, oci) = (
        world.build("a/docker:1", "docker")?,
        world.build("a/box:1", "oci")?,
    );
    let layer = |file: &std::path::Path| -> Result<serde_json::Value> {
        let file = file.display().to_string();
        let shown = world.user.run(["inspect", "--json", &file])?;
        Ok(serde_json::from_str::<serde_json::Value>(&shown)?["layer"].clone())
    };
    ensure!(layer(&docker)? == layer(&oci)?);
    Ok(())
}

/// Puts an image into the registry whose only layer has another media type.
fn refused_layer(kind: &str) -> Result<String> {
    let world = World::with_busybox()?;
    let raw = super::raw_manifest(&format!("{}/a/box:1", world.registry.address()))?;
    let mut manifest: serde_json::Value = serde_json::from_slice(&raw)?;
    manifest["layers"][0]["mediaType"] = json!(kind);
    let digest = manifest["layers"][0]["digest"].to_string();
    let own = manifest["mediaType"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let bytes = manifest.to_string().into_bytes();
    world.registry.put_manifest("a/box", "odd", &own, &bytes)?;
    let refusal = world.pull_fails("a/box:odd", &[])?;
    ensure!(
        refusal.contains(digest.trim_matches('"')) && refusal.contains(kind),
        "{refusal}"
    );
    ensure!(world.blobs_seen().len() == 1, "the layer was fetched");
    Ok(refusal)
}

#[test]
fn layers_of_unknown_kinds_are_refused_by_name() -> Result<()> {
    for kind in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd+encrypted",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        refused_layer(kind)?;
    }
    Ok(())
}

#[test]
fn image_in_apples_store_needs_no_network() -> Result<()> {
    let world = World::empty()?;
    let store = world.user.path("apple");
    let content = store.join("content");
    layout::write(&content, &[layer("from a Mac")])?;
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(content.join("index.json"))?)?;
    let state = json!({"docker.io/library/tool:3": index["manifests"][0]});
    std::fs::write(store.join("state.json"), state.to_string())?;
    let run = |args: &[&str]| {
        let mut command = world.user.command(args)?;
        command.env("ELFUSE_APPLE_STORE", &store);
        elfuse_tests::workspace::try_run(&mut command)
    };
    super::ended(&run(&["-q", "apple:tool:3"])?, 0)?;
    let text = world.user.run(["cat", "tool_3", "/name"])?;
    ensure!(text == "from a Mac", "{text}");
    let told = super::ended(&run(&["update", "tool_3"])?, 0)?;
    ensure!(told.contains("is up to date"), "{told}");
    let refusal = super::ended(&run(&["apple:tool:4"])?, 3)?;
    ensure!(
        refusal.contains("present: docker.io/library/tool:3"),
        "{refusal}"
    );
    Ok(())
}

#[test]
fn second_pull_fetches_nothing() -> Result<()> {
    let world = World::with_busybox()?;
    let first = world.pull("a/box:1", &[])?;
    ensure!(world.blobs_seen().len() == 2, "config and layer");
    ensure!(world.pull("a/box:1", &[])? == first);
    let seen = world.front.seen();
    ensure!(seen.is_empty(), "{seen:?}");
    // Asking what the tag points at is one request without a body.
    ensure!(world.pull("a/box:1", &["--pull=always"])? == first);
    let seen = world.front.seen();
    ensure!(seen.len() == 1 && seen[0].method == "HEAD", "{seen:?}");
    // Another user of the same blobs under another name fetches the manifest only.
    let layout = elfuse_tests::image::busybox()?;
    world.registry.fill(&layout, "latest", "b/other:2")?;
    ensure!(world.pull("b/other:2", &[])?["digest"] == first["digest"]);
    let seen = world.front.seen();
    ensure!(
        seen.iter().all(|s| s.path.contains("/manifests/")),
        "{seen:?}"
    );
    Ok(())
}

#[test]
fn tag_is_pinned_until_it_is_asked_for_again() -> Result<()> {
    let world = World::empty()?;
    let push = |contents: &str| -> Result<()> {
        let dir = world.user.path(contents);
        layout::write(&dir, &[layer(contents)])?;
        world.registry.fill(&dir, "latest", "a/moving:1")
    };
    push("old")?;
    let old = world.pull("a/moving:1", &[])?;
    push("new")?;
    ensure!(world.pull("a/moving:1", &[])? == old, "pinned");
    ensure!(
        world.pull("a/moving:1", &["--pull=never"])? == old,
        "pinned"
    );
    let new = world.pull("a/moving:1", &["--pull=always"])?;
    ensure!(new != old, "asked again");
    ensure!(
        world.pull("a/moving:1", &["--offline"])? == new,
        "pinned to the new one"
    );
    // A digest means what it meant, whatever the tag does.
    let digest = old["digest"].as_str().unwrap_or_default();
    ensure!(world.pull(&format!("a/moving@{digest}"), &["--offline"])?["layers"] == old["layers"]);
    Ok(())
}

#[test]
fn offline_uses_the_store_and_sends_nothing() -> Result<()> {
    let world = World::with_busybox()?;
    let refusal = world.pull_fails("a/box:1", &["--offline"])?;
    ensure!(
        refusal.contains("not in the store, and offline"),
        "{refusal}"
    );
    let name = world.front.image("a/box:1");
    let refusal = world.user.fails(3, ["inspect", &name])?;
    ensure!(refusal.contains("not in the store"), "{refusal}");
    ensure!(refusal.contains("not a file; as an image"), "{refusal}");
    world.pull("a/box:1", &[])?;
    drop(world.front.seen());
    let shown = world.user.run(["inspect", &name])?;
    ensure!(shown.contains("linux/arm64"), "{shown}");
    world
        .user
        .run(world.args(&["-q", "--offline", "-o", "box"], "a/box:1"))?;
    let seen = world.front.seen();
    ensure!(seen.is_empty(), "{seen:?}");
    Ok(())
}

#[test]
fn several_blobs_come_at_once() -> Result<()> {
    let world = World::empty()?;
    let layers: Vec<_> = (0..12).map(|n| layer(&format!("layer {n}"))).collect();
    let dozen = world.user.path("dozen");
    layout::write(&dozen, &layers)?;
    world.registry.fill(&dozen, "latest", "a/dozen:1")?;
    world.front.set(Rules {
        delay: Duration::from_millis(300),
        ..Rules::default()
    });
    world.pull("a/dozen:1", &[])?;
    let most = world.front.most_blobs_at_once();
    // Four; a request counts until its connection knows that it is over.
    ensure!((2..=8).contains(&most), "{most} at once");
    Ok(())
}

#[test]
fn store_counts_what_it_holds_and_can_be_emptied() -> Result<()> {
    let world = World::with_busybox()?;
    world.pull("a/box:1", &[])?;
    let status = || -> Result<serde_json::Value> {
        Ok(serde_json::from_str(
            &world.user.run(["status", "--json"])?,
        )?)
    };
    let full = status()?;
    ensure!(full["blobs"] == 3 && full["pins"] == 1, "{full}");
    world.user.run(["-q", "prune", "--older-than", "1d"])?;
    ensure!(status()? == full, "nothing is old");
    world.user.run(["-q", "prune", "--keep-bytes", "1K"])?;
    ensure!(
        status()?["blobBytes"]
            .as_u64()
            .or(status()?["blob_bytes"].as_u64())
            <= Some(1000)
    );
    world.user.run(["-q", "prune"])?;
    let empty = status()?;
    ensure!(empty["blobs"] == 0 && empty["pins"] == 0, "{empty}");
    world.pull("a/box:1", &[])?;
    ensure!(world.stored()?.len() == 3, "fetched again");
    Ok(())
}
