// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress as bars on a terminal, or as plain lines elsewhere.
//!
//! Both write to standard error. Bars vanish when their work is done, so that
//! what stays on the screen is what the command says at its end.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Progress, Quiet, Task};

/// How much to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Bars on a terminal, a line for each piece of work elsewhere.
    Normal,
    /// Lines even on a terminal, so that they stay.
    Verbose,
}

/// The kind of progress that fits standard error.
#[must_use]
pub fn for_stderr(verbosity: Verbosity) -> Box<dyn Progress> {
    match verbosity {
        Verbosity::Quiet => Box::new(Quiet),
        Verbosity::Normal if std::io::stderr().is_terminal() => Box::new(Bars::default()),
        Verbosity::Normal | Verbosity::Verbose => Box::new(Plain),
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
                "{msg:30!} {wide_bar} {bytes:>11} of {total_bytes:>11} {eta:>4}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg:30!} {spinner} {bytes:>11} {bytes_per_sec}",
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
        // Fails only when standard error is gone, where nobody could be told.
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

/// One line when a piece of work begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

struct Line;

impl Progress for Plain {
    fn task(&self, name: &str, total: Option<u64>) -> Box<dyn Task> {
        match total {
            Some(total) => eprintln!("{name} ({})", super::human_bytes(total)),
            None => eprintln!("{name}"),
        }
        Box::new(Line)
    }

    fn note(&self, line: &str) {
        eprintln!("{line}");
    }
}

impl Task for Line {
    fn advance(&self, _bytes: u64) {}

    fn finish(&self) {}
}
