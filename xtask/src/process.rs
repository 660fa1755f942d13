// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes, started the same way everywhere: the command line is
//! part of every error, output is inherited unless it is asked for, and no
//! shell is involved.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's root directory.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Whether this machine can build for Macs with its own SDK.
pub(crate) fn is_mac() -> bool {
    std::env::consts::OS == "macos"
}

/// Cargo's build directory.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The `cargo` that started this program, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs `command` with inherited output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", line(command)))?;
    if !status.success() {
        bail!("{}: {status}", line(command));
    }
    Ok(())
}

/// Runs `command` in place of this process where the system can, so that
/// signals, terminal and exit status are the program's own.
pub(crate) fn become_program(command: &mut Command) -> Result<std::convert::Infallible> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("start {}", line(command)))
}

/// Runs `command` and returns its standard output; its standard error is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", line(command)))?;
    if !out.status.success() {
        bail!("{}: {}", line(command), out.status);
    }
    String::from_utf8(out.stdout).with_context(|| format!("read output of {}", line(command)))
}

/// Runs `command` silently; what it wrote appears only when it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let out = command
        .output()
        .with_context(|| format!("start {}", line(command)))?;
    if !out.status.success() {
        bail!(
            "{}: {}\n{}{}",
            line(command),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(())
}

/// Where `program` is on PATH.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian keeps debootstrap and docker-registry's kin out of users' PATH.
    dirs.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.into_iter()
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// A command as a person would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
