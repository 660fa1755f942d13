// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that a thread has spent in its program, up to date while it is there.
//!
//! A [`Meter`] is one word: one writer, the worker that runs the thread, and readers
//! anywhere. While it runs, the word holds what the total was when the thread entered,
//! less the time at which it did: adding the time of now gives the total of now.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Clock;

const RUNNING: u64 = 1 << 63;

/// Nanoseconds, modulo 2^63, and whether it runs.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    /// The thread enters its program.
    pub fn start(&self, now_ns: u64) {
        let total = self.0.load(Ordering::Relaxed);
        let word = total.wrapping_sub(now_ns) | RUNNING;
        self.0.store(word, Ordering::Release);
    }

    /// It has left it.
    pub fn stop(&self, now_ns: u64) {
        let word = self.0.load(Ordering::Relaxed);
        let total = word.wrapping_add(now_ns) & !RUNNING;
        self.0.store(total, Ordering::Release);
    }

    /// The total until now.
    #[must_use]
    pub fn read(&self, clock: &Clock) -> u64 {
        let word = self.0.load(Ordering::Acquire);
        if word & RUNNING == 0 {
            return word;
        }
        // Read after the word, so that it is not before the time in it.
        word.wrapping_add(clock.monotonic_ns()) & !RUNNING
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use elfuse_machine::host::SystemHost;

    use super::Meter;
    use crate::time::Clock;

    #[test]
    fn what_stopped_counts_no_longer_and_what_runs_does() {
        let (meter, clock) = (Meter::default(), Clock::new(Arc::new(SystemHost)));
        meter.start(1000);
        meter.stop(1500);
        meter.start(7000);
        meter.stop(7001);
        assert_eq!(meter.read(&clock), 501);
        let second = 1_000_000_000;
        meter.start(clock.monotonic_ns() - second);
        let first = meter.read(&clock);
        assert!(first >= second + 501, "{first}");
        assert!(meter.read(&clock) >= first);
    }
}
