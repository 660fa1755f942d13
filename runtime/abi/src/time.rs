// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/time.h`: clocks and time structures.
//!
//! Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Wall clock.
pub const CLOCK_REALTIME: i32 = 0;
/// Since boot, without sleep.
pub const CLOCK_MONOTONIC: i32 = 1;
/// Processor time of the process.
pub const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
/// Processor time of the thread.
pub const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
/// Monotonic without adjustments.
pub const CLOCK_MONOTONIC_RAW: i32 = 4;
/// Wall clock at tick resolution.
pub const CLOCK_REALTIME_COARSE: i32 = 5;
/// Monotonic at tick resolution.
pub const CLOCK_MONOTONIC_COARSE: i32 = 6;
/// Since boot, with sleep.
pub const CLOCK_BOOTTIME: i32 = 7;
/// Wall clock that wakes the machine.
pub const CLOCK_REALTIME_ALARM: i32 = 8;
/// Boot time that wakes the machine.
pub const CLOCK_BOOTTIME_ALARM: i32 = 9;
/// Atomic time.
pub const CLOCK_TAI: i32 = 11;

/// The time is absolute.
pub const TIMER_ABSTIME: u32 = 1;

/// Nanoseconds per second.
pub const NSEC_PER_SEC: u64 = 1_000_000_000;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Timespec {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds.
    pub nsec: i64,
}

impl Timespec {
    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self {
            sec: (ns / NSEC_PER_SEC).cast_signed(),
            nsec: (ns % NSEC_PER_SEC).cast_signed(),
        }
    }

    /// In nanoseconds, saturating; `None` when it is not a valid time.
    #[must_use]
    pub fn to_nanos(self) -> Option<u64> {
        let nsec = u64::try_from(self.nsec)
            .ok()
            .filter(|&n| n < NSEC_PER_SEC)?;
        let sec = u64::try_from(self.sec).ok()?;
        Some(sec.saturating_mul(NSEC_PER_SEC).saturating_add(nsec))
    }
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Timeval {
    /// Seconds.
    pub sec: i64,
    /// Microseconds.
    pub usec: i64,
}

impl Timeval {
    /// From nanoseconds, rounded down.
    #[must_use]
    pub const fn from_nanos(ns: u64) -> Self {
        Self {
            sec: (ns / NSEC_PER_SEC).cast_signed(),
            usec: (ns % NSEC_PER_SEC / 1000).cast_signed(),
        }
    }

    /// In nanoseconds, saturating; `None` when it is not a valid time.
    #[must_use]
    pub fn to_nanos(self) -> Option<u64> {
        let usec = u64::try_from(self.usec).ok().filter(|&n| n < 1_000_000)?;
        let sec = u64::try_from(self.sec).ok()?;
        Some(sec.saturating_mul(NSEC_PER_SEC).saturating_add(usec * 1000))
    }
}

/// `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Itimerspec {
    /// Period.
    pub interval: Timespec,
    /// First expiry.
    pub value: Timespec,
}

/// `struct itimerval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Itimerval {
    /// Period.
    pub interval: Timeval,
    /// First expiry.
    pub value: Timeval,
}

/// Interval timer on the wall clock.
pub const ITIMER_REAL: i32 = 0;
/// Interval timer on user time.
pub const ITIMER_VIRTUAL: i32 = 1;
/// Interval timer on processor time.
pub const ITIMER_PROF: i32 = 2;

/// `struct tms`, in ticks of 10 ms.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Tms {
    /// User.
    pub utime: i64,
    /// System.
    pub stime: i64,
    /// User, children.
    pub cutime: i64,
    /// System, children.
    pub cstime: i64,
}

/// Ticks per second of `times`.
pub const USER_HZ: u64 = 100;
