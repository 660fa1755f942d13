// SPDX-License-Identifier: MIT OR Apache-2.0
//! System packages: what each command needs, by Debian's names. Missing ones
//! are installed when this runs as root on a Debian family system, and are
//! named in one message otherwise. A package counts as present when its
//! marker program is on PATH, so other distributions work as well.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// A Debian package and the program that shows it is there.
pub(crate) struct Package {
    name: &'static str,
    program: &'static str,
}

const fn package(name: &'static str, program: &'static str) -> Package {
    Package { name, program }
}

/// To cross-build the stub: C for zstd, and its archiver.
pub(crate) const STUB: &[Package] = &[package("clang", "clang"), package("llvm", "llvm-ar")];

/// To build Unicorn, the CPU under the simulator.
pub(crate) const SIMULATOR: &[Package] = &[
    package("cmake", "cmake"),
    package("libclang-dev", "llvm-config"),
    package("pkg-config", "pkg-config"),
];

/// To make test images and to judge what comes out.
pub(crate) const TESTS: &[Package] = &[
    package("attr", "setfattr"),
    package("bubblewrap", "bwrap"),
    package("debootstrap", "debootstrap"),
    package("docker-registry", "docker-registry"),
    package("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"),
    package("golang-go", "go"),
    package("jq", "jq"),
    package("libcap2-bin", "setcap"),
    package("llvm", "llvm-objdump"),
    package("openssl", "openssl"),
    package("python3", "python3"),
    package("python3-pip", "pip3"),
    package("qemu-user-static", "qemu-aarch64-static"),
    package("rpm", "rpmbuild"),
    package("skopeo", "skopeo"),
    package("strace", "strace"),
    package("umoci", "umoci"),
    package("zstd", "zstd"),
];

/// Makes sure that all of `wanted` is installed; silent when it is.
pub(crate) fn require(wanted: &[&[Package]]) -> Result<()> {
    let mut missing: Vec<&str> = wanted
        .iter()
        .flat_map(|list| list.iter())
        .filter(|package| process::find_program(package.program).is_none())
        .map(|package| package.name)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let has_apt = process::find_program("apt-get").is_some();
    if !has_apt || !is_root() {
        bail!(
            "system packages are missing: {names}\nhint: on Debian or Ubuntu run: sudo apt-get install {names}"
        );
    }
    eprintln!("installing: {names}");
    let mut install = apt_get();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    if process::quietly(&mut install).is_ok() {
        return Ok(());
    }
    // Most often the package lists are old or were never fetched.
    process::quietly(apt_get().arg("update"))?;
    process::quietly(&mut install)
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "Dpkg::Use-Pty=0"])
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}
