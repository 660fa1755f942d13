// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interpreters and what their libraries ask of a kernel.

use std::time::Duration;

use elfuse_tests::guest::Guest;

use crate::roots;

fn agrees(command: &[&str]) -> String {
    let guest = Guest::new(&roots::system(), command).limit(Duration::from_secs(300));
    guest.agrees_with_linux().stdout
}

#[test]
fn perl_agrees_with_linux() {
    let printed = agrees(&[
        "/usr/bin/perl",
        "-e",
        include_str!("../../guest/scripts/interpreter.pl"),
    ]);
    assert!(printed.ends_with("no terminal\nreplaced\n"), "{printed}");
}

#[test]
fn python_agrees_with_linux() {
    let script = include_str!("../../guest/scripts/interpreter.py");
    let printed = agrees(&["/usr/bin/python3", "-c", script]);
    assert!(
        printed.ends_with("b'kept' True linux aarch64\n"),
        "{printed}"
    );
}
