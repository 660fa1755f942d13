// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks and timers.
//!
//! [`Clock`] reads the host's clocks, [`Timers`] calls somebody at a time,
//! [`Deadline`] is a time on the monotonic clock at which a wait ends.

pub mod process_timers;
mod timers;

use std::sync::Arc;

use elfuse_machine::Machine;
use elfuse_machine::host::HostClock;
use linux_abi::Errno;
use linux_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI,
};

pub use timers::{TimerHandle, Timers};

/// A time on the monotonic clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub u64);

/// The clocks of the guest.
#[derive(Clone)]
pub struct Clock {
    host: Arc<dyn HostClock>,
    boot_ns: u64,
}

impl Clock {
    /// Reads `host`; the guest boots now.
    #[must_use]
    pub fn new(host: Arc<dyn HostClock>) -> Self {
        let boot_ns = host.monotonic_ns();
        Self { host, boot_ns }
    }

    /// Monotonic nanoseconds.
    #[must_use]
    pub fn monotonic_ns(&self) -> u64 {
        self.host.monotonic_ns()
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub fn realtime_ns(&self) -> u64 {
        self.host.realtime_ns()
    }

    /// Lets programs read the clocks without a call; `now_ns` is monotonic.
    pub(crate) fn publish(&self, machine: &Machine, now_ns: u64) {
        machine.vdso().keep_fresh(&*self.host, now_ns);
    }

    /// Nanoseconds since the guest booted.
    #[must_use]
    pub fn uptime_ns(&self) -> u64 {
        self.host.monotonic_ns().saturating_sub(self.boot_ns)
    }

    /// The monotonic time at which the guest booted: start of process start times.
    #[must_use]
    pub fn boot_ns(&self) -> u64 {
        self.boot_ns
    }

    /// Reads a clock that is not about processor time.
    ///
    /// # Errors
    /// `EINVAL` for others.
    pub fn read(&self, id: i32) -> Result<u64, Errno> {
        match id {
            CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_REALTIME_ALARM | CLOCK_TAI => {
                Ok(self.host.realtime_ns())
            }
            CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE => {
                Ok(self.host.monotonic_ns())
            }
            CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => Ok(self.host.boottime_ns()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The deadline `ns` from now.
    #[must_use]
    pub fn after(&self, ns: u64) -> Deadline {
        Deadline(self.monotonic_ns().saturating_add(ns))
    }

    /// The deadline at time `ns` of clock `id`. A wall clock that is set later does
    /// not move it.
    ///
    /// # Errors
    /// `EINVAL` for clocks that cannot be waited on.
    pub fn at(&self, id: i32, ns: u64) -> Result<Deadline, Errno> {
        let now = self.read(id)?;
        Ok(Deadline(
            self.monotonic_ns().saturating_add(ns.saturating_sub(now)),
        ))
    }

    /// Has the deadline passed?
    #[must_use]
    pub fn is_past(&self, deadline: Deadline) -> bool {
        self.monotonic_ns() >= deadline.0
    }
}
