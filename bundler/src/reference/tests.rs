// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the reference grammar.

use super::{Reference, parse};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn full(text: &str) -> String {
    parse(text).unwrap().to_string()
}

fn why(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn short_names_are_read_as_docker_reads_them() {
    assert_eq!(full("alpine"), "docker.io/library/alpine:latest");
    assert_eq!(full("alpine:3"), "docker.io/library/alpine:3");
    assert_eq!(full("user/tool"), "docker.io/user/tool:latest");
    assert_eq!(full("docker.io/alpine"), "docker.io/library/alpine:latest");
    assert_eq!(
        full("index.docker.io/alpine"),
        "docker.io/library/alpine:latest"
    );
    assert_eq!(full("localhost/a"), "localhost/a:latest");
    assert_eq!(full("Host/a"), "Host/a:latest");
    assert_eq!(full("host:5000/a/b:c"), "host:5000/a/b:c");
    assert_eq!(full("[::1]:5000/a"), "[::1]:5000/a:latest");
    assert_eq!(
        full("example.test/a__b/c--d.e_f"),
        "example.test/a__b/c--d.e_f:latest"
    );
}

#[test]
fn digest_stands_beside_a_tag_or_alone() {
    assert_eq!(
        full(&format!("a@{DIGEST}")),
        format!("docker.io/library/a@{DIGEST}")
    );
    let both: Reference = format!("a:b@{DIGEST}").parse().unwrap();
    assert_eq!((both.tag(), both.digest().is_some()), (Some("b"), true));
    assert_eq!(both.name(), "docker.io/library/a");
}

#[test]
fn only_the_default_registry_answers_elsewhere() {
    assert_ne!(parse("a").unwrap().registry_host(), "docker.io");
    assert_eq!(parse("x.test/a").unwrap().registry_host(), "x.test");
}

#[test]
fn wrong_part_is_named() {
    assert!(why("").contains("empty"));
    assert!(why("a/B").contains("upper-case"));
    assert!(why("docker://alpine").contains("leave out docker://"));
    for text in [
        "a//b", "/a", "a/", "a..b", "a___b", "-a", "a-", "a b", "a/\u{e9}", "_a", "a\n",
    ] {
        assert!(why(text).contains("repository"), "{text}");
    }
    for text in ["a:", "a:-b", "a:b:c", "a:b/c", "a:\u{e9}"] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert!(why(&format!("a:{}", "x".repeat(129))).contains("tag"));
    for text in [
        "a.:1/b",
        "x.test:0/b",
        "x.test:99999/b",
        "[::g]:1/b",
        "-x.test/b",
        "x.test:/b",
    ] {
        assert!(why(text).contains("registry"), "{text}");
    }
    for text in ["a@", "a@sha256:00", "a@md5:00"] {
        assert!(why(text).contains("digest"), "{text}");
    }
    assert!(why(&"a".repeat(300)).contains("longer"));
    assert!(why(&"ab".repeat(32)).contains("id"));
}

#[test]
fn fuzz_reference() {
    let tokens: &[&[u8]] = &[
        b":",
        b"/",
        b"@",
        b".",
        b"__",
        b"-",
        b"[",
        b"]",
        b"localhost/",
        b"sha256:",
        b"A",
        b"\0",
    ];
    crate::testing::fuzz("reference", tokens, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(reference) = parse(&text) else {
            return false;
        };
        // The full form is a reference, the same one, and safe in a URL path.
        let again = parse(&reference.to_string()).expect("the full form");
        assert_eq!(again, reference);
        assert!(reference.tag().is_some() || reference.digest().is_some());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
        assert!(reference.repository().bytes().all(plain));
        assert!(
            !reference
                .repository()
                .split('/')
                .any(|part| part.is_empty() || part == "..")
        );
        true
    });
}
