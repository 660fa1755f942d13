// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bundle ARGS`: from a fresh clone to a running bundler. Builds
//! the stub, builds the bundler with that stub inside, becomes the bundler.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{packages, process, run, stub};

/// The variable that tells the bundler's build which stub to carry.
const STUB_IMAGE: &str = "ELFUSE_STUB_IMAGE";

/// Builds what is stale and becomes `elfuse-bundle ARGS`; returns only errors.
pub(crate) fn start(args: &[OsString]) -> Result<()> {
    let program = build(&stub::build()?)?;
    // On Linux a bundle runs in the simulator, which is looked for beside the
    // bundler.
    if args.iter().any(|arg| arg == "run") && !process::is_mac() {
        packages::require(&[packages::SIMULATOR])?;
        run::build()?;
    }
    process::become_program(std::process::Command::new(program).args(args))?;
    Ok(())
}

/// Builds the bundler around the stub at `image` and returns its path.
pub(crate) fn build(image: &Path) -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "elfuse-bundle",
    ]);
    process::run(build.env(STUB_IMAGE, image))?;
    Ok(program())
}

/// Where [`build`] puts it.
pub(crate) fn program() -> PathBuf {
    process::target_dir().join("release/elfuse-bundle")
}
