// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that bring their own library, or their own scheduler: Rust's standard
//! library on musl, and Go, which makes its system calls itself, preempts its threads
//! by signals and maps its memory as no C library does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use elfuse_tests::guest::Guest;
use elfuse_tests::workspace::{self, kept, run};

use crate::roots;

const RUST_TARGET: &str = "aarch64-unknown-linux-musl";

fn source(name: &str) -> PathBuf {
    workspace::root().join("tests/guest/programs").join(name)
}

fn agrees(build: impl FnOnce(&Path)) -> String {
    let made = roots::own();
    build(&made.path().join("bin/program"));
    let guest = Guest::new(made.path(), &["/bin/program"]).limit(Duration::from_secs(120));
    guest.agrees_with_linux().stdout
}

/// The standard library comes as the one for the Mac does, from rustup.
fn build_rust(output: &Path) {
    let rustc = || Command::new("rustc");
    let printed = run(rustc().args(["--print", "target-libdir", "--target", RUST_TARGET]));
    let library = String::from_utf8(printed.expect("rustc")).expect("a path");
    if !Path::new(library.trim_end()).is_dir() {
        let mut add = Command::new("rustup");
        run(add.args(["target", "add", RUST_TARGET])).expect("Rust's library for musl");
    }
    let mut compile = rustc();
    compile.args(["--edition=2024", "-O", "--target", RUST_TARGET]);
    compile.args(["-C", "linker=rust-lld", "-C", "linker-flavor=ld.lld", "-o"]);
    run(compile.arg(output).arg(source("fearless.rs"))).expect("a program in Rust");
}

/// Needs no network: the program uses nothing but Go's own library.
fn build_go(output: &Path) {
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(output);
    build.arg(source("goroutines.go"));
    build.env("GOCACHE", kept("go-cache").expect("a directory"));
    for (name, value) in [
        ("CGO_ENABLED", "0"),
        ("GO111MODULE", "off"),
        ("GOARCH", "arm64"),
        ("GOFLAGS", ""),
        ("GOOS", "linux"),
        ("GOPROXY", "off"),
    ] {
        build.env(name, value);
    }
    run(&mut build).expect("a program in Go");
}

#[test]
fn a_static_program_in_rust_agrees_with_linux() {
    let printed = agrees(build_rust);
    assert!(printed.ends_with("rust: done\n"), "{printed}");
}

#[test]
fn a_static_program_in_go_agrees_with_linux() {
    let printed = agrees(build_go);
    assert!(printed.ends_with("go: done\n"), "{printed}");
}
