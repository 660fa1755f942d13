// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest programs, run twice: in the simulator, and under `qemu-user` in
//! namespaces of its own, whose system calls a real Linux answers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::workspace::simulator;

/// Since Linux 6.7 a user namespace has binary formats of its own: there, and nowhere
/// else on this machine, programs for arm64 start under the emulator.
const EMULATES_ARM64: &str = r#"set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf %s ":arm64:M::$magic:$mask:$(command -v qemu-aarch64-static):PF" \
    >/proc/sys/fs/binfmt_misc/register
hostname elfuse
exec "$@""#;

/// What a program left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status as a shell has it.
    pub status: i32,
    /// Standard output; what is no UTF-8 is replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A program in a root directory, and how it is started.
#[derive(Clone, Debug)]
pub struct Guest {
    root: PathBuf,
    command: Vec<String>,
    env: Vec<(String, String)>,
    options: Vec<String>,
    input: Vec<u8>,
    limit: Duration,
    is_apart: bool,
}

impl Guest {
    /// `command` in `root`, with an empty standard input and a minute to live.
    #[must_use]
    pub fn new(root: &Path, command: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            root: root.to_path_buf(),
            command: owned(command),
            env: Vec::new(),
            options: Vec::new(),
            input: Vec::new(),
            limit: Duration::from_secs(60),
            is_apart: false,
        }
    }

    /// A script for the root's shell.
    #[must_use]
    pub fn sh(root: &Path, script: &str) -> Self {
        Self::new(root, &["/bin/sh", "-c", script])
    }

    /// With a variable in the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this standard input.
    #[must_use]
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// With more time than a minute, or less.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// With options of the simulator, such as `--cpus 2`.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// In a network of its own, where there is nobody but itself.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.is_apart = true;
        self
    }

    /// Runs it in the simulator. A program that does not end in time leaves the
    /// status of `timeout`, 124 or 137.
    ///
    /// # Panics
    /// The simulator is not built or cannot be started.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let mut command = self.timed();
        let simulated = self.simulated();
        if self.is_apart {
            command.args(["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--"]);
        }
        command.arg(simulated.get_program());
        command.args(simulated.get_args());
        self.finish(&mut command)
    }

    /// The command that runs it in the simulator, for as long as it takes.
    ///
    /// # Panics
    /// The simulator is not built.
    #[must_use]
    pub fn simulated(&self) -> Command {
        let mut command = Command::new(simulator().expect("a simulator"));
        command.arg(&self.root).args(&self.options);
        for (name, value) in &self.env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command.arg("--").args(&self.command);
        command
    }

    /// How long it may take.
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.limit
    }

    /// Runs it on Linux, under `qemu-user` as root of namespaces of its own. It can write
    /// to `/tmp` alone, which is empty.
    ///
    /// # Panics
    /// The tools are missing.
    #[must_use]
    pub fn run_on_linux(&self) -> Outcome {
        let mut command = self.timed();
        command.args(["unshare", "--user", "--map-root-user", "--mount", "--pid"]);
        command.args(["--fork", "--kill-child", "--mount-proc", "--net", "--ipc"]);
        command.args(["--uts", "sh", "-c", EMULATES_ARM64, "sh"]);
        command.args(["bwrap", "--ro-bind"]).arg(&self.root);
        command.args(["/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]);
        command.args(["--clearenv", "--setenv", "HOME", "/root", "--setenv"]);
        command.args([
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]);
        for (name, value) in &self.env {
            command.args(["--setenv", name, value]);
        }
        command.args(["--chdir", "/", "--"]).args(&self.command);
        self.finish(&mut command)
    }

    /// Runs it both ways and returns what both gave.
    ///
    /// # Panics
    /// The simulator gave something else than Linux.
    pub fn agrees_with_linux(&self) -> Outcome {
        let (ours, linux) = (self.run(), self.run_on_linux());
        let differences = differences(&linux, &ours);
        assert!(
            differences.is_empty(),
            "{}: - Linux, + simulator:\n{differences}",
            self.line()
        );
        ours
    }

    /// Runs it in the simulator, where it must succeed, and returns what it printed.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn prints(&self) -> String {
        let outcome = self.run();
        assert_eq!(outcome.status, 0, "{}: {outcome:#?}", self.line());
        outcome.stdout
    }

    /// The beginning of the command line: scripts are long.
    fn line(&self) -> String {
        let line = self.command.join(" ");
        line.chars().take(100).collect()
    }

    fn timed(&self) -> Command {
        let mut command = Command::new("timeout");
        let seconds = self.limit.as_secs().to_string();
        command.args(["--kill-after=5", &seconds]);
        command
    }

    fn finish(&self, command: &mut Command) -> Outcome {
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let input = (child.stdin.take(), self.input.clone());
        let feeder = std::thread::spawn(move || {
            if let (Some(mut pipe), bytes) = input {
                // A program that does not read its input ends before it has all of it.
                let _ = pipe.write_all(&bytes);
            }
        });
        let output = child.wait_with_output();
        let output = output.unwrap_or_else(|error| panic!("wait for {command:?}: {error}"));
        feeder.join().expect("the thread that feeds the input");
        outcome(&output)
    }
}

fn outcome(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        status: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The first lines that differ, at most ten of each stream.
fn differences(linux: &Outcome, ours: &Outcome) -> String {
    let mut report = String::new();
    if linux.status != ours.status {
        report += &format!("- status {}\n+ status {}\n", linux.status, ours.status);
    }
    for (name, linux, ours) in [
        ("out", &linux.stdout, &ours.stdout),
        ("err", &linux.stderr, &ours.stderr),
    ] {
        let (mut linux, mut ours) = (linux.lines(), ours.lines());
        let mut shown = 0;
        loop {
            let pair = (linux.next(), ours.next());
            if pair == (None, None) || shown == 10 {
                break;
            }
            if pair.0 != pair.1 {
                let (left, right) = (pair.0.unwrap_or("(end)"), pair.1.unwrap_or("(end)"));
                report += &format!("- {name}: {left}\n+ {name}: {right}\n");
                shown += 1;
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::{Outcome, differences};

    fn printed(stdout: &str) -> Outcome {
        Outcome {
            status: 0,
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn a_missing_line_is_a_difference() {
        assert_eq!(differences(&printed("a\nb\n"), &printed("a\nb\n")), "");
        let report = differences(&printed("a\nb\n"), &printed("a\n"));
        assert_eq!(report, "- out: b\n+ out: (end)\n");
    }
}
