// SPDX-License-Identifier: MIT OR Apache-2.0
//! Modes, owners, times, attributes, devices, names.

use std::sync::LazyLock;

use elfuse_tests::tarball::Member;

use super::{Case, Umoci, case};

fn file(name: &str) -> Member {
    Member::file(name, name)
}

fn dir(name: &str) -> Member {
    Member::dir(name)
}

/// `cap_net_bind_service+ep`, version 2, as the kernel stores it.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = attributes();
    cases.extend(names());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn attributes() -> Vec<Case> {
    vec![
        case(
            "all modes",
            vec![vec![
                file("none").mode(0),
                file("all").mode(0o7777),
                file("setuid").mode(0o4755).owner(1, 1),
                file("setgid").mode(0o2755).owner(1, 1),
                dir("sticky").mode(0o1777),
                dir("dir-none").mode(0),
                file("dir-none/inside"),
                dir("dir-setgid").mode(0o2775).owner(0, 50),
                file("dir-setgid/not-inherited").owner(1, 2),
                Member::symlink("link", "none").owner(7, 8),
            ]],
        ),
        case(
            "owners of 32 bits",
            vec![vec![
                file("a").owner(4_294_967_294, 4_294_967_293),
                dir("b").owner(2_097_152, 2_097_151),
                Member::symlink("c", "a").owner(65_534, 3_000_000_000),
            ]],
        ),
        case(
            "nanosecond times",
            vec![vec![
                file("a").mtime("1234567890.123456789"),
                dir("d").mtime("1.000000001"),
                file("d/f").mtime("0.5"),
                Member::symlink("l", "a").mtime("99.999999999"),
                Member::fifo("p").mtime("7.25"),
            ]],
        ),
        case(
            "times before 1970",
            vec![vec![
                file("a").mtime("-1"),
                file("b").mtime("-1.25"),
                dir("d").mtime("-1000000000.000000001"),
            ]],
        ),
        case(
            "time zero and times after 2038",
            vec![vec![
                file("zero").mtime("0"),
                file("late").mtime("4294967296"),
                file("later").mtime("8589934592.5"),
            ]],
        ),
        case(
            "directory times survive what is put in them",
            vec![
                vec![dir("d").mtime("5"), dir("d/e").mtime("6")],
                vec![
                    file("d/e/f").mtime("7"),
                    file("d/.wh.no"),
                    Member::fifo("d/p"),
                ],
            ],
        ),
        case(
            "extended attributes",
            vec![vec![
                file("a")
                    .xattr("user.text", "x=y\nz")
                    .xattr("user.binary", b"\0\x01\xff"),
                file("empty").xattr("user.empty", ""),
                file("capable")
                    .mode(0o755)
                    .xattr("security.capability", CAPABILITY),
                dir("d").xattr("user.on-dir", "1").xattr("trusted.t", "2"),
                Member::symlink("l", "a").xattr("trusted.on-link", "3"),
            ]],
        )
        .umoci(Umoci::Differs {
            why: "Go takes an attribute with an empty value for one that is not there",
            ours: &[(
                "empty",
                "file 0644 0:0 1000000000.000000000 5 2e1cfa82b035 user.empty=",
            )],
        }),
        case(
            "attributes with values",
            vec![vec![
                file("a")
                    .xattr("user.text", "x=y\nz")
                    .xattr("user.binary", b"\0\x01\xff"),
                file("capable")
                    .mode(0o755)
                    .xattr("security.capability", CAPABILITY),
                dir("d").xattr("user.on-dir", "1").xattr("trusted.t", "2"),
                Member::symlink("l", "a").xattr("trusted.on-link", "3"),
                file("long").xattr("user.long", "v".repeat(2000)),
            ]],
        ),
        case(
            "a directory described again loses its attributes",
            vec![
                vec![dir("d").xattr("user.a", "1").xattr("user.b", "1")],
                vec![dir("d").xattr("user.b", "2")],
            ],
        ),
        case(
            "attributes stay on hard links",
            vec![
                vec![file("a").xattr("user.a", "1")],
                vec![Member::hardlink("b", "a")],
            ],
        ),
        case(
            "attributes in libarchive's spelling",
            vec![vec![file("a").pax("LIBARCHIVE.xattr.user.a%25b", "AAH/")]],
        )
        .umoci(Umoci::Differs {
            why: "Go reads only star's spelling, so the attributes are lost",
            ours: &[(
                "a",
                "file 0644 0:0 1000000000.000000000 1 ca978112ca1b user.a%b=\\x00\\x01\\xff",
            )],
        }),
        case(
            "devices and fifos",
            vec![vec![
                Member::device("null", b'3', 1, 3).mode(0o666),
                Member::device("sda", b'4', 8, 0).owner(0, 6),
                Member::device("large", b'3', 4095, 1_048_575),
                Member::device("whiteout-like", b'3', 0, 0).mode(0),
                Member::fifo("pipe").mode(0o600),
            ]],
        ),
        case(
            "root's own attributes",
            vec![vec![
                dir("./")
                    .mode(0o700)
                    .owner(5, 6)
                    .mtime("123.5")
                    .xattr("user.root", "1"),
                file("a"),
            ]],
        ),
        case("root without an entry", vec![vec![file("a")]]),
    ]
}

fn names() -> Vec<Case> {
    let long = "d/".repeat(90);
    let longest = "n".repeat(255);
    vec![
        case(
            "names of any bytes",
            vec![vec![
                Member::file("new\nline", "1"),
                Member::file("back\\slash", "2"),
                Member::file(b"\xff\xfe invalid", "3"),
                Member::file("tab\tquote\"'", "4"),
                Member::file(" leading and trailing ", "5"),
                Member::file("-rf", "6"),
                Member::file("...", "7"),
                Member::file("*?[", "8"),
                Member::file("caf\u{e9}", "9"),
            ]],
        ),
        case(
            "twins in case and normalisation",
            vec![vec![
                Member::file("README", "1"),
                Member::file("readme", "2"),
                Member::file("e\u{301}", "3"),
                Member::file("\u{e9}", "4"),
                dir("Dir"),
                dir("dir"),
                file("dir/x"),
            ]],
        ),
        case(
            "long names in pax",
            vec![vec![
                file(&format!("{long}f")),
                file(&longest),
                Member::symlink("l", "t".repeat(200)),
                Member::hardlink("h", format!("{long}f")),
            ]],
        )
        .implicit(&DEEP),
        case(
            "long names of GNU tar",
            vec![vec![
                file(&format!("{long}f")).gnu(),
                file(&longest).gnu(),
                Member::symlink("l", "t".repeat(200)).gnu(),
                Member::hardlink("h", format!("{long}f")).gnu(),
            ]],
        )
        .implicit(&DEEP),
        case(
            "names with dots and slashes",
            vec![vec![
                dir("./a/"),
                file("./a/./b"),
                file("/a//c"),
                dir("//e//"),
                file(".hidden"),
                file(".whatever"),
                file("a.wh.b"),
            ]],
        ),
        case(
            "an empty layer",
            vec![vec![file("a")], vec![], vec![file("b")]],
        ),
    ]
}

/// The root, `d`, `d/d`, ... as deep as the long names go.
static DEEP: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let dirs = (1..=90).map(|depth| &*["d"].repeat(depth).join("/").leak());
    std::iter::once(".").chain(dirs).collect()
});
