// SPDX-License-Identifier: MIT OR Apache-2.0
//! The roots that the programs live in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// A root for a program of our own, with a shell and the few files that C libraries
/// ask for.
pub(crate) fn own() -> tempfile::TempDir {
    let made = tempfile::tempdir().expect("a directory");
    let at = |path: &str| made.path().join(path);
    for dir in ["bin", "dev", "etc", "lib", "proc", "root", "tmp", "usr/lib"] {
        fs::create_dir_all(at(dir)).expect("a directory");
    }
    // The owner of a temporary directory is the only one who may enter it.
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::copy(system().join("usr/bin/busybox"), at("bin/sh")).expect("a shell");
    fs::write(at("etc/hosts"), "127.0.0.1 localhost\n").expect("a file");
    fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("a file");
    made
}

/// The root of Python's own tests.
pub(crate) fn python() -> PathBuf {
    const PACKAGES: [&str; 5] = [
        "base-files",
        "coreutils",
        "dash",
        "libpython3.11-testsuite",
        "python3",
    ];
    guest_root::root("python", &PACKAGES).expect("a root of Debian packages")
}
