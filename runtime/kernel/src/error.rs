// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a system call can fail with.
//!
//! [`SysErr::Errno`] goes to the program. [`SysErr::Interrupted`] never does: the
//! run loop (`task/run.rs`) turns it into a restart or into `EINTR` when it
//! delivers the signal, as Linux does with its codes 512 to 516. Handlers cannot
//! make `EINTR` themselves: they end with the [`Restart`] that their system call has.

use linux_abi::Errno;

/// How an interrupted system call goes on (Linux `include/linux/errno.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// `ERESTARTSYS`: again, unless a handler without `SA_RESTART` ran.
    Sys,
    /// `ERESTARTNOINTR`: always again.
    NoIntr,
    /// `ERESTARTNOHAND`: again, unless a handler ran.
    NoHand,
    /// `ERESTART_RESTARTBLOCK`: unless a handler ran, `restart_syscall` goes on.
    Block(RestartBlock),
    /// `EINTR`: never again.
    Never,
}

/// What `restart_syscall` continues: calls with a relative timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartBlock {
    /// `nanosleep` and `clock_nanosleep` until a monotonic time.
    Sleep {
        /// Monotonic nanoseconds.
        until_ns: u64,
        /// Where the remaining time goes when a handler interrupts; may be null.
        remaining: u64,
    },
    /// `futex(FUTEX_WAIT)` until a monotonic time.
    Futex {
        /// The word.
        uaddr: u64,
        /// Expected value.
        val: u32,
        /// Bit set.
        bitset: u32,
        /// Private to the process?
        is_private: bool,
        /// Monotonic nanoseconds.
        until_ns: u64,
    },
    /// `poll` until a monotonic time.
    Poll {
        /// The `pollfd` array.
        fds: u64,
        /// Its length.
        count: u32,
        /// Monotonic nanoseconds.
        until_ns: u64,
    },
}

/// Why a system call did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SysErr {
    /// The program sees this.
    Errno(Errno),
    /// A signal is pending; the program never sees this.
    Interrupted(Restart),
}

impl From<Errno> for SysErr {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Result of a system call, or of a part of one.
pub type SysResult<T = usize> = Result<T, SysErr>;

/// Ends the function with an errno and tells `--strace` why.
///
/// `refuse!(EINVAL, "offset is not a multiple of the page size")`
#[macro_export]
macro_rules! refuse {
    ($errno:ident, $why:literal) => {{
        $crate::trace::note_refusal($why);
        return Err(linux_abi::Errno::$errno.into());
    }};
}
