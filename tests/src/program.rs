// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the built bundler and other programs, as their users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::layout::{self, LayerBlob};

/// The bundler that `cargo xtask test` built, with a store of its own.
///
/// # Panics
/// `ELFUSE_BUNDLE` is not set.
#[must_use]
pub fn bundler(store: &Path) -> Command {
    let program = std::env::var_os("ELFUSE_BUNDLE").expect("cargo xtask test sets ELFUSE_BUNDLE");
    let mut command = Command::new(program);
    command.arg("--quiet").arg("--store").arg(store);
    command
}

/// Makes a bundle `name` in `dir` of an image with these layers, with more
/// arguments where they are wanted, and returns its path.
///
/// # Panics
/// The bundler fails.
#[must_use]
pub fn bundle(dir: &Path, name: &str, layers: &[LayerBlob], args: &[&str]) -> PathBuf {
    let image = dir.join(format!("{name}.layout"));
    layout::write(&image, layers).expect("a layout");
    let output = dir.join(name);
    let mut source = std::ffi::OsString::from("oci:");
    source.push(&image);
    let mut command = bundler(&dir.join("store"));
    command.arg(source).arg("-o").arg(&output).args(args);
    succeed(&mut command);
    output
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be started.
pub fn run(command: &mut Command) -> Output {
    let started = command.output();
    started.unwrap_or_else(|error| panic!("start {command:?}: {error}"))
}

/// Runs a command that must succeed and returns what it printed.
///
/// # Panics
/// It does not.
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = run(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    let what = output.status;
    assert!(what.success(), "{command:?}: {what}: {errors}");
    output.stdout
}

/// Runs a program that must succeed and returns what it printed.
///
/// # Panics
/// It does not.
pub fn tool<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Vec<u8> {
    succeed(Command::new(program).args(args))
}
