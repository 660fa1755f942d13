// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask check`: everything that can be judged without running the
//! product. Each step prints one line; all steps run, and the failed ones are
//! told at the end.

mod docs;
mod licences;
mod rules;

use anyhow::Result;

use crate::cross::{Cross, TARGET};
use crate::{packages, process, tally::Tally};

/// What ships for macOS: these crates and what they depend on are also linted
/// for it. The simulator and its Unicorn are for other hosts only.
const SHIPPED: [&str; 6] = [
    "elfuse-bundle",
    "elfuse-kernel",
    "elfuse-machine",
    "elfuse-payload",
    "elfuse-stub",
    "linux-abi",
];

/// The crates with parsers of foreign bytes and their fuzz targets.
const FUZZED: [&str; 3] = ["elfuse-bundle", "elfuse-kernel", "elfuse-payload"];

/// How long each fuzz target runs under `--fuzz`.
const FUZZ_SECONDS: &str = "60";

/// Runs all steps, and the fuzz targets if `fuzz` says so.
pub(crate) fn run(fuzz: bool) -> Result<Tally> {
    packages::require(&[packages::STUB, packages::SIMULATOR])?;
    let mut tally = Tally::default();
    tally.step("format", || {
        process::quietly(process::cargo().args(["fmt", "--all", "--check"]))
    });
    tally.step("house rules", || rules::check(&process::root()));
    tally.step("documents", || docs::check(&process::root()));
    tally.step("licences", licences::check);
    tally.step("clippy for this machine", || {
        let mut clippy = process::cargo();
        clippy.args([
            "clippy",
            "--quiet",
            "--locked",
            "--workspace",
            "--all-targets",
        ]);
        process::quietly(clippy.args(["--", "-D", "warnings"]))
    });
    tally.step(&format!("clippy for {TARGET}"), clippy_for_mac);
    if fuzz {
        let mut test = process::cargo();
        test.args(["test", "--locked", "--no-fail-fast"]);
        test.args(FUZZED.map(|package| format!("--package={package}")));
        test.args(["--lib", "--tests", "--", "fuzz_"]);
        // Unlike a step of ours, no target at all is a failure.
        tally.cargo_test(test.env("ELFUSE_FUZZ_SECONDS", FUZZ_SECONDS))?;
    }
    Ok(tally)
}

fn clippy_for_mac() -> Result<()> {
    let cross = Cross::prepare(&process::root())?;
    let mut clippy = cross.cargo("clippy");
    clippy
        .arg("--quiet")
        .arg("--target-dir")
        .arg(cross.target_dir_in(&process::target_dir()));
    clippy.args(SHIPPED.map(|package| format!("--package={package}")));
    process::quietly(clippy.args(["--", "-D", "warnings"]))
}
