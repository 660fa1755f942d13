// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that mean harm: random system calls, broken executables, memory that goes
//! away while the kernel copies. The runtime neither panics nor hangs, and what is
//! around the guest's root on the host stays as it is.
//!
//! `ELFUSE_FUZZ_SECONDS` says how long the random ones go on, `ELFUSE_FUZZ_SEED` where
//! they begin. A failure prints the seed.

#[path = "hostile/torn.rs"]
mod torn;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use elfuse_tests::guest::{Guest, Outcome};
use elfuse_tests::{compiled, workspace};

const SOURCES: [&str; 3] = ["hostile/calls", "hostile/elves", "hostile/pull"];

/// Half of it each for one processor and for two.
const SECONDS: u64 = 30;
const LONG_SECONDS: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seconds() -> u64 {
    let usual = if workspace::is_long_run() {
        LONG_SECONDS
    } else {
        SECONDS
    };
    number("ELFUSE_FUZZ_SECONDS").unwrap_or(usual)
}

fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH);
    number("ELFUSE_FUZZ_SEED").unwrap_or_else(|| now().expect("a clock").as_secs())
}

/// Everything in a directory, with what would change if it were written.
fn state_of(dir: &Path) -> Vec<String> {
    let mut state = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let file = path.symlink_metadata().expect("a file");
            let (mode, owner) = (file.mode(), (file.uid(), file.gid()));
            let written = (file.mtime(), file.mtime_nsec(), file.ctime());
            state.push(format!(
                "{path:?} {mode:o} {owner:?} {} {written:?}",
                file.len()
            ));
            if file.is_dir() {
                dirs.push(path);
            }
        }
    }
    state.sort();
    state
}

/// A root among other things of the host, and a process of the host's.
struct Scene {
    root: tempfile::TempDir,
    bystander: Child,
}

impl Scene {
    fn new() -> Self {
        let root = compiled::root_with(&SOURCES).expect("programs");
        fs::create_dir(root.path().join("guest")).expect("a directory");
        for dir in ["bin", "tmp"] {
            let to = root.path().join("guest").join(dir);
            fs::rename(root.path().join(dir), to).expect("a place in the root");
        }
        for canary in ["canary", "f", "tmp", "d"] {
            fs::write(root.path().join(canary), "untouched").expect("a canary");
        }
        Self {
            root,
            bystander: Command::new("sleep").arg("2000").spawn().expect("sleep"),
        }
    }

    fn guest(&self) -> std::path::PathBuf {
        self.root.path().join("guest")
    }

    /// Runs it, in time, and looks around afterwards.
    fn survives(&mut self, command: &[&str], cpus: &str, limit: Duration) -> Outcome {
        let before = state_of(self.root.path());
        let guest = Guest::new(&self.guest(), command)
            .options(&["--memory", "256m", "--pids-limit", "500", "--cpus", cpus])
            .limit(limit)
            .apart();
        let outcome = guest.run();
        let what = format!("{command:?} on {cpus} processors: {outcome:#?}");
        assert_eq!(outcome.status, 0, "{what}");
        assert!(!outcome.stderr.contains("panicked"), "{what}");
        assert_eq!(before, state_of(self.root.path()), "{command:?}");
        let ended = self.bystander.try_wait().expect("the bystander");
        assert!(ended.is_none(), "a process of the host ended: {command:?}");
        outcome
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It has done its duty whether it can be killed or not.
        let _ = self.bystander.kill();
        let _ = self.bystander.wait();
    }
}

fn random_calls(cpus: &str) {
    let (seed, seconds) = (seed(), seconds());
    let (seed, time) = (seed.to_string(), seconds.to_string());
    let limit = Duration::from_secs(seconds + 60);
    let outcome = Scene::new().survives(&["/bin/calls", &seed, &time], cpus, limit);
    let last = outcome.stdout.rsplit(&format!("seed {seed}: ")).next();
    let children = last.and_then(|rest| rest.split(' ').next()?.parse().ok());
    let children: u64 = children.unwrap_or_else(|| panic!("{outcome:#?}"));
    // Each has a second at most, and two run at a time.
    assert!(children >= seconds, "{children} children: {outcome:#?}");
}

#[test]
fn fuzz_system_calls_on_one_processor() {
    random_calls("1");
}

#[test]
fn fuzz_system_calls_on_two_processors() {
    random_calls("2");
}

#[test]
fn fuzz_executables() {
    let mut scene = Scene::new();
    compile_tiny(&scene.guest().join("bin"));
    let (seed, seconds) = (seed(), seconds().div_ceil(2));
    let command = ["/bin/elves", &seed.to_string(), &seconds.to_string()];
    let outcome = scene.survives(&command, "1", Duration::from_secs(seconds + 60));
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    let [files, _, refused, _, killed, _, ran, ..] = words[..] else {
        panic!("{outcome:#?}");
    };
    let count = |word: &str| word.parse::<u64>().expect("a number");
    assert!(count(files) > 20 * seconds, "{outcome:#?}");
    // All that can become of a file becomes of some.
    assert!(
        [refused, killed, ran].iter().all(|word| count(word) > 0),
        "{outcome:#?}"
    );
}

/// The programs that are broken: fixed, movable, and one with an interpreter.
fn compile_tiny(bin: &Path) {
    let source = workspace::root().join("tests/guest/hostile/tiny.c");
    for (name, flags) in [
        ("fixed", &["-static"] as &[&str]),
        ("pie", &["-static-pie"]),
        ("dynamic", &["-pie", "-Wl,--dynamic-linker=/tmp/interp"]),
    ] {
        let mut compile = Command::new("aarch64-linux-gnu-gcc");
        compile
            .args(["-O1", "-nostdlib", "-ffreestanding"])
            .args(flags);
        compile.arg("-o").arg(bin.join(name)).arg(&source);
        workspace::run(&mut compile).expect("a small program");
    }
}

#[test]
fn copies_fail_alone_when_their_memory_goes_away() {
    let mut scene = Scene::new();
    for cpus in ["1", "2"] {
        let outcome = scene.survives(&["/bin/pull", "4"], cpus, Duration::from_secs(60));
        assert!(outcome.stdout.ends_with("done\n"), "{outcome:#?}");
        let calls = outcome.stdout.lines().filter(|line| *line != "done");
        for line in calls {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, worked, faulted] = words[..] else {
                panic!("{line}");
            };
            // Both happened, or the race was never run.
            assert!(worked != "0" && faulted != "0", "{line}");
        }
    }
}
