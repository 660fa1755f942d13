// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims about time slices, without a processor: strands are queued and taken by
//! hand, on a clock that makes every timer fire as soon as it is armed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use elfuse_machine::host::HostClock;

use super::{SLICE_NS, Scheduler, Strand};
use crate::time::{Clock, Timers};

/// Each look at it is longer after the last one than a slice.
#[derive(Default)]
struct HastyClock(AtomicU64);

impl HostClock for HastyClock {
    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(2 * SLICE_NS, Ordering::Relaxed)
    }
    fn realtime_ns(&self) -> u64 {
        0
    }
    fn boottime_ns(&self) -> u64 {
        0
    }
}

fn wait_for_reads(clock: &HastyClock, more: u64) -> bool {
    let (start, before) = (Instant::now(), clock.0.load(Ordering::Relaxed));
    while clock.0.load(Ordering::Relaxed) < before + more * 2 * SLICE_NS {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Queues and takes strands on many threads, so that arming timers races with
/// their ends; then leaves one that waits.
fn a_strand_that_waits_sees_slices_end() -> bool {
    const ROUNDS: usize = 100_000;
    const THREADS: usize = 8;
    let host = Arc::new(HastyClock::default());
    let clock = Clock::new(Arc::clone(&host) as Arc<dyn HostClock>);
    let timers = Arc::new(Timers::start(clock.clone()).expect("a thread"));
    let scheduler = Scheduler::new(timers, clock);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    Strand::new(&scheduler).make_runnable();
                    assert!(scheduler.next().is_some());
                }
            });
        }
    });
    Strand::new(&scheduler).make_runnable();
    // Only timers that are armed and end look at the clock now.
    let is_seen = wait_for_reads(&host, 1000);
    scheduler.stop();
    is_seen
}

#[test]
fn slices_end_as_long_as_a_strand_waits() {
    for _ in 0..10 {
        assert!(
            a_strand_that_waits_sees_slices_end(),
            "no slice ends any more"
        );
    }
}
