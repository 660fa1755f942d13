// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong on the way: cut connections are continued, wrong bytes are
//! refused by name, and neither leaves anything that a later run trips over.

use std::fs;

use anyhow::{Context, Result, ensure};
use elfuse_tests::front::{Fault, Rules};

use super::{World, names};

fn rules(fault: Fault) -> Rules {
    Rules {
        fault: Some(fault),
        ..Rules::default()
    }
}

/// Digest and size of the one layer of busybox.
fn layer(world: &World) -> Result<(String, u64)> {
    let raw = super::raw_manifest(&format!("{}/a/box:1", world.registry.address()))?;
    let manifest: serde_json::Value = serde_json::from_slice(&raw)?;
    let layer = &manifest["layers"][0];
    let digest = layer["digest"].as_str().context("a digest")?.to_owned();
    Ok((digest, layer["size"].as_u64().context("a size")?))
}

#[test]
fn cut_connection_is_continued_where_it_broke() -> Result<()> {
    let world = World::with_busybox()?;
    let (digest, size) = layer(&world)?;
    let after = 300_000;
    ensure!(size > 3 * after as u64, "a layer of {size} bytes");
    world.front.set(rules(Fault::Cut { after, times: 2 }));
    world.pull("a/box:1", &[])?;
    let seen = world.blobs_seen();
    let ranges: Vec<_> = seen
        .iter()
        .filter(|s| s.path.contains(&digest))
        .map(|s| s.range.as_deref())
        .collect();
    let expected = [None, Some("bytes=300000-"), Some("bytes=600000-")];
    ensure!(ranges == expected, "{ranges:?}");
    Ok(())
}

#[test]
fn later_run_continues_what_an_earlier_one_left() -> Result<()> {
    let world = World::with_busybox()?;
    let (digest, _) = layer(&world)?;
    let cut = Fault::Cut {
        after: 400_000,
        times: 1,
    };
    world.front.set(rules(cut));
    let refusal = world.pull_fails("a/box:1", &["--tries=1"])?;
    ensure!(
        refusal.contains("broke off") && refusal.contains(&digest),
        "{refusal}"
    );
    let left = names(&world.user.store().join("ingest"))?;
    ensure!(left.len() == 1, "{left:?}");
    drop(world.front.seen());
    world.pull("a/box:1", &[])?;
    let seen = world.blobs_seen();
    ensure!(seen.len() == 1, "the config is there: {seen:?}");
    ensure!(
        seen[0].range.as_deref() == Some("bytes=400000-"),
        "{seen:?}"
    );
    ensure!(names(&world.user.store().join("ingest"))?.is_empty());
    Ok(())
}

#[test]
fn damaged_rest_of_an_earlier_run_is_fetched_anew() -> Result<()> {
    let world = World::with_busybox()?;
    let (digest, size) = layer(&world)?;
    let hex = digest.trim_start_matches("sha256:").to_owned();
    world.user.run(["status"])?;
    fs::write(world.user.store().join("ingest").join(&hex), vec![7; 1000])?;
    world.pull("a/box:1", &[])?;
    let blob = world.user.store().join("blobs/sha256").join(hex);
    ensure!(fs::metadata(&blob)?.len() == size, "not the whole blob");
    let actual = elfuse_payload::Digest::of(&fs::read(&blob)?).to_string();
    ensure!(actual == digest, "{actual}");
    Ok(())
}

/// A fault that no retry helps against, met by the config and by the layer;
/// nothing of it may stay.
fn refused(fault: Fault, word: &str) -> Result<()> {
    let world = World::with_busybox()?;
    let (digest, _) = layer(&world)?;
    let args = world.args(&["--tries=2", "-o", "box"], "a/box:1");
    let fails = |what: &str| -> Result<()> {
        world.front.set(rules(fault));
        let refusal = world.user.fails(3, &args)?;
        ensure!(
            refusal.contains(what) && refusal.contains(word),
            "{refusal}"
        );
        ensure!(world.user.leftovers(&[])?.is_empty(), "an output is there");
        world.front.set(Rules::default());
        Ok(())
    };
    fails("sha256:")?;
    ensure!(world.stored()?.len() == 1, "more than the manifest");
    world.pull("a/box:1", &[])?;
    let hex = digest.trim_start_matches("sha256:").to_owned();
    fs::remove_file(world.user.store().join("blobs/sha256").join(&hex))?;
    fails(&digest)?;
    ensure!(
        !world.stored()?.contains(&hex),
        "the wrong blob is in the store"
    );
    world.user.run(&args)?;
    world.user.run(["-q", "verify", "box"])?;
    Ok(())
}

#[test]
fn blob_with_a_wrong_byte_is_refused_by_digest() -> Result<()> {
    refused(Fault::WrongByte, "has digest sha256:")
}

#[test]
fn truncated_blob_is_refused() -> Result<()> {
    refused(Fault::Truncate, "sha256:")
}

#[test]
fn passing_trouble_is_waited_for() -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(rules(Fault::Unavailable(2)));
    world.pull("a/box:1", &[])?;
    world.user.run(["-q", "prune"])?;
    world.front.set(rules(Fault::Unavailable(9)));
    let refusal = world.pull_fails("a/box:1", &["--tries=2"])?;
    ensure!(refusal.contains("503"), "{refusal}");
    Ok(())
}

#[test]
fn rate_limit_is_explained() -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(rules(Fault::RateLimit));
    let refusal = world.pull_fails("a/box:1", &["--tries=2"])?;
    for word in ["too many requests", "try again in 1 s", "hint: log in"] {
        ensure!(refusal.contains(word), "no {word:?}: {refusal}");
    }
    Ok(())
}

#[test]
fn missing_image_and_missing_tag_are_named() -> Result<()> {
    let world = World::with_busybox()?;
    for name in ["a/box:2", "a/nothing:1"] {
        let refusal = world.pull_fails(name, &[])?;
        let (repository, tag) = name.split_once(':').context("a tag")?;
        let path = format!("/v2/{repository}/manifests/{tag}");
        ensure!(
            refusal.contains(&path) && refusal.contains("404"),
            "{refusal}"
        );
    }
    Ok(())
}
