// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts what passed and what failed, over steps of our own and over the
//! output of `cargo test`, so that a run ends in one line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What passed and failed so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failures: Vec<String>,
    failed: u64,
}

impl Tally {
    /// Runs one step of our own and shows how it ended.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        let begun = Instant::now();
        let result = step();
        let seconds = begun.elapsed().as_secs_f32();
        match result {
            Ok(()) => {
                println!("check {name} ... ok ({seconds:.1} s)");
                self.passed += 1;
            }
            Err(error) => {
                println!("check {name} ... FAILED ({seconds:.1} s)\n{error:#}");
                self.failed += 1;
                self.failures.push(format!("check {name}"));
            }
        }
    }

    /// Runs a `cargo test`, passing its output through and adding its results.
    pub(crate) fn cargo_test(&mut self, command: &mut Command) -> Result<()> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("start cargo test")?;
        let output = child.stdout.take().context("read from cargo test")?;
        let (passed, failed) = (self.passed, self.failed);
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("read from cargo test")?;
            let mut out = std::io::stdout().lock();
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            self.add_line(&String::from_utf8_lossy(&line));
        }
        let status = child.wait().context("wait for cargo test")?;
        if status.success() && self.passed == passed {
            bail!("cargo test ran no test");
        }
        if !status.success() && self.failed == failed {
            // It did not get as far as running tests.
            self.failed += 1;
            self.failures.push(format!("cargo test: {status}"));
        }
        Ok(())
    }

    /// Adds the numbers of libtest's `test result: ok. 7 passed; 0 failed; ...`.
    fn add_line(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<u64>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                _ => {}
            }
        }
    }

    /// Adds what another tally counted.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Prints the failures and the last line; an error if anything failed.
    pub(crate) fn finish(self) -> Result<()> {
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            std::process::exit(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_of_several_test_programs_add_up() {
        let mut tally = Tally::default();
        tally.add_line("test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s");
        tally.add_line(
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        );
        tally.add_line("test a::b ... FAILED");
        tally.add_line("test a::c ... ok");
        assert_eq!((tally.passed, tally.failed), (9, 3));
        assert_eq!(tally.failures, ["a::b"]);
    }
}
