// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaks. The same work is done 10 times and 1,000 times, and `--stats` says what
//! there was at the end and at most. What is left over at the end would be seen in the
//! first, what is only given back when the last process ends in the second: one object
//! lost in each round makes the long run's peak 990 higher.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use elfuse_tests::guest::Guest;
use elfuse_tests::{guest_root, watched};
use serde_json::Value;

const FEW: u32 = 10;
const MANY: u32 = 1000;

/// What must not depend on how long a run is, at its end and at most.
const GAUGES: [&str; 9] = [
    "tasks",
    "processes",
    "address_spaces",
    "fd_tables",
    "open_files",
    "pipes",
    "names",
    "waits",
    "timers",
];

/// How much higher a peak may be: the processes of a pipeline overlap by chance, and
/// more often in more rounds. A leak of one in 25 rounds is above it.
const CHANCE: u64 = 40;
/// The same for frames, of which a process has about a hundred.
const CHANCE_OF_FRAMES: u64 = 400;

struct Run {
    counters: BTreeMap<String, u64>,
    descriptors: usize,
    threads: usize,
}

fn rounds(root: &Path, work: &str, count: u32) -> Run {
    let script = format!("i=0; while [ $i -lt {count} ]; do {work}; i=$((i+1)); done");
    let guest = Guest::new(root, &["/bin/busybox", "sh", "-c", &script])
        .options(&["--stats", "--json"])
        .limit(Duration::from_secs(120));
    let run = watched::run(&guest);
    assert_eq!(run.outcome.status, 0, "{count} of {work}: {run:#?}");
    let line = run.outcome.stderr.lines().last().expect("counters");
    let counters: BTreeMap<String, Value> = serde_json::from_str(line).expect("a line of JSON");
    let number = |(name, value): (String, Value)| (name, value.as_u64().expect("a number"));
    Run {
        counters: counters.into_iter().map(number).collect(),
        descriptors: run.descriptors,
        threads: run.threads,
    }
}

/// Does `work` as often as that, both ways, and compares what is left.
fn leaves_nothing(work: &str, tasks_per_round: u64) {
    let packages = ["base-files", "busybox-static", "coreutils", "dash"];
    let root = guest_root::root("counts", &packages).expect("a root of Debian packages");
    let (few, many) = (rounds(&root, work, FEW), rounds(&root, work, MANY));
    let tasks = many.counters["tasks_started"] - few.counters["tasks_started"];
    assert_eq!(tasks, u64::from(MANY - FEW) * tasks_per_round, "{work}");
    for name in GAUGES {
        let (few, many) = (&few.counters, &many.counters);
        let peak = format!("{name}_peak");
        assert!(many[&peak] > 0, "{name} is not counted");
        assert_eq!(few[name], many[name], "{name} at the end, {work}");
        let (short, long) = (few[&peak], many[&peak]);
        let what = format!("{name} at most: {short} in {FEW} rounds, {long} in {MANY}: {work}");
        assert!(long <= short + CHANCE, "{what}");
    }
    let (few_peak, many_peak) = (few.counters["frames_peak"], many.counters["frames_peak"]);
    assert!(
        many_peak <= few_peak + CHANCE_OF_FRAMES,
        "frames at most: {few_peak} in {FEW} rounds, {many_peak} in {MANY}: {work}"
    );
    for name in ["frames_in_use", "host_descriptors"] {
        assert_eq!(few.counters[name], many.counters[name], "{name}, {work}");
    }
    for name in [
        "tasks",
        "processes",
        "address_spaces",
        "open_files",
        "pipes",
    ] {
        assert_eq!(many.counters[name], 0, "{name} are left, {work}");
    }
    assert!(many.descriptors <= few.descriptors + 2, "host descriptors");
    assert!(many.threads <= few.threads + 1, "host threads");
}

#[test]
fn a_thousand_pipelines_leave_nothing() {
    leaves_nothing("echo x | cat | wc -c >/dev/null", 3);
}

#[test]
fn a_thousand_programs_with_files_and_substitutions_leave_nothing() {
    leaves_nothing(
        "x=$(echo text >/tmp/a; cat </tmp/a); [ $x = text ] || exit 1; rm /tmp/a",
        2,
    );
}
