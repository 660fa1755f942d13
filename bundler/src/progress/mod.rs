// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress reporting, seen from the code that does long work.
//!
//! Library code takes a [`Progress`] and never prints. The command line picks
//! the implementation: bars on a terminal, plain lines otherwise, or silence.

mod bars;

pub use bars::{Bars, Plain, Verbosity, for_stderr};

/// A size as people read it: `3.4 MB`, in powers of 1000.
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// Receives the progress of long-running work. Shared between threads.
pub trait Progress: Send + Sync {
    /// Starts a named piece of work; `total` is in bytes when it is known.
    fn task(&self, name: &str, total: Option<u64>) -> Box<dyn Task>;
    /// Tells the user one line that is worth reading.
    fn note(&self, line: &str);
}

/// One piece of work. Dropping it without [`Task::finish`] marks it abandoned.
pub trait Task: Send + Sync {
    /// `bytes` more are done.
    fn advance(&self, bytes: u64);
    /// The work is complete.
    fn finish(&self);
}

/// Reports nothing: for tests and for `--quiet`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

struct QuietTask;

impl Progress for Quiet {
    fn task(&self, _name: &str, _total: Option<u64>) -> Box<dyn Task> {
        Box::new(QuietTask)
    }

    fn note(&self, _line: &str) {}
}

impl Task for QuietTask {
    fn advance(&self, _bytes: u64) {}

    fn finish(&self) {}
}
