// SPDX-License-Identifier: MIT OR Apache-2.0
//! What things cost, in numbers that are the same on every machine: exits of the
//! virtual machine, registers moved through the hypervisor (docs/budgets.md). A cost is
//! the difference between a program that does a thing many times and one that does it
//! fewer times.

#[path = "counts/elf.rs"]
mod elf;

use std::path::Path;

use elfuse_tests::guest::Guest;
use elfuse_tests::guest_root;
use serde_json::Value;

/// Counters of a run: the smallest of three, as the time slices of a slow machine add
/// exits.
fn counters(root: &Path, command: &[&str]) -> impl Fn(&str) -> i64 + use<> {
    let runs = [(); 3].map(|()| {
        let outcome = Guest::new(root, command)
            .options(&["--stats", "--json"])
            .run();
        assert_eq!(outcome.status, 0, "{command:?}: {outcome:#?}");
        let line = outcome
            .stderr
            .lines()
            .last()
            .expect("counters on standard error");
        serde_json::from_str::<Value>(line).expect("a line of JSON")
    });
    move |name| {
        let values = runs
            .iter()
            .map(|run| run[name].as_i64().expect("a counter"));
        values.min().expect("three runs")
    }
}

/// What 100 repetitions add to each counter.
fn cost_of_100(make: impl Fn(&Path, u16)) -> impl Fn(&str) -> i64 {
    let root = tempfile::tempdir().expect("a directory");
    make(&root.path().join("few"), 20);
    make(&root.path().join("many"), 120);
    let (few, many) = (
        counters(root.path(), &["/few"]),
        counters(root.path(), &["/many"]),
    );
    move |name| many(name) - few(name)
}

#[test]
fn system_calls_about_identity_cost_no_exit() {
    for number in 172..=178 {
        let cost = cost_of_100(|path, times| elf::calls(path, number, &[], times));
        assert_eq!(
            (cost("exits"), cost("answered_fast")),
            (0, 100),
            "system call {number}"
        );
    }
}

#[test]
fn other_system_calls_cost_one_exit() {
    // getpgid, umask, lseek and dup3 of a bad descriptor, brk, sched_yield, an unknown one.
    let calls: [(u16, &[u16]); 7] = [
        (155, &[0]),
        (166, &[0]),
        (62, &[99, 0, 0]),
        (24, &[99, 98, 0]),
        (214, &[0]),
        (124, &[]),
        (999, &[]),
    ];
    for (number, arguments) in calls {
        let cost = cost_of_100(|path, times| elf::calls(path, number, arguments, times));
        assert_eq!(cost("exits"), 100, "system call {number}");
    }
}

#[test]
fn a_switch_between_processes_moves_no_registers_through_the_hypervisor() {
    let cost = cost_of_100(elf::takes_turns);
    assert!(
        cost("thread_switches") >= 100,
        "{} switches",
        cost("thread_switches")
    );
    assert_eq!(cost("register_calls"), 0);
    // Two processes, one exit for each of their calls; the last calls may be cut off.
    assert!(cost("exits") <= 210, "{} exits", cost("exits"));
}

#[test]
fn starting_programs_stays_within_its_budget() {
    let packages = ["base-files", "busybox-static", "coreutils", "dash"];
    let root = guest_root::root("counts", &packages).expect("a root of Debian packages");
    let exits = |command: &[&str]| counters(&root, command)("exits");
    let shell = exits(&["/bin/busybox", "sh", "-c", ":"]);
    assert!(shell < 60, "busybox sh -c : costs {shell} exits");
    let dynamic = exits(&["/usr/bin/true"]);
    assert!(dynamic < 90, "a dynamic true costs {dynamic} exits");

    let own = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(own.path().join("bin")).expect("a directory");
    std::fs::copy(root.join("bin/busybox"), own.path().join("bin/true")).expect("copy busybox");
    for (name, times) in [("one", 1), ("eleven", 11)] {
        elf::spawns(&own.path().join(name), times);
    }
    let exits = |name| counters(own.path(), &[name])("exits");
    let spawn = (exits("/eleven") - exits("/one")) / 10;
    assert!(
        spawn < 60,
        "fork, exec and wait of a static true cost {spawn} exits"
    );
}

#[test]
fn text_of_programs_takes_no_frames() {
    let root = tempfile::tempdir().expect("a directory");
    let packages = ["base-files", "busybox-static", "coreutils", "dash"];
    let made = guest_root::root("counts", &packages).expect("a root of Debian packages");
    std::fs::copy(made.join("bin/busybox"), root.path().join("busybox")).expect("copy busybox");
    let size = std::fs::metadata(root.path().join("busybox")).expect("its size");
    assert!(size.len() > 300 * 4096, "a small busybox shows nothing");
    let peak = |sleepers: u32| {
        let script = format!(
            "i=0; while [ $i -lt {sleepers} ]; do /busybox sleep 0.4 & i=$((i+1)); done; wait"
        );
        counters(root.path(), &["/busybox", "sh", "-c", &script])("frames_peak")
    };
    let (none, twenty) = (peak(0), peak(20));
    assert!(none < 60, "one process takes {none} frames");
    let more = (twenty - none) / 20;
    assert!(more < 40, "each further process takes {more} frames");
}
