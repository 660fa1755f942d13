// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of the clocks on Linux.

/// Does not count sleep.
pub(super) const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;
/// Counts sleep.
pub(super) const BOOTTIME: libc::clockid_t = libc::CLOCK_BOOTTIME;
