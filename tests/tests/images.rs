// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real images, bundled: what comes out of the bundle is what umoci unpacks,
//! entry by entry, and other tools read the layer and the export.

use std::process::Command;

use anyhow::{Result, ensure};
use elfuse_tests::bundler::{User, unpacked_by_umoci};
use elfuse_tests::tree::{Listing, differences};
use elfuse_tests::workspace::run;
use elfuse_tests::{image, layout};

/// The root directory's own time is the time of unpacking where no layer names it.
fn equal(umoci: &Listing, ours: &Listing) -> Result<()> {
    let different = differences(umoci, ours);
    let shown = different
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    ensure!(
        different.is_empty(),
        "{} lines differ (- umoci, + ours):\n{shown}",
        different.len()
    );
    Ok(())
}

#[test]
fn busybox_in_the_bundle_is_what_umoci_unpacks() -> Result<()> {
    let user = User::new()?;
    let layout = image::busybox()?;
    let bundle = user.bundle(&layout, "box")?;
    bundle.judged()?;
    let ours = bundle.extracted_by_stub(&user.path("tree"))?;
    equal(&unpacked_by_umoci(&layout, "latest")?, &ours)
}

#[test]
fn debian_in_three_layers_is_what_umoci_unpacks() -> Result<()> {
    let user = User::new()?;
    let image = image::debian_system()?;
    let bundle = user.bundle(&image.mixed, "debian")?;
    bundle.judged()?;
    let ours = bundle.extracted_by_stub(&user.path("tree"))?;
    ensure!(ours.len() > 5000, "only {} entries", ours.len());
    let has = |name: &str, what: &str| ours.get(name).is_some_and(|line| line.contains(what));
    ensure!(
        has("usr/share/odd/suid/inside", "file 0644"),
        "replaced file"
    );
    ensure!(
        has("usr/share/odd/capable", "security.capability="),
        "file capability"
    );
    ensure!(
        has("usr/share/odd/owned", "4000000000:3000000001"),
        "32-bit owners"
    );
    ensure!(!ours.contains_key("usr/share/doc/bash"), "whiteout");
    equal(&unpacked_by_umoci(&image.plain, "latest")?, &ours)
}

#[test]
fn zstd_and_tar_read_the_layer_cut_out_of_a_bundle() -> Result<()> {
    let user = User::new()?;
    let bundle = user.bundle(&image::busybox()?, "box")?;
    let tar = image::filter("zstd -d -c -q", bundle.layer()?)?;
    let diff_id = elfuse_payload::Digest::of(&tar).to_string();
    ensure!(
        bundle.judged()?["diff_id"] == diff_id.as_str(),
        "diff_id is not the digest of the tar"
    );
    let names = String::from_utf8(image::filter("tar -t", tar)?)?;
    ensure!(names.lines().any(|name| name == "bin/busybox"), "{names}");
    Ok(())
}

#[test]
fn the_same_image_gives_the_same_bytes() -> Result<()> {
    let (one, other) = (User::new()?, User::new()?);
    let layout = image::busybox()?;
    let first = std::fs::read(one.bundle(&layout, "first")?.path)?;
    let image = format!("oci:{}:latest", layout.display());
    let command = other.command(["-q", "-o", "second", &image])?;
    // One processor instead of all.
    let mut taskset = Command::new("taskset");
    taskset
        .args(["-c", "0"])
        .arg(command.get_program())
        .args(command.get_args());
    taskset
        .current_dir(other.path(""))
        .env("ELFUSE_BUNDLE_STORE", other.store());
    run(&mut taskset)?;
    let second = std::fs::read(other.path("second"))?;
    let at = first
        .iter()
        .zip(&second)
        .position(|(one, other)| one != other);
    ensure!(
        first == second,
        "{} and {} bytes, different at {at:?}",
        first.len(),
        second.len()
    );
    Ok(())
}

#[test]
fn an_image_of_nothing_but_an_empty_layer_is_a_bundle() -> Result<()> {
    let user = User::new()?;
    let empty = tempfile::tempdir()?;
    let dir = user.path("empty-layout");
    layout::write(
        &dir,
        &[image::layer(empty.path(), image::Compression::Gzip)?],
    )?;
    user.bundle(&dir, "empty")?.judged()?;
    Ok(())
}
