// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a program and measures wall-clock time, processor time and peak memory.
//!
//! The last two come from /proc, sampled while the program runs, its children
//! included in processor time once they ended. Where there is no /proc they are
//! not reported.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const SAMPLE: Duration = Duration::from_millis(3);

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// User and system time of all threads.
    pub(crate) cpu: Option<Duration>,
    /// Peak resident memory in bytes.
    pub(crate) peak: Option<u64>,
}

/// Runs `command`, silent unless it fails.
pub(crate) fn measure(command: &mut Command) -> Result<Usage> {
    // Earlier runs' dirty pages are not this one's business.
    let _ = Command::new("sync").status();
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let mut usage = Usage::default();
    let status = loop {
        sample(child.id(), &mut usage);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(SAMPLE);
    };
    usage.wall = started.elapsed();
    if !status.success() {
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut text)?;
        }
        bail!("{command:?}: {status}\n{text}");
    }
    Ok(usage)
}

fn sample(pid: u32, usage: &mut Usage) {
    if let Some(cpu) = cpu_time(pid) {
        usage.cpu = usage.cpu.max(Some(cpu));
    }
    if let Some(peak) = peak_memory(pid) {
        usage.peak = usage.peak.max(Some(peak));
    }
}

/// utime, stime, cutime and cstime of proc(5), in ticks of 10 ms.
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may contain anything but ends at the last `)`.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(4)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(ticks * 10))
}

fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The run of least wall-clock time: what else the machine does only adds to it.
pub(crate) fn best(runs: Vec<Usage>) -> Usage {
    runs.into_iter()
        .min_by_key(|run| run.wall)
        .unwrap_or_default()
}
