// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/resource.h`: limits and usage.
//!
//! Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::time::Timeval;

/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;
/// Number of limits.
pub const RLIM_NLIMITS: usize = 16;

/// Processor time, seconds.
pub const RLIMIT_CPU: usize = 0;
/// Largest file.
pub const RLIMIT_FSIZE: usize = 1;
/// Data segment.
pub const RLIMIT_DATA: usize = 2;
/// Stack.
pub const RLIMIT_STACK: usize = 3;
/// Core file.
pub const RLIMIT_CORE: usize = 4;
/// Resident set.
pub const RLIMIT_RSS: usize = 5;
/// Processes of the user.
pub const RLIMIT_NPROC: usize = 6;
/// Descriptors.
pub const RLIMIT_NOFILE: usize = 7;
/// Locked memory.
pub const RLIMIT_MEMLOCK: usize = 8;
/// Address space.
pub const RLIMIT_AS: usize = 9;
/// File locks.
pub const RLIMIT_LOCKS: usize = 10;
/// Queued signals.
pub const RLIMIT_SIGPENDING: usize = 11;
/// Message queues.
pub const RLIMIT_MSGQUEUE: usize = 12;
/// Nice ceiling.
pub const RLIMIT_NICE: usize = 13;
/// Real-time priority.
pub const RLIMIT_RTPRIO: usize = 14;
/// Real-time processor time.
pub const RLIMIT_RTTIME: usize = 15;

/// A limit: soft and hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Rlimit {
    /// In force.
    pub cur: u64,
    /// Ceiling of `cur`.
    pub max: u64,
}

/// `getrusage`: the process.
pub const RUSAGE_SELF: i32 = 0;
/// `getrusage`: its waited-for children.
pub const RUSAGE_CHILDREN: i32 = -1;
/// `getrusage`: the thread.
pub const RUSAGE_THREAD: i32 = 1;

/// Resource usage.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Rusage {
    /// User time.
    pub utime: Timeval,
    /// System time.
    pub stime: Timeval,
    /// Largest resident set, KiB.
    pub maxrss: i64,
    /// Unused.
    pub ixrss: i64,
    /// Unused.
    pub idrss: i64,
    /// Unused.
    pub isrss: i64,
    /// Faults without I/O.
    pub minflt: i64,
    /// Faults with I/O.
    pub majflt: i64,
    /// Unused.
    pub nswap: i64,
    /// Blocks read.
    pub inblock: i64,
    /// Blocks written.
    pub oublock: i64,
    /// Unused.
    pub msgsnd: i64,
    /// Unused.
    pub msgrcv: i64,
    /// Unused.
    pub nsignals: i64,
    /// Voluntary context switches.
    pub nvcsw: i64,
    /// Involuntary context switches.
    pub nivcsw: i64,
}
const _: () = assert!(size_of::<Rusage>() == 144);

/// Priority of a process.
pub const PRIO_PROCESS: i32 = 0;
/// Priority of a process group.
pub const PRIO_PGRP: i32 = 1;
/// Priority of a user.
pub const PRIO_USER: i32 = 2;

/// Where the class starts in a priority of input and output.
pub const IOPRIO_CLASS_SHIFT: i32 = 13;
/// Levels of a class.
pub const IOPRIO_LEVELS: i32 = 8;
/// Follows the nice value.
pub const IOPRIO_CLASS_NONE: i32 = 0;
/// Real time.
pub const IOPRIO_CLASS_RT: i32 = 1;
/// Best effort.
pub const IOPRIO_CLASS_BE: i32 = 2;
/// Only when nobody else wants anything.
pub const IOPRIO_CLASS_IDLE: i32 = 3;
/// One process.
pub const IOPRIO_WHO_PROCESS: i32 = 1;
/// A process group.
pub const IOPRIO_WHO_PGRP: i32 = 2;
/// A user.
pub const IOPRIO_WHO_USER: i32 = 3;
