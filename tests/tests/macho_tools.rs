// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other people's programs say of a grown and signed executable: llvm-objdump,
//! LIEF and macholib read it, and a re-hash written from docs/macho.md alone
//! finds every page and slot right.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use elfuse_bundle::macho::{SignedWriter, Template};

/// The file that the tools judge: the linked stub with a payload of a pattern.
fn bundle(dir: &Path) -> PathBuf {
    let stub = std::env::var_os("ELFUSE_STUB").expect("cargo xtask test sets ELFUSE_STUB");
    let template = Template::new(std::fs::read(stub).expect("the stub")).expect("a stub");
    let payload = vec![0xa5; 40 * 16384];
    let mut writer = SignedWriter::new(&template, 40 * 16384, "judged", 2, Vec::new())
        .expect("room for the payload");
    writer.write_all(&payload).expect("memory");
    let path = dir.join("judged");
    std::fs::write(&path, writer.finish().expect("memory")).expect("a file");
    path
}

fn run(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(args).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

#[test]
fn llvm_objdump_reads_every_load_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = bundle(dir.path());
    let text = run(
        "llvm-objdump",
        &["--macho", "--private-headers", &file.to_string_lossy()],
    );
    for expected in [
        "segname __ELFUSE",
        "filesize 655360",
        "cmd LC_CODE_SIGNATURE",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
}

#[test]
fn a_hash_of_every_page_and_slot_by_another_program_agrees() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = bundle(dir.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/macho/rehash.py");
    let text = run(
        "python3",
        &[&script.to_string_lossy(), &file.to_string_lossy()],
    );
    assert!(text.contains("all slots right"), "{text}");
}

#[test]
fn lief_and_macholib_find_the_layout_right() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = bundle(dir.path());
    let python = python_with_judges();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/macho/judge.py");
    let text = run(
        python,
        &[&script.to_string_lossy(), &file.to_string_lossy()],
    );
    assert_eq!(text.trim(), "lief: true\nmacholib: execute");
}

/// A virtual environment with the two packages, made once per target directory.
fn python_with_judges() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges-lief-1.0.0-macholib-1.16.3");
    let python = home.join("bin/python");
    if home.join("complete").exists() {
        return python;
    }
    run(
        "python3",
        &["-m", "venv", "--clear", &home.to_string_lossy()],
    );
    run(
        &python,
        &[
            "-m",
            "pip",
            "--quiet",
            "install",
            "lief==1.0.0",
            "macholib==1.16.3",
        ],
    );
    std::fs::write(home.join("complete"), []).expect("a mark");
    python
}
