// SPDX-License-Identifier: MIT OR Apache-2.0
//! On a Mac a bundle is a program like any other.

use std::path::Path;
use std::process::Command;

/// The bundle itself.
pub(super) fn command(bundle: &Path) -> anyhow::Result<Command> {
    // A name without a slash would be looked for in PATH.
    Ok(Command::new(std::path::absolute(bundle)?))
}
