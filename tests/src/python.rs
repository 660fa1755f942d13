// SPDX-License-Identifier: MIT OR Apache-2.0
//! Python with packages that judge what was made.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{made_once, run};

/// A Python that finds these packages, beside its own; fetched once and kept
/// under `name`.
///
/// # Errors
/// They cannot be fetched.
pub fn python_with(name: &str, packages: &[&str]) -> Result<Command> {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages_of_python(name, packages)?);
    Ok(python)
}

/// Where these packages are, fetched once and kept under `name`. `--no-deps`
/// as the first one leaves out what they need.
///
/// # Errors
/// They cannot be fetched.
pub fn packages_of_python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    made_once(&format!("python-{name}"), |dir| {
        // A virtual environment cannot be moved, so only packages are kept here.
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "--target"]);
        run(pip.arg(dir).args(packages)).map(drop)
    })
}
