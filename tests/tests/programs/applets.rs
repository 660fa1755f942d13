// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every applet of a static busybox that prints the same on any Linux.

use elfuse_tests::guest::Guest;

use crate::roots;

#[test]
fn a_hundred_and_fifty_applets_print_what_linux_gives() {
    let script = include_str!("../../guest/scripts/applets.sh");
    let shell = ["/bin/busybox", "sh", "-c", script];
    let outcome = Guest::new(&roots::system(), &shell).agrees_with_linux();
    let used = outcome
        .stdout
        .lines()
        .last()
        .and_then(|line| line.strip_prefix("applets: "));
    let used: u32 = used
        .expect("the number of applets")
        .parse()
        .expect("a number");
    assert!(used >= 150, "{used} applets ran");
    assert!(
        !outcome.stdout.contains("status 127"),
        "an applet is missing"
    );
}
