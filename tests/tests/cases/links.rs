// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hard links, symbolic links as parents, implicit parents.

use elfuse_tests::tarball::Member;

use super::{Case, Umoci, case};

fn file(name: &str) -> Member {
    Member::file(name, name)
}

fn dir(name: &str) -> Member {
    Member::dir(name)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = hard();
    cases.extend(parents());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn hard() -> Vec<Case> {
    let link = |name: &'static str, target: &'static str| Member::hardlink(name, target);
    vec![
        case(
            "hard link in one layer",
            vec![vec![file("a"), link("b", "a"), link("c", "b")]],
        ),
        case(
            "hard link across layers",
            vec![vec![file("a")], vec![link("b", "a")]],
        ),
        case(
            "hard link sorted before its target",
            vec![vec![file("z"), link("a", "z")]],
        ),
        case(
            "target overwritten later",
            vec![vec![
                Member::file("a", "old").mode(0o600),
                link("b", "a"),
                Member::file("a", "new"),
            ]],
        ),
        case(
            "target overwritten by the next layer",
            vec![
                vec![Member::file("a", "old"), link("b", "a")],
                vec![Member::file("a", "new")],
            ],
        ),
        case(
            "target removed by a whiteout in the same layer",
            vec![vec![file("a")], vec![link("b", "a"), file(".wh.a")]],
        ),
        case(
            "hard link replaces a file",
            vec![
                vec![file("a"), Member::file("b", "other")],
                vec![link("b", "a")],
            ],
        ),
        case(
            "hard link replaces a directory",
            vec![vec![file("a"), dir("d"), file("d/x")], vec![link("d", "a")]],
        ),
        case(
            "hard link through a linked parent",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "d")],
                vec![link("b", "l/a"), link("l/c", "./d//a")],
            ],
        ),
        case(
            "hard link to a symbolic link",
            vec![vec![file("a"), Member::symlink("s", "a"), link("t", "s")]],
        ),
        case(
            "hard link to a fifo and a device",
            vec![vec![
                Member::fifo("p"),
                link("q", "p"),
                Member::device("c", b'3', 1, 5),
                link("e", "c"),
            ]],
        ),
        case(
            "hard link's own attributes do not count",
            vec![vec![
                file("a").mode(0o640).owner(3, 4).mtime("77"),
                link("b", "a").mode(0o777).owner(9, 9).mtime("99"),
            ]],
        ),
        case(
            "hard link with a size has no contents",
            vec![vec![file("a"), link("b", "a"), file("after")]],
        ),
        case(
            "hard link to itself",
            vec![vec![file("a")], vec![link("a", "a")]],
        )
        .umoci(Umoci::Refuses {
            why: "it removes the file before it links it; tar keeps it",
            ours: &[("a", "file 0644 0:0 1000000000.000000000 1 ca978112ca1b")],
        }),
        case("hard link to nothing", vec![vec![link("b", "a")]]).umoci(Umoci::AlsoRefuses(
            "the target of the hard link does not exist",
        )),
        case(
            "hard link to a later file",
            vec![vec![link("b", "a"), file("a")]],
        )
        .umoci(Umoci::AlsoRefuses(
            "the target of the hard link does not exist",
        )),
        case(
            "hard link to a directory",
            vec![vec![dir("d"), link("b", "d")]],
        )
        .umoci(Umoci::AlsoRefuses(
            "the target of the hard link is a directory",
        )),
        case(
            "hard link to an absolute path",
            vec![vec![file("a"), link("b", "/a")]],
        )
        .umoci(Umoci::Accepts {
            why: "targets are relative to the root; an absolute one is a trick or a mistake",
            reason: "the target of the hard link is absolute",
        }),
        case(
            "hard link with dot-dot",
            vec![vec![file("a"), link("b", "../a")]],
        )
        .umoci(Umoci::Accepts {
            why: "it reinterprets the target",
            reason: "contains `..`",
        }),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn parents() -> Vec<Case> {
    let link = |name: &'static str, target: &'static str| Member::symlink(name, target);
    vec![
        case(
            "write through a link",
            vec![
                vec![dir("usr"), dir("usr/bin"), link("bin", "usr/bin")],
                vec![file("bin/sh")],
            ],
        ),
        case(
            "write through an absolute link",
            vec![
                vec![dir("usr"), dir("usr/bin"), link("bin", "/usr/bin")],
                vec![file("bin/sh")],
            ],
        ),
        case(
            "write through a link that leaves the root",
            vec![
                vec![dir("usr"), link("up", "../../../../usr")],
                vec![file("up/x")],
            ],
        ),
        case(
            "write through a chain of links",
            vec![
                vec![
                    dir("real"),
                    link("a", "b"),
                    link("b", "./c/../c"),
                    link("c", "/real/."),
                ],
                vec![file("a/x")],
            ],
        ),
        case(
            "directory through a link",
            vec![
                vec![dir("real"), link("l", "real")],
                vec![dir("l/sub").mode(0o700), file("l/sub/x")],
            ],
        ),
        case(
            "write through a dangling link",
            vec![vec![link("lib64", "usr/lib64")], vec![file("lib64/ld")]],
        )
        .implicit(&[".", "usr", "usr/lib64"]),
        case("undescribed parents", vec![vec![file("a/b/c/d")]])
            .implicit(&[".", "a", "a/b", "a/b/c"]),
        case(
            "parents described after their files",
            vec![vec![
                file("a/b/c"),
                dir("a").mode(0o711).mtime("5"),
                dir("a/b").mode(0o700).mtime("6"),
            ]],
        )
        .implicit(&["."]),
        case(
            "undescribed parents have a fixed time",
            vec![vec![file("a/b")]],
        )
        .umoci(Umoci::Differs {
            why: "it leaves the current time on them, so that no two unpackings are equal",
            ours: &[("a", "dir 0755 0:0 0.000000000")],
        }),
        case(
            "links in a loop",
            vec![vec![link("a", "b"), link("b", "a")], vec![file("a/x")]],
        )
        .umoci(Umoci::AlsoRefuses("too many symbolic links")),
        case(
            "link names and targets of any bytes",
            vec![vec![
                Member::symlink(b"l\n\xff", b"t\n\xfe\\"),
                Member::symlink("long", "t/".repeat(300)),
                link("dangling", "/no/such/thing"),
                link("self", "self"),
            ]],
        ),
    ]
}
