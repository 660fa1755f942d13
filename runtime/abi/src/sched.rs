// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/sched.h`: flags of `clone`, scheduling policies.
//!
//! Linux 6.12.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes};

bitflags! {
    /// `CLONE_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct CloneFlags: u64 {
        /// Share memory.
        const VM = 0x100;
        /// Share root, working directory, umask.
        const FS = 0x200;
        /// Share descriptors.
        const FILES = 0x400;
        /// Share signal handlers.
        const SIGHAND = 0x800;
        /// Give the parent a pidfd.
        const PIDFD = 0x1000;
        /// Go on being traced.
        const PTRACE = 0x2000;
        /// The parent waits until the child releases its memory.
        const VFORK = 0x4000;
        /// Same parent as the caller.
        const PARENT = 0x8000;
        /// Same thread group.
        const THREAD = 0x1_0000;
        /// New mount namespace.
        const NEWNS = 0x2_0000;
        /// Share System V semaphore undo.
        const SYSVSEM = 0x4_0000;
        /// Set the thread pointer.
        const SETTLS = 0x8_0000;
        /// Store the tid in the parent.
        const PARENT_SETTID = 0x10_0000;
        /// Clear the tid in the child when it exits.
        const CHILD_CLEARTID = 0x20_0000;
        /// Ignored.
        const DETACHED = 0x40_0000;
        /// Cannot be traced.
        const UNTRACED = 0x80_0000;
        /// Store the tid in the child.
        const CHILD_SETTID = 0x100_0000;
        /// New cgroup namespace.
        const NEWCGROUP = 0x200_0000;
        /// New host name.
        const NEWUTS = 0x400_0000;
        /// New IPC namespace.
        const NEWIPC = 0x800_0000;
        /// New user namespace.
        const NEWUSER = 0x1000_0000;
        /// New pid namespace.
        const NEWPID = 0x2000_0000;
        /// New network namespace.
        const NEWNET = 0x4000_0000;
        /// Share I/O context.
        const IO = 0x8000_0000;
        /// `clone3`: reset signal handlers.
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// `clone3`: into a cgroup.
        const INTO_CGROUP = 0x2_0000_0000;
        /// New time namespace; collides with the exit signal in `clone`.
        const NEWTIME = 0x80;
    }
}

impl CloneFlags {
    /// Everything that asks for a namespace.
    pub const NAMESPACES: Self = Self::NEWNS
        .union(Self::NEWCGROUP)
        .union(Self::NEWUTS)
        .union(Self::NEWIPC)
        .union(Self::NEWUSER)
        .union(Self::NEWPID)
        .union(Self::NEWNET)
        .union(Self::NEWTIME);
}

/// Low byte of `clone`'s flags: the signal to the parent.
pub const CSIGNAL: u64 = 0xff;

/// Arguments of `clone3`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CloneArgs {
    /// `CLONE_*`.
    pub flags: u64,
    /// Where the pidfd goes.
    pub pidfd: u64,
    /// Word in the child.
    pub child_tid: u64,
    /// Word in the parent.
    pub parent_tid: u64,
    /// Signal to the parent.
    pub exit_signal: u64,
    /// Lowest address of the stack.
    pub stack: u64,
    /// Its size.
    pub stack_size: u64,
    /// Thread pointer.
    pub tls: u64,
    /// Wanted pids.
    pub set_tid: u64,
    /// How many.
    pub set_tid_size: u64,
    /// Descriptor of a cgroup.
    pub cgroup: u64,
}
const _: () = assert!(size_of::<CloneArgs>() == 88);

/// The first version of [`CloneArgs`].
pub const CLONE_ARGS_SIZE_VER0: usize = 64;

/// The default policy.
pub const SCHED_OTHER: i32 = 0;
/// Real time, first in first out.
pub const SCHED_FIFO: i32 = 1;
/// Real time, round robin.
pub const SCHED_RR: i32 = 2;
/// Batch.
pub const SCHED_BATCH: i32 = 3;
/// Idle.
pub const SCHED_IDLE: i32 = 5;
/// Deadline.
pub const SCHED_DEADLINE: i32 = 6;
/// Children get the default policy.
pub const SCHED_RESET_ON_FORK: i32 = 0x4000_0000;
