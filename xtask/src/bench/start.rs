// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench start`: from a bundle to a program that has ended, with an empty
//! cache and with a warm one, beside `umoci unpack` of the same image and `qemu-user` in
//! what it unpacked.
//!
//! Counts are nearly the same on every machine and decide the exit status: bytes of the
//! bundle that a warm start reads, its exits, its system calls to the host. Times depend
//! on the machine and are only printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::measure::{Usage, best, measure};
use crate::{bundle, packages, process, run as guest, stub};

const EMULATOR: &str = "qemu-aarch64-static";
/// A warm start of the image's dynamic `true`, as docs/budgets.md promises.
const MAX_EXITS: u64 = 100;
const MAX_HOST_CALLS: u64 = 800;
/// Parts of the bundle: headers and table of contents are far smaller.
const MIN_BUNDLE_OVER_READ: u64 = 20;

struct Bench {
    dir: PathBuf,
    layout: PathBuf,
    bundle: PathBuf,
    simulator: PathBuf,
    rounds: usize,
}

/// Measures everything `rounds` times and prints the quickest.
pub(crate) fn run(rounds: usize) -> Result<()> {
    packages::require(&[packages::STUB, packages::SIMULATOR, packages::TESTS])?;
    let bundler = bundle::build(&stub::build()?)?;
    let dir = process::target_dir().join("bench/start");
    remove(&dir)?;
    fs::create_dir_all(&dir)?;
    let bench = Bench {
        layout: image()?,
        bundle: dir.join("box"),
        simulator: guest::build()?,
        rounds: rounds.max(1),
        dir,
    };
    let mut make = Command::new(bundler);
    make.arg("--quiet")
        .arg("--store")
        .arg(bench.dir.join("store"));
    make.arg(format!("oci:{}:latest", bench.layout.display()));
    process::quietly(make.arg("-o").arg(&bench.bundle))?;
    bench.times()?;
    let judged = bench.counts();
    remove(&bench.dir)?;
    judged
}

/// The Debian image of the tests.
fn image() -> Result<PathBuf> {
    let mut make = process::cargo();
    make.args(["run", "--quiet", "--locked", "--package=elfuse-tests"]);
    let printed = process::output(make.args(["--bin", "test-image"]))?;
    Ok(PathBuf::from(printed.trim_end()))
}

impl Bench {
    fn times(&self) -> Result<()> {
        let (cache, unpacked) = (self.dir.join("cache"), self.dir.join("unpacked"));
        let cold = self.quickest(&[&cache], || self.start(&[]))?;
        let warm = self.quickest(&[], || self.start(&[]))?;
        let image = format!("{}:latest", self.layout.display());
        let unpack = || {
            let mut umoci = Command::new("umoci");
            umoci.args(["unpack", "--image", &image]).arg(&unpacked);
            umoci
        };
        let unpack = self.quickest(&[&unpacked], unpack)?;
        let emulator = process::find_program(EMULATOR).context("find qemu-user")?;
        let emulated = || emulated(&emulator, &unpacked.join("rootfs"));
        let emulated = self.quickest(&[], emulated)?;
        println!("start of `true`, the quickest of {} runs", self.rounds);
        println!("{:38} {:>8} {:>8} {:>9}", "", "wall", "cpu", "memory");
        print("cold: unpack and run", cold);
        print("umoci unpack", unpack);
        print("warm: run", warm);
        print("qemu-user in what umoci unpacked", emulated);
        let wall = ratio(cold.wall, unpack.wall);
        let cpu = ratio(cold.cpu.unwrap_or_default(), unpack.cpu.unwrap_or_default());
        println!("cold start over umoci alone: wall {wall:.2}, cpu {cpu:.2}, target 1.00");
        Ok(())
    }

    /// The simulator as `elfuse-bundle run` starts it.
    fn start(&self, options: &[&str]) -> Command {
        let mut command = Command::new(&self.simulator);
        command.arg(&self.bundle).args(options).arg("/bin/true");
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        command.env("ELFUSE_CACHE", self.dir.join("cache"));
    }

    fn quickest(&self, outputs: &[&Path], command: impl Fn() -> Command) -> Result<Usage> {
        let mut runs = Vec::new();
        for _ in 0..self.rounds {
            outputs.iter().try_for_each(|output| remove(output))?;
            runs.push(measure(&mut command())?);
        }
        Ok(best(runs))
    }

    /// Prints what a warm start takes besides time, and fails when it is too much.
    fn counts(&self) -> Result<()> {
        let size = fs::metadata(&self.bundle)?.len();
        let read = self.bytes_read()?;
        let exits = self.exits()?;
        let calls = self.host_calls()?;
        let limits = [
            (
                "bytes of the bundle read",
                read,
                size / MIN_BUNDLE_OVER_READ,
            ),
            ("exits", exits, MAX_EXITS),
            ("system calls to the host", calls, MAX_HOST_CALLS),
        ];
        println!("{:38} {:>10} {:>10}", "a warm start", "seen", "limit");
        for (what, seen, limit) in limits {
            println!("{what:38} {seen:>10} {limit:>10}");
        }
        let over = limits.into_iter().find(|(_, seen, limit)| seen > limit);
        match over {
            Some((what, seen, limit)) => bail!("a warm start: {what}: {seen}, limit {limit}"),
            None => Ok(()),
        }
    }

    fn exits(&self) -> Result<u64> {
        let output = self.start(&["--stats", "--json"]).output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let stats: Value = serde_json::from_str(&text).with_context(|| format!("read {text}"))?;
        stats["exits"].as_u64().context("find the number of exits")
    }

    fn traced(&self, options: &[&str]) -> Result<String> {
        let trace = self.dir.join("trace");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq"])
            .args(options)
            .arg("-o")
            .arg(&trace);
        strace
            .arg(&self.simulator)
            .arg(&self.bundle)
            .arg("/bin/true");
        self.surround(&mut strace);
        process::quietly(&mut strace)?;
        Ok(fs::read_to_string(trace)?)
    }

    fn bytes_read(&self) -> Result<u64> {
        let file = self.bundle.display().to_string();
        let calls = "trace=read,pread64,readv,preadv,mmap";
        let mut total = 0;
        for line in self.traced(&["-e", calls, "-P", &file])?.lines() {
            ensure!(!line.contains("mmap("), "the bundle is mapped: {line}");
            let count = line.rsplit_once(" = ").map(|(_, count)| count.trim());
            total += count
                .and_then(|count| count.parse::<u64>().ok())
                .unwrap_or(0);
        }
        Ok(total)
    }

    fn host_calls(&self) -> Result<u64> {
        let table = self.traced(&["-c"])?;
        let total = table.lines().rfind(|line| line.ends_with("total"));
        // Time, seconds, microseconds a call, calls, perhaps errors.
        let calls = total.and_then(|line| line.split_whitespace().nth(3));
        calls
            .and_then(|calls| calls.parse().ok())
            .with_context(|| format!("read the table of strace: {table}"))
    }
}

/// `true` in `root`, which is all that it sees of this machine.
fn emulated(emulator: &Path, root: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command
        .arg("--unshare-all")
        .arg("--bind")
        .args([root, Path::new("/")]);
    command
        .arg("--ro-bind")
        .args([emulator, Path::new("/run/emulator")]);
    command.args(["/run/emulator", "/bin/true"]);
    command
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64().max(1e-9)
}

fn print(what: &str, usage: Usage) {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let cpu = usage.cpu.map_or_else(String::new, seconds);
    let memory = usage
        .peak
        .map_or_else(String::new, |peak| format!("{} MB", peak / 1_000_000));
    println!("{what:38} {:>8} {cpu:>8} {memory:>9}", seconds(usage.wall));
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
