// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench runtime`: what programs take in the simulator, beside the same
//! programs under `qemu-user`, whose system calls the host's kernel answers.
//!
//! Times depend on the machine, and are only printed beside their targets; the counts
//! that are the same everywhere are tests (`tests/tests/counts.rs`). On a Mac the same
//! runtime runs programs natively.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::measure::measure;
use crate::{packages, process, run as guest};

const EMULATOR: &str = "qemu-aarch64-static";

/// What to do, how often, and what the simulator's time may be of qemu-user's.
struct Work {
    kind: &'static str,
    what: &'static str,
    count: u32,
    /// Hundredths.
    target: u32,
}

const WORK: [Work; 8] = [
    work("spawn", "fork, exec and wait", 400, 33),
    work("pipe", "round trip between two processes", 20_000, 100),
    work(
        "identity",
        "system call answered in the guest",
        2_000_000,
        100,
    ),
    work("call", "any other system call", 500_000, 100),
    work("clock", "clock_gettime of the C library", 2_000_000, 100),
    work("sieve", "sieve of a megabyte", 20, 1000),
    work("mix", "1000 rounds of arithmetic", 100_000, 1000),
    work("fib", "fib(20), recursively", 200, 1000),
];

const fn work(kind: &'static str, what: &'static str, count: u32, target: u32) -> Work {
    Work {
        kind,
        what,
        count,
        target,
    }
}

/// Measures everything `rounds` times and prints a table.
pub(crate) fn run(rounds: usize) -> Result<()> {
    packages::require(&[packages::SIMULATOR, packages::TESTS])?;
    let simulator = guest::build()?;
    let emulator = process::find_program(EMULATOR).context("find qemu-user")?;
    let dir = tempfile::tempdir().context("make a directory")?;
    let program = compile(dir.path())?;
    println!(
        "{:<38}{:>12}{:>12}{:>8}{:>9}",
        "each", "simulator", "qemu-user", "ratio", "target"
    );
    for work in &WORK {
        let ours = each(rounds, work, || {
            let mut command = Command::new(&simulator);
            command.arg(dir.path()).args(["--", "/work"]);
            command
        })?;
        let theirs = each(rounds, work, || {
            let mut command = Command::new(&emulator);
            command.arg(&program).env("WORK_EMULATOR", &emulator);
            command
        })?;
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64().max(1e-9);
        let target = f64::from(work.target) / 100.0;
        let (ours, theirs) = (text(ours), text(theirs));
        println!(
            "{:<38}{ours:>12}{theirs:>12}{ratio:>8.2}{target:>9.2}",
            work.what
        );
    }
    Ok(())
}

fn compile(dir: &Path) -> Result<PathBuf> {
    let source = process::root().join("tests/guest/bench/work.c");
    let program = dir.join("work");
    let mut compiler = Command::new("aarch64-linux-gnu-gcc");
    compiler
        .args(["-O2", "-static", "-o"])
        .arg(&program)
        .arg(source);
    process::quietly(&mut compiler)?;
    Ok(program)
}

/// Processor time of one repetition: the median of all rounds, without the start.
fn each(rounds: usize, work: &Work, start: impl Fn() -> Command) -> Result<Duration> {
    let time = |count: u32| -> Result<Duration> {
        let runs = (0..rounds.max(1)).map(|_| -> Result<Duration> {
            let usage = measure(start().arg(work.kind).arg(count.to_string()))?;
            Ok(usage.cpu.unwrap_or(usage.wall))
        });
        let mut times = runs.collect::<Result<Vec<_>>>()?;
        times.sort();
        Ok(times[times.len() / 2])
    };
    Ok(time(work.count)?.saturating_sub(time(0)?) / work.count)
}

fn text(time: Duration) -> String {
    format!("{:.2} us", time.as_secs_f64() * 1e6)
}
