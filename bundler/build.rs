// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts the macOS stub into the bundler, when the build names one.
//!
//! `ELFUSE_STUB_IMAGE` is the path of a linked stub; `cargo xtask` sets it. A
//! build without it makes a bundler that has to be told of a stub when it runs.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-env-changed=ELFUSE_STUB_IMAGE");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(has_stub)");
    let Some(image) = std::env::var_os("ELFUSE_STUB_IMAGE").map(PathBuf::from) else {
        return Ok(());
    };
    println!("cargo::rerun-if-changed={}", image.display());
    println!("cargo::rustc-cfg=has_stub");
    let out = std::env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    std::fs::copy(image, out.join("stub"))?;
    Ok(())
}
