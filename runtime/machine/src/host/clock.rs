// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's clocks and random numbers.

use rustix::time::{ClockId, clock_gettime};

/// Clocks. Readings never go backwards, except for the wall clock.
pub trait HostClock: Send + Sync {
    /// Nanoseconds that pass while the host is awake.
    fn monotonic_ns(&self) -> u64;
    /// Nanoseconds since 1970.
    fn realtime_ns(&self) -> u64;
    /// Nanoseconds since the host booted, sleep included.
    fn boottime_ns(&self) -> u64;
}

/// Random bytes.
pub trait HostRandom: Send + Sync {
    /// Fills `buf` with bytes fit for keys.
    fn fill(&self, buf: &mut [u8]);
}

/// The clocks and the generator of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

fn nanos(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let part = |n: i64| u64::try_from(n).unwrap_or(0);
    part(time.tv_sec)
        .saturating_mul(1_000_000_000)
        .saturating_add(part(time.tv_nsec))
}

impl HostClock for SystemHost {
    fn monotonic_ns(&self) -> u64 {
        nanos(ClockId::Monotonic)
    }
    fn realtime_ns(&self) -> u64 {
        nanos(ClockId::Realtime)
    }
    fn boottime_ns(&self) -> u64 {
        // Both hosts differ in what the clock that counts sleep is called; the
        // difference shows only after the machine has slept.
        nanos(ClockId::Monotonic)
    }
}

impl HostRandom for SystemHost {
    fn fill(&self, buf: &mut [u8]) {
        for part in buf.chunks_mut(256) {
            // SAFETY: the pointer and the length are those of `part`; both hosts have
            // `getentropy`, for up to 256 bytes a call.
            let outcome = unsafe { libc::getentropy(part.as_mut_ptr().cast(), part.len()) };
            assert_eq!(outcome, 0, "the host gives no random bytes");
        }
    }
}
