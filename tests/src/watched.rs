// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run of the simulator that is watched from outside: what it takes of the host.
//! `/proc` is read every few milliseconds; the peak of memory is the kernel's own, so
//! only what happens in the very last moment can be missed.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::guest::{Guest, Outcome};

const PERIOD: Duration = Duration::from_millis(10);

/// What a run gave, and what it took.
#[derive(Debug)]
pub struct Watched {
    /// What it gave. A run that was killed for its time has the status 137.
    pub outcome: Outcome,
    /// Largest resident memory, KiB.
    pub peak_kib: u64,
    /// Most threads of the host.
    pub threads: usize,
    /// Most descriptors of the host.
    pub descriptors: usize,
    /// Was there ever another process of the host below it?
    pub has_children: bool,
}

/// Runs a program in the simulator and watches it.
///
/// # Panics
/// The simulator is not built or cannot be started.
#[must_use]
pub fn run(guest: &Guest) -> Watched {
    let mut command = guest.simulated();
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    let mut child = started.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let mut watched = Watched {
        outcome: Outcome {
            status: 0,
            stdout: String::new(),
            stderr: String::new(),
        },
        peak_kib: 0,
        threads: 0,
        descriptors: 0,
        has_children: false,
    };
    watched.outcome.status = watched.follow(&mut child, Instant::now() + guest.time());
    watched.outcome.stdout = stdout.join().expect("a reader");
    watched.outcome.stderr = stderr.join().expect("a reader");
    watched
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stream.map(|mut stream| stream.read_to_end(&mut bytes));
        read.transpose().expect("output of the simulator");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Watched {
    fn follow(&mut self, child: &mut Child, end: Instant) -> i32 {
        loop {
            self.look(child.id());
            if let Some(status) = child.try_wait().expect("wait for the simulator") {
                return status.code().unwrap_or(-1);
            }
            if Instant::now() > end {
                child.kill().expect("end the simulator");
                child.wait().expect("wait for the simulator");
                return 137;
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn look(&mut self, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|rest| rest.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        self.peak_kib = self.peak_kib.max(number("VmHWM:"));
        let threads = usize::try_from(number("Threads:")).unwrap_or(usize::MAX);
        self.threads = self.threads.max(threads);
        let count = |path: String| fs::read_dir(path).map_or(0, Iterator::count);
        self.descriptors = self.descriptors.max(count(format!("/proc/{pid}/fd")));
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children"));
            self.has_children |= children.is_ok_and(|list| !list.trim().is_empty());
        }
    }
}
