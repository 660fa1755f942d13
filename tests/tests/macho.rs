// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other people's programs make of a bundle as a Mach-O file, and what
//! our own `verify` makes of a damaged one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::{Bundle, User};
use elfuse_tests::image;
use elfuse_tests::python::python_with;
use elfuse_tests::workspace::{is_long_run, root, run, text_of, try_run};

fn box_bundle(user: &User) -> Result<Bundle> {
    user.bundle(&image::busybox()?, "box")
}

#[test]
fn an_independent_rehash_finds_every_page_and_digest_right() -> Result<()> {
    let user = User::new()?;
    let judged = box_bundle(&user)?.judged()?;
    ensure!(judged["signature"]["pages"].as_u64() > Some(10), "{judged}");
    Ok(())
}

#[test]
fn the_independent_judge_finds_damage() -> Result<()> {
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    let whole = std::fs::read(&bundle.path)?;
    for at in [8, 5000, whole.len() / 2, whole.len() - 100] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        std::fs::write(&bundle.path, &damaged)?;
        ensure!(bundle.judged().is_err(), "the judge does not see byte {at}");
    }
    Ok(())
}

#[test]
fn lief_and_macholib_accept_a_bundle() -> Result<()> {
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    let mut judge = python_with("macho", &["lief==1.0.0", "macholib==1.16.3"])?;
    judge.arg(root().join("tests/tools/judge_others.py"));
    run(judge.arg(&bundle.path)).map(drop)
}

#[test]
fn llvm_objdump_reads_the_headers_of_a_bundle() -> Result<()> {
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    let mut objdump = Command::new("llvm-objdump");
    let output = try_run(
        objdump
            .args(["--macho", "--private-headers"])
            .arg(&bundle.path),
    )?;
    let text = text_of(&output);
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{text}"
    );
    for expected in [
        "LC_CODE_SIGNATURE",
        "__ELFUSE",
        "Hypervisor.framework",
        "minos 13.0",
    ] {
        ensure!(text.contains(expected), "no {expected}:\n{text}");
    }
    Ok(())
}

#[test]
fn any_flipped_byte_is_found_and_named() -> Result<()> {
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    user.run(["verify", "box"])?;
    let whole = std::fs::read(&bundle.path)?;
    let judged = bundle.judged()?;
    let layer = usize::try_from(judged["layer"]["offset"].as_u64().context("no offset")?)?;
    // Every byte of the first and last kilobyte of what is structured, and a
    // stride through the rest: a prime, so that it meets all positions in a page.
    let stride = if is_long_run() { 1009 } else { 20_011 };
    let edges = [0..64, layer - 16..layer + 16, whole.len() - 64..whole.len()];
    let places = (0..whole.len())
        .step_by(stride)
        .chain(edges.into_iter().flatten());
    for at in places {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&bundle.path, &damaged)?;
        let output = try_run(&mut user.command(["verify", "box"])?)?;
        let text = text_of(&output);
        ensure!(
            matches!(output.status.code(), Some(1 | 3)),
            "byte {at}: {}: {text}",
            output.status
        );
        ensure!(
            text.contains("error: "),
            "byte {at} is not explained: {text}"
        );
    }
    Ok(())
}

#[test]
fn a_cut_bundle_is_refused_by_every_command() -> Result<()> {
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    let whole = std::fs::read(&bundle.path)?;
    for len in [0, 1, 31, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&bundle.path, &whole[..len])?;
        for command in ["verify", "inspect"] {
            let output = try_run(&mut user.command([command, "./box"])?)?;
            // A cut in the signature leaves a payload that can be described.
            if command == "verify" || len < whole.len() / 2 {
                ensure!(!output.status.success(), "{command} accepts {len} bytes");
                ensure!(text_of(&output).contains("error: "), "{}", text_of(&output));
            }
        }
    }
    Ok(())
}

#[test]
#[ignore = "builds rcodesign, which takes minutes: cargo xtask test --long"]
fn a_throw_away_certificate_signs_a_bundle_again() -> Result<()> {
    let rcodesign = std::env::var_os("ELFUSE_RCODESIGN").context("read ELFUSE_RCODESIGN")?;
    let user = User::new()?;
    let bundle = box_bundle(&user)?;
    let before = std::fs::read(&bundle.path)?;
    let layer = bundle.layer()?;
    let at = before.windows(layer.len()).position(|part| part == layer);
    let key = user.path("key.pem");
    let mut generate = Command::new(&rcodesign);
    generate.args(["generate-self-signed-certificate", "--person-name", "Test"]);
    run(generate.arg("--pem-unified-filename").arg(&key))?;
    let mut sign = Command::new(&rcodesign);
    // Nobody vouches for the time: that would take the network.
    run(sign
        .args(["sign", "--timestamp-url", "none", "--pem-file"])
        .arg(&key)
        .arg(&bundle.path))?;
    let mut verify = Command::new(&rcodesign);
    run(verify.arg("verify").arg(&bundle.path))?;
    try_run(&mut user.command(["verify", "./box"])?)?;
    let text = text_of(&try_run(
        &mut user.command(["inspect", "--json", "./box"])?,
    )?);
    let inspected: serde_json::Value = serde_json::from_str(&text)?;
    let signature = &inspected["signature"];
    ensure!(signature["adHoc"] == false, "{signature}");
    ensure!(signature["hypervisorEntitlement"] == true, "{signature}");
    let after = std::fs::read(&bundle.path)?;
    ensure!(after != before, "nothing was signed");
    let moved = after.windows(layer.len()).position(|part| part == layer);
    ensure!(at.is_some() && moved == at, "the payload has changed");
    bundle.extracted_by_stub(&user.path("out"))?;
    damage_after_signing(&user, &bundle.path)
}

/// The pages of a signature that is not ours are checked all the same.
fn damage_after_signing(user: &User, path: &Path) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(user.path("damaged"), &bytes)?;
    let output = user.command(["verify", "./damaged"])?.output()?;
    ensure!(output.status.code() == Some(1), "{}", text_of(&output));
    Ok(())
}
