// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask run ROOTFS -- PROGRAM`: a program of a root directory on this
//! machine, without a bundle and without a Mac: the runtime through the simulator.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::{packages, process};

/// Builds what is stale and becomes `elfuse-sim ARGS`; returns only errors.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    packages::require(&[packages::SIMULATOR])?;
    // The root is named from where the user is, which is where this still is.
    process::become_program(std::process::Command::new(build()?).args(args))?;
    Ok(())
}

/// Builds the simulator and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    let mut build = process::cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--package"]);
    process::run(build.arg("elfuse-sim"))?;
    Ok(process::target_dir().join("release/elfuse-sim"))
}
