// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress as bars on a terminal, or as plain lines elsewhere.
//!
//! Both write to standard error. Bars vanish when their work is done, so that
//! what stays on the screen is what the command says at its end.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Progress, Quiet, Task};

/// How much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Bars on a terminal, a line for each piece of work elsewhere.
    Normal,
    /// Lines even on a terminal, so that they stay, and how long it all took.
    Verbose,
}

/// The kind of progress that fits standard error.
#[must_use]
pub fn for_stderr(verbosity: Verbosity) -> Box<dyn Progress> {
    match verbosity {
        Verbosity::Quiet => Box::new(Quiet),
        Verbosity::Normal if io::stderr().is_terminal() => Box::new(Bars::default()),
        Verbosity::Normal => Box::new(Plain::default()),
        Verbosity::Verbose => Box::new(Plain { is_verbose: true }),
    }
}

/// One bar for each running piece of work.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
}

struct Bar(ProgressBar);

impl Progress for Bars {
    fn task(&self, name: &str, total: Option<u64>) -> Box<dyn Task> {
        let (bar, style) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:30!} {wide_bar} {decimal_bytes:>11} of {decimal_total_bytes:>11} {eta:>4}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg:30!} {spinner} {decimal_bytes:>11} {decimal_bytes_per_sec}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        let bar = self.all.add(bar);
        bar.enable_steady_tick(Duration::from_millis(120));
        Box::new(Bar(bar))
    }

    fn note(&self, line: &str) {
        // Fails as `say` does.
        let _ = self.all.println(line);
    }
}

impl Task for Bar {
    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// One line when a piece of work begins, and one more when it is done if that is
/// wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain {
    is_verbose: bool,
}

struct Line {
    /// What to say at the end.
    closing: Option<(String, Instant)>,
}

impl Progress for Plain {
    fn task(&self, name: &str, total: Option<u64>) -> Box<dyn Task> {
        match total {
            Some(total) => say(&format_args!("{name} ({})", super::human_bytes(total))),
            None => say(&name),
        }
        let closing = self.is_verbose.then(|| (name.to_owned(), Instant::now()));
        Box::new(Line { closing })
    }

    fn note(&self, line: &str) {
        say(&line);
    }
}

/// Prints a line. Fails only when standard error is gone, where nobody could be told.
fn say(line: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

impl Task for Line {
    fn advance(&self, _bytes: u64) {}

    fn finish(&self) {
        if let Some((name, start)) = &self.closing {
            let seconds = start.elapsed().as_secs_f64();
            say(&format_args!("{name}: done in {seconds:.2} s"));
        }
    }
}
