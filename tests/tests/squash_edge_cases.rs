// SPDX-License-Identifier: MIT OR Apache-2.0
//! Generated edge cases, each unpacked by `umoci unpack` as root and squashed by
//! us; our layer is unpacked by `zstd` and GNU tar, and the two trees are compared
//! entry by entry. Where umoci is wrong the case says why, what we make of it,
//! and fails if umoci ever agrees, so that the list stays true.

mod cases;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use cases::{Case, Umoci, cases};
use elfuse_bundle::image::{BlobHandle, Layer, LayerMediaType};
use elfuse_bundle::progress::Quiet;
use elfuse_bundle::squash::{SquashOptions, squash};
use elfuse_payload::Digest;
use elfuse_tests::layout::{self, LayerBlob};
use elfuse_tests::tree::{Listing, describe, differences};

#[test]
fn squashed_trees_equal_what_umoci_unpacks() {
    assert!(
        rustix::process::geteuid().is_root(),
        "device nodes and owners need root"
    );
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut failures = Vec::new();
    for case in &cases {
        let scratch = tempfile::tempdir().expect("a directory");
        if let Err(why) = run(case, scratch.path()) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} of {} cases:\n{}",
        cases.len(),
        failures.join("\n")
    );
}

fn run(case: &Case, scratch: &Path) -> Result<(), String> {
    let layers: Vec<_> = case.layers.iter().cloned().map(LayerBlob::tar).collect();
    let layout = scratch.join("layout");
    layout::write(&layout, &layers).map_err(|error| error.to_string())?;
    let theirs = umoci(&layout, &scratch.join("umoci")).map(|tree| mask(tree, &case.implicit));
    let ours = squash_layers(&layout, &layers, scratch);
    match (&case.umoci, ours) {
        (Umoci::AlsoRefuses(reason), Err(message)) => {
            theirs.err().ok_or("umoci accepts it")?;
            contains(&message, reason)
        }
        (Umoci::Accepts { why, reason }, Err(message)) => {
            theirs.map_err(|umoci| format!("umoci refuses it too ({umoci}), not: {why}"))?;
            contains(&message, reason)
        }
        (Umoci::AlsoRefuses(_) | Umoci::Accepts { .. }, Ok(_)) => Err("we accept it".to_owned()),
        (_, Err(message)) => Err(format!("we refuse it: {message}")),
        (Umoci::Agrees, Ok(ours)) => {
            let differences = differences(&theirs?, &mask(ours, &case.implicit));
            if differences.is_empty() {
                Ok(())
            } else {
                Err(differences.join("\n    "))
            }
        }
        (
            Umoci::Refuses {
                why,
                ours: expected,
            },
            Ok(ours),
        ) => match theirs {
            Ok(_) => Err(format!("umoci accepts it, so this is not true: {why}")),
            Err(_) => expect(&ours, expected),
        },
        (
            Umoci::Differs {
                why,
                ours: expected,
            },
            Ok(ours),
        ) => {
            if differences(&theirs?, &mask(ours.clone(), &case.implicit)).is_empty() {
                return Err(format!("umoci agrees, so this is not true: {why}"));
            }
            expect(&ours, expected)
        }
    }
}

fn contains(message: &str, reason: &str) -> Result<(), String> {
    if message.contains(reason) {
        Ok(())
    } else {
        Err(format!("another reason: {message}"))
    }
}

/// Leaves out the times that umoci makes up.
fn mask(mut tree: Listing, implicit: &[&str]) -> Listing {
    for name in implicit {
        if let Some(line) = tree.get_mut(*name) {
            line.truncate(line.rfind(' ').unwrap_or(0));
        }
    }
    tree
}

fn expect(ours: &Listing, expected: &[(&str, &str)]) -> Result<(), String> {
    for (name, line) in expected {
        let found = ours.get(*name).map_or("absent", String::as_str);
        if found != *line {
            return Err(format!("{name}: expected {line}, found {found}"));
        }
    }
    Ok(())
}

fn umoci(layout: &Path, bundle: &Path) -> Result<Listing, String> {
    let image = format!("{}:latest", layout.display());
    let mut command = Command::new("umoci");
    let output = command
        .args(["unpack", "--image", &image])
        .arg(bundle)
        .output();
    let output = output.expect("umoci is installed");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    describe(&bundle.join("rootfs")).map_err(|error| error.to_string())
}

fn squash_layers(layout: &Path, blobs: &[LayerBlob], scratch: &Path) -> Result<Listing, String> {
    let layers: Vec<_> = blobs.iter().map(|blob| layer(layout, blob)).collect();
    let path = scratch.join("layer.tar.zst");
    let mut out = File::create(&path).expect("a file");
    let options = SquashOptions {
        scratch: scratch.to_path_buf(),
        ..SquashOptions::default()
    };
    squash(&layers, &options, &Quiet, &mut out).map_err(|error| error.to_string())?;
    let root = scratch.join("ours");
    untar(&path, &root);
    describe(&root).map_err(|error| error.to_string())
}

fn layer(layout: &Path, blob: &LayerBlob) -> Layer {
    let digest = Digest::of(&blob.bytes);
    Layer {
        media_type: LayerMediaType::Tar,
        digest,
        size: blob.bytes.len() as u64,
        diff_id: Some(blob.diff_id),
        blob: BlobHandle::from_path(layout.join("blobs/sha256").join(digest.hex())),
    }
}

/// Unpacks a layer with other people's programs only.
fn untar(layer: &Path, root: &Path) {
    fs::create_dir(root).expect("a directory");
    let mut zstd = Command::new("zstd")
        .args(["-q", "-d", "-c"])
        .arg(layer)
        .stdout(Stdio::piped())
        .spawn()
        .expect("zstd is installed");
    let stream = zstd.stdout.take().expect("a pipe");
    let status = Command::new("tar")
        .args([
            "-x",
            "-p",
            "--numeric-owner",
            "--same-owner",
            "--xattrs",
            "--xattrs-include=*",
        ])
        .args(["--warning=no-timestamp", "--delay-directory-restore", "-C"])
        .arg(root)
        .stdin(stream)
        .status()
        .expect("tar is installed");
    assert!(status.success() && zstd.wait().expect("zstd ends").success());
}
