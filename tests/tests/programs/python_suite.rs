// SPDX-License-Identifier: MIT OR Apache-2.0
//! Python's own tests of the modules that are thin over the kernel. On Linux all of
//! them pass; what does not here is listed with its reason, and the list is exact.

use std::collections::BTreeSet;
use std::time::Duration;

use elfuse_tests::guest::Guest;

use crate::roots;

/// Tests that fail, and why.
const FAIL: [(&str, &str); 5] = [
    ("test_socket.GeneralModuleTests.testGetServBy", NO_SERVICES),
    (
        "test_socket.GeneralModuleTests.testGetaddrinfo",
        NO_SERVICES,
    ),
    (
        "test_socket.GeneralModuleTests.testInterfaceNameIndex",
        NO_NETLINK,
    ),
    (
        "test_socket.GeneralModuleTests.test_getaddrinfo_ipv6_scopeid_symbolic",
        NO_NETLINK,
    ),
    (
        "test_socket.GeneralModuleTests.test_getnameinfo_ipv6_scopeid_symbolic",
        NO_NETLINK,
    ),
];
const NO_SERVICES: &str = "the root has no /etc/services";
const NO_NETLINK: &str = "names of interfaces come through netlink";

/// Classes of tests of which most fail, and why.
const FAIL_IN_CLASSES: [(&str, &str); 2] = [
    ("UDPLITE", "UDP-Lite is not there, as on most hosts"),
    (
        "RFC3542Ancillary",
        "no ancillary data on sockets of the Internet",
    ),
];

/// The tests named by lines such as `ERROR: test_one (test.test_os.Some.test_one)`.
fn failed(report: &str) -> BTreeSet<&str> {
    report.lines().filter_map(failed_test).collect()
}

fn failed_test(line: &str) -> Option<&str> {
    let error = line.strip_prefix("ERROR: ");
    let rest = error.or_else(|| line.strip_prefix("FAIL: "))?;
    let (name, _) = rest.split_once("(test.")?.1.split_once(')')?;
    Some(name)
}

/// Runs a suite, which has at least `least` tests.
fn passes(suite: &str, least: usize) {
    let command = ["/usr/bin/python3", "-m", "test", "-v", suite];
    let guest = Guest::new(&roots::python(), &command).options(&["-w", "/tmp"]);
    let outcome = guest.limit(Duration::from_secs(900)).run();
    let report = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let lines: Vec<&str> = report.lines().collect();
    let end = lines[lines.len().saturating_sub(80)..].join("\n");
    let ran = lines.iter().find_map(|line| line.strip_prefix("Ran "));
    let count = ran.and_then(|ran| ran.split(' ').next()?.parse().ok());
    assert!(count.is_some_and(|count: usize| count >= least), "{end}");
    let expected: BTreeSet<&str> = FAIL
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.split('.').next() == Some(suite))
        .collect();
    let mut failed = failed(&report);
    let is_clean = failed.is_empty();
    let is_in_class = |name: &str| {
        FAIL_IN_CLASSES
            .iter()
            .any(|(class, _)| name.contains(class))
    };
    failed.retain(|name| !is_in_class(name));
    assert_eq!(failed, expected, "{end}");
    assert_eq!(outcome.status == 0, is_clean, "{end}");
}

#[test]
fn names_of_failed_tests_are_found() {
    let report = "test_a (test.test_os.A.test_a) ... FAIL\n\
        FAIL: test_a (test.test_os.A.test_a) (n=1)\nERROR: setUpClass (test.test_os.B)\n";
    assert_eq!(failed(report), ["test_os.A.test_a", "test_os.B"].into());
}

#[test]
fn test_mmap() {
    passes("test_mmap", 40);
}

#[test]
fn test_os() {
    passes("test_os", 300);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn test_signal() {
    passes("test_signal", 50);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn test_socket() {
    passes("test_socket", 500);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn test_subprocess() {
    passes("test_subprocess", 250);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn test_threading() {
    passes("test_threading", 150);
}
