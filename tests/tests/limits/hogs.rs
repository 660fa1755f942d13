// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hogs: programs that take of one thing until it is refused. Each is told what Linux
//! tells it, gives back and goes on; the host's memory, threads and descriptors stay
//! within bounds, and it never has another process.

use std::path::Path;
use std::time::Duration;

use elfuse_tests::guest::Guest;
use elfuse_tests::watched::{self, Watched};
use elfuse_tests::{compiled, guest_root};

/// Memory of the guests, and what the simulator may take beside it: its translated
/// code, and what the kernel keeps about the guest.
const MEMORY: &str = "128m";
const MOST_KIB: u64 = (128 + 192) * 1024;

/// Bytes of a file of the image that is larger than the memory.
const BIG: u64 = 192 << 20;

fn watched(guest: &Guest) -> Watched {
    let run = watched::run(&guest.clone().limit(Duration::from_secs(60)));
    assert!(run.peak_kib < MOST_KIB, "memory of the host: {run:#?}");
    assert!(run.threads <= 16, "threads of the host: {run:#?}");
    assert!(run.descriptors <= 300, "descriptors of the host: {run:#?}");
    assert!(!run.has_children, "processes of the host: {run:#?}");
    assert!(!run.outcome.stderr.contains("panicked"), "{run:#?}");
    run
}

/// Runs one hog in a root of its own and returns how many it got, and its refusal.
fn hog(thing: &str, options: &[&str]) -> (u64, String) {
    let root = compiled::root_with(&["hostile/hogs"]).expect("a program");
    let big = std::fs::File::create(root.path().join("big")).expect("a file");
    big.set_len(BIG).expect("a size");
    let guest = Guest::new(root.path(), &["/bin/hogs", thing])
        .options(&["--memory", MEMORY])
        .options(options);
    let run = watched(&guest);
    assert_eq!(run.outcome.status, 0, "{thing}: {run:#?}");
    let words: Vec<&str> = run.outcome.stdout.split_whitespace().collect();
    let [name, count, refusal] = words[..] else {
        panic!("{thing}: {run:#?}");
    };
    assert_eq!(name, thing);
    (count.parse().expect("a number"), refusal.to_owned())
}

#[test]
fn processes_end_at_the_limit_of_pids_those_included_that_have_ended() {
    let limit = ["--pids-limit", "100"];
    assert_eq!(hog("processes", &limit), (99, "EAGAIN".to_owned()));
}

#[test]
fn processes_of_a_user_end_at_rlimit_nproc() {
    let limit = ["--user", "1000", "--ulimit", "nproc=50"];
    assert_eq!(hog("processes", &limit), (49, "EAGAIN".to_owned()));
}

#[test]
fn threads_end_at_the_limit_of_pids() {
    let limit = ["--pids-limit", "300"];
    assert_eq!(hog("threads", &limit), (299, "EAGAIN".to_owned()));
}

#[test]
fn threads_of_a_user_end_at_rlimit_nproc() {
    let limit = ["--user", "1000", "--ulimit", "nproc=50"];
    assert_eq!(hog("threads", &limit), (49, "EAGAIN".to_owned()));
}

#[test]
fn memory_ends_with_the_guest_and_costs_the_child_that_took_it() {
    assert_eq!(hog("memory", &[]).1, "SIGKILL");
    let limit = ["--ulimit", "data=64000000"];
    assert_eq!(hog("memory", &limit).1, "ENOMEM");
}

#[test]
fn descriptors_end_at_rlimit_nofile() {
    assert_eq!(hog("descriptors", &[]), (1021, "EMFILE".to_owned()));
    let limit = ["--ulimit", "nofile=60"];
    assert_eq!(hog("descriptors", &limit), (57, "EMFILE".to_owned()));
}

#[test]
fn full_pipes_and_sockets_end_at_the_number_of_files() {
    let (count, refusal) = hog("buffers", &[]);
    assert_eq!(refusal, "ENFILE");
    assert!(count > 1000, "{count}");
}

#[test]
fn bytes_and_names_in_memory_end_with_its_file_systems() {
    let (megabytes, refusal) = hog("files", &[]);
    assert_eq!(refusal, "ENOSPC");
    assert!((64..=128).contains(&megabytes), "{megabytes}");
    assert_eq!(hog("names", &[]).1, "ENOSPC");
}

#[test]
fn files_larger_than_memory_can_be_mapped_piece_by_piece() {
    assert_eq!(hog("cached", &[]), (2 * BIG / 4096, "none".to_owned()));
}

#[test]
fn mappings_signals_and_timers_end_where_linux_ends_them() {
    let (mappings, refusal) = hog("mappings", &[]);
    assert_eq!(refusal, "ENOMEM");
    assert!((65000..=65530).contains(&mappings), "{mappings}");
    let limit = ["--ulimit", "sigpending=500"];
    assert_eq!(hog("signals", &limit), (500, "EAGAIN".to_owned()));
    assert_eq!(hog("timers", &limit), (500, "EAGAIN".to_owned()));
}

/// The shell that lights it cannot fork while it burns: what wakes it is there before.
const BOMB: &str = "b() { b | b & }; trap 'echo alive' USR1; \
    (sleep 2; kill -USR1 $$) & b; wait";

/// The user's bomb leaves root's shell alone, which puts it out.
const BOMB_OF_A_USER: &str = "(/usr/sbin/chroot --userspec=1000:1000 / /bin/busybox \
    sh -c 'b() { b | b & }; b; wait') & sleep 2; echo alive; kill -9 -1; \
    echo $(echo recovered | cat)";

fn bomb(root: &Path, script: &str, limit: &[&str], end: &str) {
    let guest = Guest::new(root, &["/bin/busybox", "sh", "-c", script])
        .options(&["--memory", MEMORY])
        .options(limit);
    let run = watched(&guest);
    assert!(run.outcome.stdout.ends_with(end), "{run:#?}");
    let refused = "can't fork: Resource temporarily unavailable";
    assert!(run.outcome.stderr.contains(refused), "{run:#?}");
}

#[test]
fn a_fork_bomb_is_contained_and_the_shell_recovers() {
    let packages = ["base-files", "busybox-static", "coreutils", "dash"];
    let root = guest_root::root("counts", &packages).expect("a root of Debian packages");
    bomb(&root, BOMB, &["--pids-limit", "64"], "alive\n");
    bomb(
        &root,
        BOMB_OF_A_USER,
        &["--ulimit", "nproc=64"],
        "alive\nrecovered\n",
    );
}
