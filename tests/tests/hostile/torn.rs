// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody damages the image's files on the host while a guest uses them. The guest
//! meets `SIGBUS` and `EFAULT`, as with any file that gets shorter under a mapping;
//! the runtime goes on.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use elfuse_tests::compiled;
use elfuse_tests::guest::Guest;

const PAGE: u64 = 4096;

const EXPECTED: &str = "\
copy: -1 EFAULT
later: SIGBUS there
later again: SIGBUS there
child later: SIGBUS there
child first: 7
first: 7
in the last page: 7
behind the end: 0
";

/// What the program says after `/data` was cut to a page and 100 bytes.
fn after_a_cut(root: &Path, cpus: &str) -> String {
    fs::write(root.join("data"), vec![7; 64 * 4096]).expect("a file");
    let mut guest = Guest::new(root, &["/bin/torn"])
        .options(&["--cpus", cpus])
        .simulated()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the simulator");
    let mut out = BufReader::new(guest.stdout.take().expect("its output"));
    let mut line = String::new();
    while line != "ready\n" {
        line.clear();
        let read = out.read_line(&mut line).expect("read its output");
        assert!(read > 0, "it ends before it is ready");
    }
    let file = File::options().write(true).open(root.join("data"));
    file.and_then(|file| file.set_len(PAGE + 100))
        .expect("cut the file");
    drop(guest.stdin.take());
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("read its output");
    let status = guest.wait().expect("wait for the simulator");
    assert!(status.success(), "{status}: {rest}");
    rest
}

#[test]
fn files_of_the_image_cut_short_are_faults_of_those_who_map_them() {
    let root = compiled::root_with(&["hostile/torn"]).expect("a compiled program");
    for cpus in ["1", "2"] {
        assert_eq!(after_a_cut(root.path(), cpus), EXPECTED, "{cpus} cpus");
    }
}
