// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask stub`: builds the macOS program that every bundle begins
//! with, and holds it to its promises: the reserved segment, the header pad,
//! the linked framework, the oldest macOS, the size in docs/budgets.md.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross::{self, Cross, TARGET};
use crate::{macho, process};

/// The most bytes the stub may have, as docs/budgets.md promises.
const MAX_BYTES: usize = 3000 * 1000;

/// Builds the stub of this tree and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    let root = process::root();
    let image = compile(&root, &process::target_dir())?;
    let bytes = std::fs::read(&image).with_context(|| format!("read {}", image.display()))?;
    macho::check_stub(&bytes, &root).with_context(|| format!("check {}", image.display()))?;
    if bytes.len() > MAX_BYTES {
        bail!(
            "{}: {} bytes, over the budget of {MAX_BYTES}",
            image.display(),
            bytes.len()
        );
    }
    let output = process::target_dir()
        .join("stub")
        .join(format!("elfuse-stub-{TARGET}"));
    install(&bytes, &output)?;
    Ok(output)
}

/// Builds the stub again, from a copy of the tree in another directory, and
/// compares: where it was built must not show.
pub(crate) fn is_the_same_from_elsewhere(image: &Path) -> Result<()> {
    let elsewhere = tempfile::Builder::new().prefix("elfuse-stub").tempdir()?;
    let copy = elsewhere.path().join("a tree of another name");
    let files = process::output(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(process::root()),
    )?;
    for name in files.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (process::root().join(name), copy.join(name));
        std::fs::create_dir_all(to.parent().context("find the file's directory")?)?;
        // A file that was removed and not yet committed is still listed.
        if from.is_file() {
            std::fs::copy(&from, &to).with_context(|| format!("copy {name}"))?;
        }
    }
    let again = compile(&copy, &elsewhere.path().join("target"))?;
    if std::fs::read(image)? != std::fs::read(again)? {
        bail!("the stub differs when it is built in another directory");
    }
    Ok(())
}

/// Builds the stub from the tree at `root` into `target_dir`.
fn compile(root: &Path, target_dir: &Path) -> Result<PathBuf> {
    cross::linker_is_present()?;
    let cross = Cross::prepare(root)?;
    // The registry's directories must exist before they can be remapped.
    process::run(
        process::cargo()
            .current_dir(root)
            .args(["fetch", "--quiet", "--locked", "--target", TARGET]),
    )?;
    let target_dir = cross.target_dir_in(target_dir);
    let mut build = cross.cargo("build");
    build.args([
        "--quiet",
        "--package",
        "elfuse-stub",
        "--bin",
        "elfuse-stub",
        "--profile",
        "stub",
    ]);
    build.arg("--target-dir").arg(&target_dir);
    build.env(
        "CARGO_ENCODED_RUSTFLAGS",
        cross.shipping_flags()?.join("\x1f"),
    );
    process::run(&mut build).context(
        "build the stub\nhint: a symbol that the linker does not find belongs into \
         stub/sdk/usr/lib/libSystem.tbd, if macOS 13 has it",
    )?;
    Ok(target_dir.join(TARGET).join("stub/elfuse-stub"))
}

/// Puts `bytes` at `path`, without touching a file that already has them:
/// the bundler is rebuilt when the stub is newer.
fn install(bytes: &[u8], path: &Path) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let dir = path.parent().context("find the stub's directory")?;
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, bytes).with_context(|| format!("write {}", temporary.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("write {}", path.display()))
}
