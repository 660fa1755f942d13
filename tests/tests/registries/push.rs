// SPDX-License-Identifier: MIT OR Apache-2.0
//! `push`: what skopeo reads back is what is in the bundle.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::front::{Fault, Rules};
use elfuse_tests::workspace::run;
use serde_json::Value;

use super::{World, ended, names, raw_manifest, with_input};

#[test]
fn pushed_image_is_the_one_in_the_bundle() -> Result<()> {
    let world = World::with_debian()?;
    let file = world.build("a/debian:1", "debian")?;
    let file = file.display().to_string();
    let target = world.front.image("mine/debian:2");
    let push = ["push", "--insecure", "--json", &file, &target];
    let pushed: Value = serde_json::from_str(&world.user.run(push)?)?;
    let shown: Value = serde_json::from_str(&world.user.run(["inspect", "--json", &file])?)?;
    ensure!(pushed["digest"] == shown["digest"], "{pushed}");
    let manifest = raw_manifest(&format!("{}/mine/debian:2", world.registry.address()))?;
    let digest = elfuse_payload::Digest::of(&manifest).to_string();
    ensure!(pushed["digest"] == digest.as_str(), "{digest}");

    // Copied back by another tool, blobs are the same bytes under the same names.
    let layout = world.user.path("back");
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-tls-verify=false",
    ]);
    skopeo.arg(format!(
        "docker://{}/mine/debian:2",
        world.registry.address()
    ));
    run(skopeo.arg(format!("oci:{}:back", layout.display())))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let mut expected = vec![digest];
    for blob in [&manifest["config"], &manifest["layers"][0]] {
        expected.push(blob["digest"].as_str().context("a digest")?.to_owned());
    }
    ensure!(manifest["layers"][0]["digest"] == shown["layer"]["digest"]);
    let mut expected: Vec<_> = expected.iter().map(|d| d.replace("sha256:", "")).collect();
    expected.sort();
    let blobs = names(&layout.join("blobs/sha256"))?;
    ensure!(blobs == expected, "{blobs:?}");

    // The second time there is nothing to send but the manifest.
    drop(world.front.seen());
    let pushed: Value = serde_json::from_str(&world.user.run(push)?)?;
    ensure!(pushed["sent"] == 0, "{pushed}");
    let methods: Vec<_> = world.front.seen().into_iter().map(|s| s.method).collect();
    ensure!(methods == ["HEAD", "HEAD", "PUT"], "{methods:?}");
    Ok(())
}

#[test]
fn cut_upload_is_made_good() -> Result<()> {
    let world = World::with_debian()?;
    let file = world.build("a/debian:1", "debian")?.display().to_string();
    world.front.set(Rules {
        fault: Some(Fault::CutUpload {
            after: 5_000_000,
            times: 2,
        }),
        ..Rules::default()
    });
    drop(world.front.seen());
    let target = world.front.image("mine/debian:2");
    world.user.run(["push", "--insecure", &file, &target])?;
    let seen = world.front.seen();
    let count = |method: &str| seen.iter().filter(|s| s.method == method).count();
    // This registry forgets uploads that break: each begins anew, and the config's.
    ensure!(count("GET") == 2 && count("POST") == 4, "{seen:?}");
    let manifest = raw_manifest(&format!("{}/mine/debian:2", world.registry.address()))?;
    let shown: Value = serde_json::from_str(&world.user.run(["inspect", "--json", &file])?)?;
    let digest = elfuse_payload::Digest::of(&manifest).to_string();
    ensure!(shown["digest"] == digest.as_str(), "{digest}");
    Ok(())
}

#[test]
fn pushed_image_makes_the_same_layer_again() -> Result<()> {
    let world = World::with_busybox()?;
    let file = world.build("a/box:1", "box")?;
    let file = file.display().to_string();
    world.user.run([
        "push",
        "-q",
        "--insecure",
        &file,
        &world.front.image("mine/box:1"),
    ])?;
    let again = world.build("mine/box:1", "again")?;
    let digest = |file: &str| -> Result<Value> {
        let shown: Value = serde_json::from_str(&world.user.run(["inspect", "--json", file])?)?;
        Ok(shown["digest"].clone())
    };
    ensure!(digest(&file)? == digest(&again.display().to_string())?);
    Ok(())
}

#[test]
fn push_with_a_gzip_layer_is_the_same_image_for_older_tools() -> Result<()> {
    let world = World::with_busybox()?;
    let file = world.build("a/box:1", "box")?.display().to_string();
    let target = world.front.image("mine/box:old");
    let gzip = ["--insecure", "--compression-format", "gzip"];
    let push = [&["push", "--json", &file, &target], &gzip[..]].concat();
    let pushed: Value = serde_json::from_str(&world.user.run(push)?)?;
    let manifest = raw_manifest(&format!("{}/mine/box:old", world.registry.address()))?;
    let digest = elfuse_payload::Digest::of(&manifest).to_string();
    ensure!(pushed["digest"] == digest.as_str(), "{pushed}");
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let media_type = manifest["layers"][0]["mediaType"].as_str();
    let is_gzip = media_type.is_some_and(|kind| kind.ends_with("tar+gzip"));
    ensure!(is_gzip, "{manifest}");
    let again = world.build("mine/box:old", "again")?;
    let layer = |file: &str| -> Result<Value> {
        let shown: Value = serde_json::from_str(&world.user.run(["inspect", "--json", file])?)?;
        Ok(shown["layer"].clone())
    };
    ensure!(layer(&file)? == layer(&again.display().to_string())?);
    // Nothing waits in the store any more.
    ensure!(names(&world.user.store().join("scratch"))?.is_empty());
    Ok(())
}

#[test]
fn push_logs_in_and_asks_for_the_right_to_push() -> Result<()> {
    let world = World::with_busybox()?;
    let file = world.build("a/box:1", "box")?.display().to_string();
    world.front.set(Rules {
        token: Some("t0ken".to_owned()),
        login: Some("user:secret".to_owned()),
        ..Rules::default()
    });
    drop(world.front.seen());
    let target = world.front.image("mine/box:1");
    let refusal = world
        .user
        .fails(3, ["push", "--insecure", &file, &target])?;
    ensure!(
        refusal.contains("401") && refusal.contains("hint: "),
        "{refusal}"
    );
    let args = [
        "push",
        "--insecure",
        "--username=user",
        "--password-stdin",
        &file,
        &target,
    ];
    ended(&with_input(world.user.command(args)?, "secret")?, 0)?;
    let seen = world.front.seen();
    let token = seen.iter().find(|s| s.path.starts_with("/token"));
    let path = &token.context("no token was asked for")?.path;
    ensure!(
        path.contains("scope=repository%3Amine%2Fbox%3Apull%2Cpush"),
        "{path}"
    );
    Ok(())
}

#[test]
fn push_survives_passing_trouble_and_refuses_other_digests() -> Result<()> {
    let world = World::with_busybox()?;
    let file = world.build("a/box:1", "box")?.display().to_string();
    world.front.set(Rules {
        fault: Some(Fault::Unavailable(2)),
        ..Rules::default()
    });
    let target = world.front.image("mine/box:1");
    world
        .user
        .run(["push", "-q", "--insecure", &file, &target])?;
    let other = format!(
        "{}@sha256:{}",
        world.front.image("mine/box"),
        "0".repeat(64)
    );
    let refusal = world.user.fails(3, ["push", "--insecure", &file, &other])?;
    ensure!(refusal.contains("the image is sha256:"), "{refusal}");
    Ok(())
}

#[test]
fn damaged_bundle_is_not_pushed() -> Result<()> {
    let world = World::with_busybox()?;
    let file = world.build("a/box:1", "box")?;
    let judged = elfuse_tests::bundler::Bundle { path: file.clone() }.judged()?;
    let place = |key: &str| judged["layer"][key].as_u64().context("a number");
    let middle = usize::try_from(place("offset")? + place("size")? / 2)?;
    let mut bytes = std::fs::read(&file)?;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes)?;
    drop(world.front.seen());
    let (file, target) = (file.display().to_string(), world.front.image("mine/box:1"));
    let refusal = world
        .user
        .fails(3, ["push", "--insecure", &file, &target])?;
    ensure!(refusal.contains("push layer: its digest is"), "{refusal}");
    ensure!(world.front.seen().is_empty(), "something was sent");
    Ok(())
}
