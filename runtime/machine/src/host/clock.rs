// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's clocks and random numbers.

#[cfg(target_os = "macos")]
#[path = "clock_darwin.rs"]
mod ids;
#[cfg(not(target_os = "macos"))]
#[path = "clock_other.rs"]
mod ids;

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

fn nanos(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` receives the reading.
    let outcome = unsafe { libc::clock_gettime(id, &raw mut time) };
    debug_assert_eq!(outcome, 0, "clock {id} exists");
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

impl HostClock for SystemHost {
    fn monotonic_ns(&self) -> u64 {
        nanos(ids::MONOTONIC)
    }
    fn realtime_ns(&self) -> u64 {
        nanos(libc::CLOCK_REALTIME)
    }
    fn boottime_ns(&self) -> u64 {
        nanos(ids::BOOTTIME)
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
