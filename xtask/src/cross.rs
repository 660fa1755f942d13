// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust and C for aarch64-apple-darwin on a machine without Apple's SDK: the
//! linker is the rust-lld of the installed toolchain, libraries are the small
//! text stubs in `stub/sdk`, C is clang's with the headers beside them. On a
//! Mac the installed SDK and compiler are used instead.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{packages, process, rust_src};

/// The only platform that bundles run on.
pub(crate) const TARGET: &str = "aarch64-apple-darwin";

/// The oldest macOS a bundle starts on.
const MIN_MACOS: &str = "13.0";

/// How the standard library for the target comes about.
enum Std {
    /// The toolchain has it.
    Installed,
    /// Built along with the program, from this private sysroot's sources.
    Built(rust_src::Sysroot),
}

/// A prepared cross toolchain.
pub(crate) struct Cross {
    std: Std,
    root: PathBuf,
}

impl Cross {
    /// Finds or installs everything for a cross build of the tree at `root`.
    pub(crate) fn prepare(root: &Path) -> Result<Cross> {
        if !process::is_mac() {
            packages::require(&[packages::STUB])?;
        }
        let std = if std::env::var_os("ELFUSE_BUILD_STD").is_some() {
            Std::Built(rust_src::sysroot()?)
        } else if target_std_is_installed()? || rustup_adds_target()? {
            Std::Installed
        } else {
            Std::Built(rust_src::sysroot()?)
        };
        Ok(Cross {
            std,
            root: root.to_path_buf(),
        })
    }

    /// Where Cargo puts what this toolchain builds: the two kinds of standard
    /// library have different hashes and must not share a directory.
    pub(crate) fn target_dir_in(&self, base: &Path) -> PathBuf {
        match self.std {
            Std::Installed => base.to_path_buf(),
            Std::Built(_) => base.join("build-std"),
        }
    }

    /// A `cargo VERB` for the target, with the C toolchain in its environment.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let mut command = process::cargo();
        command
            .current_dir(&self.root)
            .arg(verb)
            .args(["--locked", "--target", TARGET]);
        command.env("MACOSX_DEPLOYMENT_TARGET", MIN_MACOS);
        if let Std::Built(sysroot) = &self.std {
            sysroot.configure(&mut command);
        }
        if process::is_mac() {
            return command;
        }
        let sdk = self.root.join("stub/sdk");
        let cflags = format!(
            "--target=arm64-apple-macos{MIN_MACOS} -nostdlibinc -isystem '{}' '-ffile-prefix-map={}=/elfuse'",
            sdk.join("usr/include").display(),
            self.root.display(),
        );
        command
            .env("SDKROOT", &sdk)
            .env("CC_aarch64_apple_darwin", "clang")
            .env("AR_aarch64_apple_darwin", "llvm-ar")
            .env("CFLAGS_aarch64_apple_darwin", cflags)
            // The tree's path may have blanks.
            .env("CC_SHELL_ESCAPED_FLAGS", "1")
            // zstd's optional assembly and pkg-config lookups are for the host.
            .env("PKG_CONFIG_ALLOW_CROSS", "0");
        command
    }

    /// Compiler flags of a program that is linked here and shipped.
    ///
    /// Paths inside the tree are relative: Cargo hashes the flags into symbol
    /// names, and the output must not depend on where the tree is.
    pub(crate) fn shipping_flags(&self) -> Result<Vec<String>> {
        let mut flags = vec![
            "-Clinker=rust-lld".to_owned(),
            "-Clinker-flavor=ld64.lld".to_owned(),
        ];
        let link = [
            "-headerpad 0x1000",
            "-dead_strip_dylibs",
            "-no_adhoc_codesign",
            "-sectcreate __ELFUSE __payload stub/sdk/payload-seed.bin",
            "-segprot __ELFUSE r r",
            "-x",
            "-S",
        ];
        flags.extend(
            link.iter()
                .flat_map(|arg| arg.split(' '))
                .map(|arg| format!("-Clink-arg={arg}")),
        );
        let mut remap = vec![(self.root.clone(), "/elfuse".to_owned())];
        for registry in registry_sources()? {
            remap.push((registry, "/crates".to_owned()));
        }
        match &self.std {
            Std::Installed => {}
            Std::Built(sysroot) => remap.extend(sysroot.remaps()),
        }
        flags.extend(
            remap
                .iter()
                .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())),
        );
        Ok(flags)
    }
}

/// The directories that Cargo unpacks registries into, one per registry; the
/// directory's name is a hash of the registry's address.
fn registry_sources() -> Result<Vec<PathBuf>> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => {
            PathBuf::from(std::env::var_os("HOME").context("find cargo's home: HOME is not set")?)
                .join(".cargo")
        }
    };
    let sources = home.join("registry/src");
    let entries =
        std::fs::read_dir(&sources).with_context(|| format!("list {}", sources.display()))?;
    let mut dirs = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    dirs.sort();
    Ok(dirs)
}

fn target_std_is_installed() -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(process::root())
        .args(["--print", "target-libdir", "--target", TARGET]);
    let dir = PathBuf::from(process::output(&mut rustc)?.trim());
    let Ok(mut entries) = std::fs::read_dir(&dir) else {
        return Ok(false);
    };
    Ok(entries.any(|entry| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    }))
}

/// Asks rustup for the target; false when there is no rustup or it has no way
/// to download.
fn rustup_adds_target() -> Result<bool> {
    if process::find_program("rustup").is_none() {
        return Ok(false);
    }
    eprintln!("installing: Rust's standard library for {TARGET}");
    match process::quietly(Command::new("rustup").args(["target", "add", TARGET])) {
        Ok(()) => target_std_is_installed(),
        Err(error) => {
            eprintln!("rustup has no {TARGET} here, building the library from source\n{error:#}");
            Ok(false)
        }
    }
}

/// Refuses a host that cannot link for the target, before anything is built.
pub(crate) fn linker_is_present() -> Result<()> {
    let mut rustc = Command::new("rustc");
    let sysroot = process::output(
        rustc
            .current_dir(process::root())
            .args(["--print", "sysroot"]),
    )?;
    let version = process::output(
        Command::new("rustc")
            .current_dir(process::root())
            .arg("-vV"),
    )?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("ask rustc for its host")?;
    let lld = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    if !lld.is_file() {
        bail!(
            "find the linker: {} is missing\nhint: install Rust from rustup, whose toolchains carry rust-lld",
            lld.display()
        );
    }
    Ok(())
}
