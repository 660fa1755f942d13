// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many there are of what a leak would leave behind, now and at most so far.
//!
//! An object that is counted holds a [`Counted`], which its end drops. The counts are
//! of the whole program, as there is one virtual machine in it. `--stats` prints them
//! after the run; the tests compare short runs with long ones.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads of guest programs.
pub(crate) static TASKS: Gauge = Gauge::new("tasks");
/// Processes, those included that nobody waited for yet.
pub(crate) static PROCESSES: Gauge = Gauge::new("processes");
/// Address spaces.
pub(crate) static SPACES: Gauge = Gauge::new("address spaces");
/// Tables of descriptors.
pub(crate) static DESCRIPTOR_TABLES: Gauge = Gauge::new("fd tables");
/// Open file descriptions.
pub(crate) static OPEN_FILES: Gauge = Gauge::new("open files");
/// Pipes, open or named.
pub(crate) static PIPES: Gauge = Gauge::new("pipes");
/// Names that are known, in whatever file system.
pub(crate) static NAMES: Gauge = Gauge::new("names");
/// Places in wait queues.
pub(crate) static WAITS: Gauge = Gauge::new("waits");
/// Armed timers.
pub(crate) static TIMERS: Gauge = Gauge::new("timers");

/// All gauges.
static ALL: [&Gauge; 9] = [
    &TASKS,
    &PROCESSES,
    &SPACES,
    &DESCRIPTOR_TABLES,
    &OPEN_FILES,
    &PIPES,
    &NAMES,
    &WAITS,
    &TIMERS,
];

/// A number of living objects.
pub(crate) struct Gauge {
    name: &'static str,
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            now: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// How many there are.
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Counts one more, until what is returned is dropped.
    pub(crate) fn count(&'static self) -> Counted {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Counted(self)
    }
}

/// One living object.
pub(crate) struct Counted(&'static Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a gauge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub name: &'static str,
    /// How many there are.
    pub now: usize,
    /// How many there were at most.
    pub peak: usize,
}

/// Reads all gauges.
#[must_use]
pub fn read() -> [Reading; 9] {
    ALL.map(|gauge| Reading {
        name: gauge.name,
        now: gauge.now.load(Ordering::Relaxed),
        peak: gauge.peak.load(Ordering::Relaxed),
    })
}

#[cfg(test)]
mod tests {
    use super::Gauge;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_gauge_falls_and_remembers_its_peak() {
        static THINGS: Gauge = Gauge::new("things");
        let two = [THINGS.count(), THINGS.count()];
        drop(two);
        let one = THINGS.count();
        assert_eq!(THINGS.now.load(Ordering::Relaxed), 1);
        assert_eq!(THINGS.peak.load(Ordering::Relaxed), 2);
        drop(one);
    }
}
