// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/capability.h`.
//!
//! Capability numbers, and the structures of `capget` and `capset`. Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Version 1: 32 bits.
pub const VERSION_1: u32 = 0x1998_0330;
/// Version 2: 64 bits, deprecated.
pub const VERSION_2: u32 = 0x2007_1026;
/// Version 3: 64 bits.
pub const VERSION_3: u32 = 0x2008_0522;

/// The highest capability of Linux 6.12 (`CAP_CHECKPOINT_RESTORE`).
pub const LAST_CAP: u8 = 40;
/// Every capability.
pub const FULL_SET: u64 = (1 << (LAST_CAP + 1)) - 1;

/// Send signals to anybody.
pub const CAP_KILL: u8 = 5;
/// Set group ids at will.
pub const CAP_SETGID: u8 = 6;
/// Set user ids at will.
pub const CAP_SETUID: u8 = 7;
/// Set capabilities at will.
pub const CAP_SETPCAP: u8 = 8;
/// Lock memory without limit.
pub const CAP_IPC_LOCK: u8 = 14;
/// Trace and read any process.
pub const CAP_SYS_PTRACE: u8 = 19;
/// Administration.
pub const CAP_SYS_ADMIN: u8 = 21;
/// Raise priorities.
pub const CAP_SYS_NICE: u8 = 23;
/// Exceed resource limits.
pub const CAP_SYS_RESOURCE: u8 = 24;
/// Set clocks.
pub const CAP_SYS_TIME: u8 = 25;

/// Header of `capget` and `capset`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CapHeader {
    /// One of the versions.
    pub version: u32,
    /// Whose capabilities; 0 is the caller.
    pub pid: i32,
}

/// 32 capabilities of the three sets.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CapData {
    /// In force.
    pub effective: u32,
    /// May be put in force.
    pub permitted: u32,
    /// Kept across `execve`.
    pub inheritable: u32,
}
