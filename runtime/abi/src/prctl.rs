// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/prctl.h`: the requests that the kernel knows.
//!
//! Linux 6.12.

/// Signal when the parent dies.
pub const PR_SET_PDEATHSIG: i32 = 1;
/// Read it.
pub const PR_GET_PDEATHSIG: i32 = 2;
/// May the process be dumped and traced?
pub const PR_GET_DUMPABLE: i32 = 3;
/// Set it.
pub const PR_SET_DUMPABLE: i32 = 4;
/// Are capabilities kept when user ids change?
pub const PR_GET_KEEPCAPS: i32 = 7;
/// Set it.
pub const PR_SET_KEEPCAPS: i32 = 8;
/// Name of the thread.
pub const PR_SET_NAME: i32 = 15;
/// Read it.
pub const PR_GET_NAME: i32 = 16;
/// System calls allowed.
pub const PR_GET_SECCOMP: i32 = 21;
/// Restrict system calls.
pub const PR_SET_SECCOMP: i32 = 22;
/// Is a capability in the bounding set?
pub const PR_CAPBSET_READ: i32 = 23;
/// Drop it from the bounding set.
pub const PR_CAPBSET_DROP: i32 = 24;
/// Read the secure bits.
pub const PR_GET_SECUREBITS: i32 = 27;
/// Set the secure bits.
pub const PR_SET_SECUREBITS: i32 = 28;
/// Slack of timers.
pub const PR_SET_TIMERSLACK: i32 = 29;
/// Read it.
pub const PR_GET_TIMERSLACK: i32 = 30;
/// Become the parent of orphans below.
pub const PR_SET_CHILD_SUBREAPER: i32 = 36;
/// Is it?
pub const PR_GET_CHILD_SUBREAPER: i32 = 37;
/// `execve` gives no new rights.
pub const PR_SET_NO_NEW_PRIVS: i32 = 38;
/// Is it set?
pub const PR_GET_NO_NEW_PRIVS: i32 = 39;
/// Address of the word cleared at exit.
pub const PR_GET_TID_ADDRESS: i32 = 40;
/// Disable huge pages.
pub const PR_SET_THP_DISABLE: i32 = 41;
/// Are they?
pub const PR_GET_THP_DISABLE: i32 = 42;
/// Ambient capabilities.
pub const PR_CAP_AMBIENT: i32 = 47;
/// Ambient: is it in the set?
pub const PR_CAP_AMBIENT_IS_SET: u64 = 1;
/// Ambient: add.
pub const PR_CAP_AMBIENT_RAISE: u64 = 2;
/// Ambient: remove.
pub const PR_CAP_AMBIENT_LOWER: u64 = 3;
/// Ambient: remove all.
pub const PR_CAP_AMBIENT_CLEAR_ALL: u64 = 4;
/// Names for anonymous memory.
pub const PR_SET_VMA: i32 = 0x5356_4d41;
