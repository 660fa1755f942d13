// SPDX-License-Identifier: MIT OR Apache-2.0
//! Assembles the EL1 shim and the vDSO into flat, position-independent images.
//!
//! clang assembles for bare-metal arm64 whatever the host is; the only section with
//! content is `.text`, without relocations, so its bytes are the image.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "src/layout.rs"]
#[expect(dead_code, reason = "only the list of rows is read here")]
mod layout;

fn main() {
    println!("cargo::rerun-if-changed=src/layout.rs");
    println!("cargo::rerun-if-env-changed=ELFUSE_CLANG");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for name in ["shim", "vdso"] {
        let source = format!("src/asm/{name}.S");
        println!("cargo::rerun-if-changed={source}");
        let object = out.join(format!("{name}.o"));
        assemble(&source, &object);
        let bytes = std::fs::read(&object).expect("read the object file");
        std::fs::write(out.join(format!("{name}.bin")), text_of(&bytes)).expect("write the image");
    }
}

fn assemble(source: &str, object: &Path) {
    let clang = std::env::var_os("ELFUSE_CLANG").unwrap_or_else(|| "clang".into());
    let mut command = Command::new(&clang);
    command
        .args([
            "--target=aarch64-none-elf",
            "-march=armv8.2-a",
            "-c",
            source,
            "-o",
        ])
        .arg(object);
    for (name, value) in layout::ROWS {
        command.arg(format!("-D{name}={value}"));
    }
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("run {clang:?}: {error}"));
    assert!(status.success(), "assemble {source}: {status}");
}

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// The bytes of `.text`; there must be no relocations against it.
fn text_of(elf: &[u8]) -> Vec<u8> {
    let (table, count, names) = (number(elf, 40, 8), number(elf, 60, 2), number(elf, 62, 2));
    let section = |index: usize| &elf[table + index * 64..table + index * 64 + 64];
    let strings = number(section(names), 24, 8);
    let name_of = |header: &[u8]| {
        let start = strings + number(header, 0, 4);
        let len = elf[start..]
            .iter()
            .position(|&byte| byte == 0)
            .expect("names end with 0");
        String::from_utf8_lossy(&elf[start..start + len]).into_owned()
    };
    let mut text = None;
    for header in (0..count).map(section) {
        match name_of(header).as_str() {
            ".text" => {
                let (offset, size) = (number(header, 24, 8), number(header, 32, 8));
                text = Some(elf[offset..offset + size].to_vec());
            }
            ".rela.text" => panic!("the image has relocations"),
            _ => {}
        }
    }
    text.expect("the object has a .text section")
}
