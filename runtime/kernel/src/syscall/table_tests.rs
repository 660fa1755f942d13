// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table is in order, its names are Linux's, and the document is current.

use std::fmt::Write as _;
use std::path::Path;

use linux_abi::nr::{SYSCALLS, name};

use super::COMPATIBILITY;

#[test]
fn rows_are_in_number_order() {
    assert!(COMPATIBILITY.windows(2).all(|pair| pair[0].nr < pair[1].nr));
}

#[test]
fn names_are_those_of_linux() {
    for row in COMPATIBILITY {
        assert_eq!(name(u64::from(row.nr)), Some(row.name), "number {}", row.nr);
    }
}

fn document() -> String {
    let mut text = String::from(
        "# System calls\n\nMade from the table in `runtime/kernel/src/syscall/table.rs`; \
         `ELFUSE_UPDATE_DOCS=1 cargo test -p elfuse-kernel compatibility` writes it.\n\
         What is not listed as supported answers `ENOSYS`.\n\n",
    );
    let partial = COMPATIBILITY
        .iter()
        .filter(|row| row.missing.is_some())
        .count();
    let _ = writeln!(
        text,
        "Supported: {} of {}; {partial} of them with something missing.\n",
        COMPATIBILITY.len(),
        SYSCALLS.len()
    );
    text.push_str("| nr | name | support |\n|---:|---|---|\n");
    for (nr, name) in SYSCALLS {
        let row = COMPATIBILITY.iter().find(|row| row.nr == *nr);
        let support = match row {
            None => "no".to_owned(),
            Some(row) => row
                .missing
                .map_or("yes".to_owned(), |note| format!("partly: {note}")),
        };
        let _ = writeln!(text, "| {nr} | `{name}` | {support} |");
    }
    text
}

#[test]
fn compatibility_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    if std::env::var_os("ELFUSE_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == document(),
        "docs/compatibility.md is out of date"
    );
}
