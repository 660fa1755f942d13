// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whiteouts, opaque markers, re-adds, replacement of types.

use elfuse_tests::tarball::Member;

use super::{Case, Umoci, case};

fn file(name: &str) -> Member {
    Member::file(name, name)
}

fn dir(name: &str) -> Member {
    Member::dir(name)
}

fn lower() -> Vec<Member> {
    vec![
        dir("d"),
        file("d/a"),
        file("d/b"),
        dir("d/s"),
        file("d/s/x"),
        file("f"),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = simple();
    cases.extend(opaque());
    cases.extend(replacements());
    cases.extend(hostile());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn simple() -> Vec<Case> {
    vec![
        case("whiteout of a file", vec![lower(), vec![file("d/.wh.a")]]),
        case(
            "whiteout of a directory",
            vec![lower(), vec![file(".wh.d")]],
        ),
        case(
            "whiteout of nothing",
            vec![lower(), vec![file(".wh.no"), file("no/.wh.no")]],
        ),
        case(
            "whiteout below a file",
            vec![lower(), vec![file("f/.wh.x")]],
        ),
        case(
            "whiteout of a symbolic link keeps its target",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "d")],
                vec![file(".wh.l")],
            ],
        ),
        case(
            "whiteout through a symbolic link",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "/d")],
                vec![file("l/.wh.a")],
            ],
        ),
        case(
            "whiteout through a link that leaves the root",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "../../../../d")],
                vec![file("l/.wh.a")],
            ],
        ),
        case(
            "file added before its whiteout stays",
            vec![lower(), vec![Member::file("f", "new"), file(".wh.f")]],
        ),
        case(
            "file added after its whiteout stays",
            vec![lower(), vec![file(".wh.f"), Member::file("f", "new")]],
        ),
        case(
            "directory added before its whiteout loses only lower files",
            vec![
                lower(),
                vec![dir("d").mode(0o700), file("d/new"), file(".wh.d")],
            ],
        )
        .umoci(Umoci::Differs {
            why: "hiding what was in d changes d's time, which it does not put back",
            ours: &[
                ("d", "dir 0700 0:0 1000000000.000000000"),
                ("d/new", "file 0644 0:0 1000000000.000000000 5 d6b17d67a498"),
                ("d/a", "absent"),
                ("d/s", "absent"),
            ],
        }),
        case(
            "directory added after its whiteout is new",
            vec![
                lower(),
                vec![file(".wh.d"), dir("d").mode(0o700), file("d/new")],
            ],
        ),
        case(
            "whiteout of a directory re-added by a later layer",
            vec![
                lower(),
                vec![file(".wh.d")],
                vec![dir("d").mode(0o711), file("d/c")],
            ],
        ),
        case(
            "whiteouts may be of any type",
            vec![
                lower(),
                vec![
                    dir("d/.wh.s"),
                    Member::symlink("d/.wh.a", "x"),
                    Member::hardlink(".wh.f", "no"),
                ],
            ],
        ),
        case(
            "whiteout of one name of a file",
            vec![
                vec![file("a"), Member::hardlink("b", "a")],
                vec![file(".wh.a")],
            ],
        ),
        case(
            "whiteout of an implicit directory's only file",
            vec![vec![file("i/f")], vec![file("i/.wh.f")]],
        )
        .implicit(&[".", "i"]),
        case(
            "whiteouts in three layers",
            vec![
                lower(),
                vec![file("d/.wh.a"), file("d/c")],
                vec![file("d/.wh.c"), file("d/a")],
            ],
        ),
    ]
}

fn opaque() -> Vec<Case> {
    let marker = || file("d/.wh..wh..opq");
    vec![
        case(
            "opaque marker first",
            vec![lower(), vec![dir("d"), marker(), file("d/new")]],
        ),
        case(
            "opaque marker last",
            vec![lower(), vec![dir("d"), file("d/new"), marker()]],
        ),
        case(
            "opaque marker between",
            vec![
                lower(),
                vec![
                    dir("d"),
                    file("d/new"),
                    marker(),
                    dir("d/s"),
                    file("d/s/new"),
                ],
            ],
        ),
        case(
            "opaque marker before its directory",
            vec![lower(), vec![marker(), dir("d").mode(0o700), file("d/new")]],
        ),
        case(
            "opaque marker alone keeps the directory",
            vec![lower(), vec![marker()]],
        ),
        case(
            "opaque marker in a missing directory",
            vec![lower(), vec![file("no/.wh..wh..opq")]],
        ),
        case(
            "opaque marker in the root",
            vec![lower(), vec![file(".wh..wh..opq"), file("only")]],
        ),
        case(
            "opaque marker through a link",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "d")],
                vec![file("l/.wh..wh..opq")],
            ],
        ),
        case(
            "opaque marker hides what a lower opaque layer left",
            vec![
                lower(),
                vec![dir("d"), marker(), file("d/one")],
                vec![dir("d"), marker(), file("d/two")],
            ],
        ),
        case(
            "opaque marker after a file in an undescribed directory",
            vec![
                vec![dir("d"), dir("d/s").mode(0o700), file("d/s/x")],
                vec![file("d/s/new"), marker()],
            ],
        )
        .umoci(Umoci::Differs {
            why: "the marker hides d/s of the lower layer, its mode 0700 included, and the same \
                  layer with the marker in front gives 0755; umoci's result depends on the order",
            ours: &[("d/s", "dir 0755 0:0 0.000000000")],
        }),
    ]
}

fn replacements() -> Vec<Case> {
    let kinds = |name: &'static str| {
        vec![
            file(name),
            dir(name),
            Member::symlink(name, "elsewhere"),
            Member::fifo(name),
            Member::device(name, b'3', 1, 3),
            Member::device(name, b'4', 7, 0),
        ]
    };
    let all_pairs = |layers: usize| -> Vec<Vec<Member>> {
        const NAMES: [&str; 36] = [
            "00", "01", "02", "03", "04", "05", "10", "11", "12", "13", "14", "15", "20", "21",
            "22", "23", "24", "25", "30", "31", "32", "33", "34", "35", "40", "41", "42", "43",
            "44", "45", "50", "51", "52", "53", "54", "55",
        ];
        let pick = |old: bool| {
            NAMES
                .iter()
                .enumerate()
                .map(move |(i, name)| kinds(name).swap_remove(if old { i / 6 } else { i % 6 }))
        };
        match layers {
            1 => vec![pick(true).chain(pick(false)).collect()],
            _ => vec![pick(true).collect(), pick(false).collect()],
        }
    };
    vec![
        case("any type replaces any other across layers", all_pairs(2)),
        case("any type replaces any other in one layer", all_pairs(1)),
        case(
            "full directory replaced by a file",
            vec![lower(), vec![Member::file("d", "now")]],
        ),
        case(
            "full directory replaced by a link",
            vec![lower(), vec![Member::symlink("d", "f")]],
        ),
        case(
            "link to a directory replaced by a directory",
            vec![
                vec![dir("d"), file("d/a"), Member::symlink("l", "d")],
                vec![dir("l"), file("l/b")],
            ],
        ),
        case(
            "file then directory then file in it",
            vec![vec![file("x"), dir("x"), file("x/y")]],
        ),
        case(
            "directory described twice",
            vec![vec![
                dir("d").mode(0o700).mtime("5"),
                file("d/a"),
                dir("d/").mode(0o1777).mtime("6"),
            ]],
        ),
        case(
            "duplicate files in one layer",
            vec![vec![
                Member::file("a", "one"),
                Member::file("./a", "two"),
                Member::file("/a", "three"),
            ]],
        ),
    ]
}

fn hostile() -> Vec<Case> {
    let accepts = |name, member: Member, why, reason| {
        case(name, vec![lower(), vec![member]]).umoci(Umoci::Accepts { why, reason })
    };
    vec![
        case(
            "whiteout without a name",
            vec![lower(), vec![file("d/.wh.")]],
        )
        .umoci(Umoci::AlsoRefuses("the whiteout does not name a file")),
        case(
            "whiteout of the directory itself",
            vec![lower(), vec![file("d/.wh..")]],
        )
        .umoci(Umoci::AlsoRefuses("the whiteout does not name a file")),
        case(
            "whiteout of the parent",
            vec![lower(), vec![file("d/s/.wh...")]],
        )
        .umoci(Umoci::AlsoRefuses("the whiteout does not name a file")),
        accepts(
            "whiteout of a whiteout",
            file("d/.wh..wh.x"),
            "no file may be called .wh.x, so there is nothing this could mean",
            "the whiteout does not name a file",
        ),
        accepts(
            "directory with a whiteout's name",
            file(".wh.d/x"),
            "it makes a directory .wh.d, which hides d when the image is packed again",
            "reserved for whiteouts",
        ),
        accepts(
            "dot-dot in a name",
            file("d/../../x"),
            "it writes x into the root, where the archive did not put it",
            "contains `..`",
        ),
        case("file below a file", vec![lower(), vec![file("f/x")]])
            .umoci(Umoci::AlsoRefuses("a parent is not a directory")),
        case(
            "root is not a directory",
            vec![vec![Member::symlink("./", "d")]],
        )
        .umoci(Umoci::AlsoRefuses("the root directory cannot become")),
        case(
            "name longer than Linux has",
            vec![vec![file(&"n".repeat(256))]],
        )
        .umoci(Umoci::AlsoRefuses("longer than 255 bytes")),
    ]
}
