// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of layers, one claim per test.

use super::super::error::Problem;
use super::super::{Kind, Tree};
use super::{apply_all, dir, entry, file, hardlink, listing, symlink};

fn ok(layers: Vec<Vec<super::Entry>>) -> Vec<String> {
    listing(&apply_all(layers).expect("the layers apply"))
}

fn refused(last: super::Entry) -> Problem {
    let lower = vec![
        dir("d", 1),
        file("d/f", 2),
        symlink("l", "d"),
        symlink("loop", "loop"),
    ];
    apply_all(vec![lower, vec![last]]).expect_err("the entry is refused")
}

#[test]
fn whiteout_removes_a_file_and_a_whole_directory() {
    let lower = vec![
        dir("d", 1),
        file("d/a", 2),
        file("d/b", 3),
        dir("e", 4),
        file("e/c", 5),
    ];
    let upper = vec![file("d/.wh.a", 0), file(".wh.e", 0)];
    assert_eq!(ok(vec![lower, upper]), ["d 1", "d/b 3"]);
}

#[test]
fn whiteout_hides_lower_layers_only_wherever_it_stands() {
    let lower = || vec![file("a", 1)];
    let added = file("a", 2);
    let whiteout = file(".wh.a", 0);
    assert_eq!(
        ok(vec![lower(), vec![added.clone(), whiteout.clone()]]),
        ["a 2"]
    );
    assert_eq!(ok(vec![lower(), vec![whiteout, added]]), ["a 2"]);
}

#[test]
fn opaque_marker_hides_lower_names_wherever_it_stands() {
    let lower = || {
        vec![
            dir("d", 1),
            file("d/old", 2),
            dir("d/s", 3),
            file("d/s/old", 4),
        ]
    };
    let marker = file("d/.wh..wh..opq", 0);
    let new = [file("d/new", 5), file("d/s/new", 6)];
    let first = [vec![marker.clone()], new.to_vec()].concat();
    let last = [new.to_vec(), vec![marker.clone()]].concat();
    let middle = vec![new[0].clone(), marker, new[1].clone()];
    for upper in [first, last, middle] {
        let expected = ["d 1", "d/new 5", "d/s 0", "d/s/new 6"];
        assert_eq!(ok(vec![lower(), upper]), expected);
    }
}

#[test]
fn opaque_root_hides_everything_below() {
    let lower = vec![dir("d", 1), file("d/f", 2)];
    let upper = vec![file(".wh..wh..opq", 0), file("new", 3)];
    assert_eq!(ok(vec![lower, upper]), ["new 3"]);
}

#[test]
fn whiteout_of_nothing_is_no_error() {
    let upper = vec![
        file(".wh.gone", 0),
        file("no/such/.wh.dir", 0),
        file("f/.wh.x", 0),
    ];
    assert_eq!(ok(vec![vec![file("f", 1)], upper]), ["f 1"]);
}

#[test]
fn whiteouts_and_writes_go_through_links_inside_the_root() {
    let lower = vec![
        dir("real", 1),
        file("real/a", 2),
        symlink("l", "../../../real"),
    ];
    let upper = vec![file("l/.wh.a", 0), file("l/b", 3)];
    assert_eq!(ok(vec![lower, upper]), ["l 0", "real 1", "real/b 3"]);
}

#[test]
fn absolute_links_start_at_the_root_of_the_tree() {
    let lower = vec![
        dir("usr", 1),
        dir("usr/lib", 2),
        symlink("usr/l", "/usr/lib"),
    ];
    assert_eq!(
        ok(vec![lower, vec![file("usr/l/x", 3)]]),
        ["usr 1", "usr/l 0", "usr/lib 2", "usr/lib/x 3"]
    );
}

#[test]
fn dangling_parent_link_makes_what_it_points_to() {
    let lower = vec![symlink("lib64", "usr/lib64")];
    assert_eq!(
        ok(vec![lower, vec![file("lib64/ld", 1)]]),
        ["lib64 0", "usr 0", "usr/lib64 0", "usr/lib64/ld 1"]
    );
}

#[test]
fn any_type_replaces_any_other() {
    let kinds = || {
        [
            Kind::Dir,
            Kind::Fifo,
            Kind::Symlink(b"x".to_vec()),
            Kind::CharDevice(1, 3),
            Kind::BlockDevice(7, 0),
        ]
    };
    for old in kinds() {
        for new in kinds() {
            let layers = vec![vec![entry("a", old.clone(), 1)], vec![entry("a", new, 2)]];
            assert_eq!(ok(layers), ["a 2"], "{old:?}");
        }
    }
}

#[test]
fn directory_over_directory_keeps_children_and_file_over_directory_does_not() {
    let lower = || vec![dir("d", 1), file("d/f", 2)];
    assert_eq!(ok(vec![lower(), vec![dir("d/", 3)]]), ["d 3", "d/f 2"]);
    assert_eq!(ok(vec![lower(), vec![file("d", 3)]]), ["d 3"]);
    assert_eq!(ok(vec![lower(), vec![file("d", 3), dir("d", 4)]]), ["d 4"]);
}

#[test]
fn directory_replaces_a_link_to_a_directory() {
    let lower = vec![dir("real", 1), file("real/f", 2), symlink("l", "real")];
    assert_eq!(
        ok(vec![lower, vec![dir("l", 3)]]),
        ["l 3", "real 1", "real/f 2"]
    );
}

#[test]
fn hard_link_outlives_the_name_it_was_made_from() {
    let lower = vec![file("a", 1)];
    let upper = vec![hardlink("b", "a"), hardlink("c", "./a"), file("a", 2)];
    assert_eq!(ok(vec![lower.clone(), upper]), ["a 2", "b 1", "c = b"]);
    let whited = vec![hardlink("b", "a"), file(".wh.a", 0)];
    assert_eq!(ok(vec![lower, whited]), ["b 1"]);
}

#[test]
fn hard_link_parents_are_walked_but_a_final_link_is_linked_itself() {
    let lower = vec![
        dir("d", 1),
        file("d/f", 2),
        symlink("l", "d"),
        symlink("s", "d/f"),
    ];
    let upper = vec![hardlink("x", "l/f"), hardlink("y", "s")];
    let expected = ["d 1", "d/f 2", "l 0", "s 0", "x = d/f", "y = s"];
    assert_eq!(ok(vec![lower, upper]), expected);
}

#[test]
fn hard_link_to_itself_changes_nothing() {
    assert_eq!(
        ok(vec![vec![file("a", 1)], vec![hardlink("a", "a")]]),
        ["a 1"]
    );
}

#[test]
fn later_duplicates_win() {
    assert_eq!(
        ok(vec![vec![file("a", 1), file("./a", 2), file("/a", 3)]]),
        ["a 3"]
    );
}

#[test]
fn root_entry_sets_the_root() {
    for name in ["", ".", "./", "/", ".//./"] {
        let tree = apply_all(vec![vec![dir(name, 7)]]).expect("a directory");
        assert_eq!(tree.node(tree.root()).meta.uid, 7);
    }
    assert_eq!(refused(file("./", 1)), Problem::RootNotDir);
}

#[test]
fn names_that_differ_in_case_or_normalisation_stay_apart() {
    let names = ["README", "readme", "e\u{301}", "\u{e9}"];
    let layer = names.iter().map(|name| file(name, 1)).collect();
    assert_eq!(ok(vec![layer]).len(), 4);
}

#[test]
fn hostile_names_are_refused() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(2100);
    for (bad, problem) in [
        (file("../x", 1), Problem::DotDot),
        (file("d/../x", 1), Problem::DotDot),
        (file("a\0b", 1), Problem::NulInName),
        (file(&long, 1), Problem::NameTooLong),
        (file(&deep, 1), Problem::PathTooLong),
        (file("d/f/x", 1), Problem::ParentNotDir),
        (file("loop/x", 1), Problem::LinkLoop),
        (file(".wh.", 1), Problem::WhiteoutName),
        (file(".wh..", 1), Problem::WhiteoutName),
        (file(".wh...", 1), Problem::WhiteoutName),
        (file("d/.wh..wh.plnk", 1), Problem::WhiteoutName),
        (file(".wh.d/x", 1), Problem::ReservedName),
        (file("d/.wh..wh..opq/x", 1), Problem::ReservedName),
        (hardlink("x", "/d/f"), Problem::AbsoluteLink),
        (hardlink("x", "d/../d/f"), Problem::DotDot),
        (hardlink("x", "d/none"), Problem::LinkTargetMissing),
        (hardlink("x", "none/f"), Problem::LinkTargetMissing),
        (hardlink("x", "d"), Problem::LinkToDir),
        (hardlink("x", "."), Problem::LinkToDir),
        (symlink("x", ""), Problem::SymlinkTarget),
        (
            entry("x", Kind::CharDevice(1 << 24, 0), 1),
            Problem::DeviceNumber,
        ),
    ] {
        let name = bad.path.escape_ascii().to_string();
        assert_eq!(refused(bad), problem, "{name}");
    }
}

#[test]
fn links_cannot_lead_deeper_than_a_path_may_be() {
    let mut layer = vec![];
    let step = "d/".repeat(1500);
    layer.push(dir(&step, 1));
    layer.push(symlink(&format!("{step}up"), &format!("/{step}")));
    let mut tree = apply_all(vec![layer]).expect("1500 directories");
    let deeper = dir(&format!("{step}up/{}", "e/".repeat(500)), 2);
    assert_eq!(tree.apply(1, deeper.clone()), Ok(()));
    tree.apply(2, symlink("top", &format!("/{step}{}", "e/".repeat(500))))
        .expect("a link");
    assert_eq!(
        tree.apply(3, dir(&format!("top/{}", "e/".repeat(50)), 3)),
        Err(Problem::PathTooLong)
    );
}

#[test]
fn whiteout_of_the_deepest_tree_does_not_exhaust_the_stack() {
    let mut tree = Tree::new();
    tree.apply(0, file(&format!("{}f", "d/".repeat(2040)), 1))
        .expect("a deep file");
    tree.apply(1, file(".wh.d", 0)).expect("a whiteout");
    assert_eq!(tree.count_names(), 0);
}

#[test]
fn repeated_opaque_markers_cost_one_walk() {
    let mut tree = Tree::new();
    for i in 0..20_000 {
        tree.apply(1, file(&format!("d/{i}"), 1)).expect("a file");
    }
    let started = std::time::Instant::now();
    for _ in 0..20_000 {
        tree.apply(1, file("d/.wh..wh..opq", 0)).expect("a marker");
    }
    assert_eq!(tree.count_names(), 20_001);
    // Quadratic work would be 400 million lookups.
    assert!(started.elapsed().as_secs() < 5);
}
