// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/wait.h`: options and the status word of `wait4`.
//!
//! Linux 6.12.

use bitflags::bitflags;

bitflags! {
    /// `W*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct WaitOptions: u32 {
        /// Do not wait.
        const NOHANG = 1;
        /// Stopped children too.
        const STOPPED = 2;
        /// Exited children.
        const EXITED = 4;
        /// Continued children too.
        const CONTINUED = 8;
        /// Leave the child waitable.
        const NOWAIT = 0x0100_0000;
        /// Only children of this thread.
        const NOTHREAD = 0x2000_0000;
        /// Children of every kind.
        const ALL = 0x4000_0000;
        /// Only children with another exit signal.
        const CLONE = 0x8000_0000;
    }
}

/// `waitid`: any child.
pub const P_ALL: i32 = 0;
/// `waitid`: one process.
pub const P_PID: i32 = 1;
/// `waitid`: a process group.
pub const P_PGID: i32 = 2;
/// `waitid`: a pidfd.
pub const P_PIDFD: i32 = 3;

/// The status word of an exit.
#[must_use]
pub const fn status_exited(code: u8) -> i32 {
    (code as i32) << 8
}

/// The status word of a death by signal.
#[must_use]
pub const fn status_killed(signal: i32, is_core_dumped: bool) -> i32 {
    signal | if is_core_dumped { 0x80 } else { 0 }
}

/// The status word of a stop.
#[must_use]
pub const fn status_stopped(signal: i32) -> i32 {
    (signal << 8) | 0x7f
}

/// The status word of a continued child.
pub const STATUS_CONTINUED: i32 = 0xffff;
