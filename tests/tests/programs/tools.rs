// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tools of a Debian system: coreutils, findutils, grep, sed, gawk, tar and the
//! compressors, make, and what else scripts call.

use std::time::Duration;

use elfuse_tests::guest::Guest;

use crate::roots;

fn script_agrees(script: &str) -> String {
    let guest = Guest::new(&roots::system(), &["/bin/dash", "-c", script])
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .limit(Duration::from_secs(200));
    guest.agrees_with_linux().stdout
}

#[test]
fn tools_of_a_debian_system_agree_with_linux() {
    let printed = script_agrees(include_str!("../../guest/scripts/tools.sh"));
    for line in [
        "hard link kept",
        "threads agree",
        "up to date: 0",
        "1267650600228229401496703205376",
    ] {
        assert!(printed.contains(line), "no {line}: {printed}");
    }
}

#[test]
fn git_commits_packs_and_clones() {
    let printed = script_agrees(include_str!("../../guest/scripts/git.sh"));
    assert!(printed.ends_with("git: done\n"), "{printed}");
}

#[test]
fn sqlite_keeps_a_database() {
    let printed = script_agrees(include_str!("../../guest/scripts/sqlite.sh"));
    assert!(printed.ends_with("ok\n500|125250\n"), "{printed}");
}
