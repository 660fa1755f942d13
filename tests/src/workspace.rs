// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are for tests: the programs under test, the build directory
//! and what is kept in it between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// The workspace's root directory.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A directory for what is slow to make, such as fetched packages. It lives as
/// long as the build directory.
///
/// # Errors
/// It cannot be made.
pub fn kept(name: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let dir = root().join(target).join("acceptance").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    Ok(dir)
}

/// Makes what `make` makes once and keeps it: `make` fills a temporary
/// directory, which is renamed when it succeeds. Tests running at the same
/// time wait for the first.
///
/// # Errors
/// What `make` said, or the file system.
pub fn made_once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let base = kept("made")?;
    let lock = std::fs::File::create(base.join(format!("{name}.lock")))?;
    lock.lock().with_context(|| format!("lock {name}"))?;
    let done = base.join(name);
    if !done.exists() {
        let unfinished = tempfile::Builder::new()
            .prefix(".unfinished")
            .tempdir_in(&base)?;
        make(unfinished.path()).with_context(|| format!("make {name}"))?;
        std::fs::rename(unfinished.keep(), &done)?;
    }
    Ok(done)
}

/// The bundler under test, as `cargo xtask test` built it.
///
/// # Errors
/// It is not built.
pub fn bundler() -> Result<PathBuf> {
    program("ELFUSE_BUNDLE", "target/release/elfuse-bundle")
}

/// The macOS stub, as `cargo xtask stub` built it.
///
/// # Errors
/// It is not built.
pub fn stub() -> Result<PathBuf> {
    program(
        "ELFUSE_STUB",
        "target/stub/elfuse-stub-aarch64-apple-darwin",
    )
}

/// The simulator: what `cargo xtask test` built, or the newest that is there.
///
/// # Errors
/// It is not built.
pub fn simulator() -> Result<PathBuf> {
    let builds = ["target/release/elfuse-sim", "target/debug/elfuse-sim"];
    let written = |build: &&str| {
        let file = root().join(build).metadata();
        file.and_then(|file| file.modified()).ok()
    };
    let newest = builds.into_iter().max_by_key(written).unwrap_or(builds[0]);
    program("ELFUSE_SIM", newest)
}

fn program(variable: &str, default: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| root().join(default), PathBuf::from);
    ensure!(
        path.is_file(),
        "{} is not built: run cargo xtask test",
        path.display()
    );
    Ok(path)
}

/// Whether suites that take minutes shall run.
#[must_use]
pub fn is_long_run() -> bool {
    std::env::var_os("ELFUSE_TEST_LONG").is_some()
}

/// Runs another program, which must succeed, and returns its standard output.
///
/// # Errors
/// It cannot be started or fails; the message has what it wrote.
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = try_run(command)?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, text_of(&output));
    }
    Ok(output.stdout)
}

/// Runs another program to its end, whatever that is.
///
/// # Errors
/// It cannot be started.
pub fn try_run(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("start {command:?}"))
}

/// Lets `command` start where `other` would: in its directory, with its environment
/// and nothing else. What wraps a program has to.
pub fn surround_like(command: &mut Command, other: &Command) {
    if let Some(dir) = other.get_current_dir() {
        command.current_dir(dir);
    }
    command.env_clear();
    for (name, value) in other.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
}

/// All that a program wrote, standard error last.
#[must_use]
pub fn text_of(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}
