// SPDX-License-Identifier: MIT OR Apache-2.0
//! Roots for programs of our own: C sources of `tests/guest`, compiled for arm64 into
//! a directory with nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{root, run};

/// A root with `bin` full of what `sources` (paths below `tests/guest`, without `.c`)
/// become, statically linked, and an empty `tmp`.
///
/// # Errors
/// The compiler is missing or refuses one.
pub fn root_with(sources: &[&str]) -> Result<tempfile::TempDir> {
    let made = tempfile::tempdir()?;
    for dir in ["bin", "tmp"] {
        fs::create_dir(made.path().join(dir))?;
    }
    fs::set_permissions(made.path().join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for source in sources {
        let name = source.rsplit('/').next().unwrap_or(source);
        let mut compile = Command::new("aarch64-linux-gnu-gcc");
        // Hostile programs pass pointers that a compiler warns of.
        compile.args(["-std=gnu11", "-static", "-O1", "-pthread", "-w", "-o"]);
        compile.arg(made.path().join("bin").join(name));
        compile.arg(root().join("tests/guest").join(format!("{source}.c")));
        run(&mut compile).with_context(|| format!("compile {source}"))?;
    }
    Ok(made)
}
