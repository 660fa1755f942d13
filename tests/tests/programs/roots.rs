// SPDX-License-Identifier: MIT OR Apache-2.0
//! The roots that the programs live in.

use std::path::PathBuf;

use elfuse_tests::guest_root;

/// Everything but the interpreters' own tests.
const SYSTEM: [&str; 36] = [
    "age",
    "base-files",
    "bash",
    "bc",
    "busybox-static",
    "bzip2",
    "coreutils",
    "cpio",
    "dash",
    "diffutils",
    "esbuild",
    "file",
    "findutils",
    "fzf",
    "gawk",
    "git",
    "grep",
    "gzip",
    "jq",
    "libsqlite3-0",
    "make",
    "mount",
    "musl",
    "musl-dev",
    "ncurses-bin",
    "perl",
    "procps",
    "psmisc",
    "python3",
    "ripgrep",
    "sed",
    "sqlite3",
    "tar",
    "util-linux",
    "xz-utils",
    "zstd",
];

/// The root that most tests use.
pub(crate) fn system() -> PathBuf {
    guest_root::root("system", &SYSTEM).expect("a root of Debian packages")
}
