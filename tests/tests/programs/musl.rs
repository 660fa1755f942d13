// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs linked to musl, whose loader, threads and names are not glibc's. The C
//! library is Debian's; the program calls what most programs call.

use std::path::{Path, PathBuf};
use std::process::Command;

use elfuse_tests::guest::Guest;
use elfuse_tests::workspace;

use crate::roots;

/// Compiles C for Debian's musl, which has no compiler of its own for arm64.
struct Musl {
    libraries: PathBuf,
    headers: [PathBuf; 2],
}

impl Musl {
    fn find() -> Self {
        let usr = roots::system().join("usr");
        let mut ask = Command::new("aarch64-linux-gnu-gcc");
        let own = workspace::run(ask.arg("-print-file-name=include")).expect("a compiler");
        let own = String::from_utf8(own).expect("a path");
        Self {
            libraries: usr.join("lib/aarch64-linux-musl"),
            headers: [
                usr.join("include/aarch64-linux-musl"),
                own.trim_end().into(),
            ],
        }
    }

    /// Compiles `source` to `output`; `start` are what the library begins a program of
    /// this form with.
    fn compile(&self, source: &str, output: &Path, start: &[&str], flags: &[&str]) {
        let mut compile = Command::new("aarch64-linux-gnu-gcc");
        compile.args(["-std=gnu11", "-O1", "-w", "-nostdinc", "-nostdlib"]);
        for dir in &self.headers {
            compile.arg("-isystem").arg(dir);
        }
        compile.args(flags).arg("-o").arg(output);
        compile.args(start.iter().map(|name| self.libraries.join(name)));
        compile.arg(workspace::root().join("tests/guest/programs").join(source));
        compile
            .arg("-L")
            .arg(&self.libraries)
            .args(["-lc", "-lgcc"]);
        if !start.is_empty() {
            compile.arg(self.libraries.join("crtn.o"));
        }
        workspace::run(&mut compile).expect("a program for musl");
    }
}

/// A root with the program in both forms, its loader, its plug-in and a shell.
fn root() -> tempfile::TempDir {
    let made = roots::own();
    let (musl, at) = (Musl::find(), |path: &str| made.path().join(path));
    let loader = "-Wl,--dynamic-linker=/lib/ld-musl-aarch64.so.1";
    let dynamic = ["-fPIE", "-pie", loader];
    musl.compile(
        "musl.c",
        &at("bin/dynamic"),
        &["Scrt1.o", "crti.o"],
        &dynamic,
    );
    musl.compile(
        "musl.c",
        &at("bin/static"),
        &["crt1.o", "crti.o"],
        &["-static"],
    );
    musl.compile("plug.c", &at("usr/lib/plug.so"), &[], &["-shared", "-fPIC"]);
    let library = musl.libraries.join("libc.so");
    std::fs::copy(library, at("lib/ld-musl-aarch64.so.1")).expect("musl");
    made
}

fn agrees(program: &str) -> String {
    let made = root();
    let guest = Guest::new(made.path(), &[program]).env("WORD", "expanded");
    guest.agrees_with_linux().stdout
}

#[test]
fn a_program_with_musl_as_its_loader_agrees_with_linux() {
    let printed = agrees("/bin/dynamic");
    for line in ["localhost 0 127.0.0.1 80", "dlopen 4 100 count 2 missing 1"] {
        assert!(printed.contains(line), "no {line}: {printed}");
    }
    assert!(printed.ends_with("musl: done\n"), "{printed}");
}

#[test]
fn a_program_with_musl_inside_agrees_with_linux() {
    let printed = agrees("/bin/static");
    assert!(printed.contains("dlopen is not supported"), "{printed}");
    assert!(printed.ends_with("musl: done\n"), "{printed}");
}
