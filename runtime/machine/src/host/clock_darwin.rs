// SPDX-License-Identifier: MIT OR Apache-2.0
//! Darwin's names of the clocks: both are the counter itself, scaled. `CLOCK_MONOTONIC`
//! is not used: it follows the wall clock's rate and counts sleep.

/// Does not count sleep.
pub(super) const MONOTONIC: libc::clockid_t = libc::CLOCK_UPTIME_RAW;
/// Counts sleep.
pub(super) const BOOTTIME: libc::clockid_t = libc::CLOCK_MONOTONIC_RAW;
