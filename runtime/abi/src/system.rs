// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/utsname.h`, `linux/sysinfo.h` and other words about the system.
//!
//! Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes of a field of [`Utsname`], terminator included.
pub const UTS_LEN: usize = 65;

/// `struct new_utsname`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Utsname {
    /// `Linux`.
    pub sysname: [u8; UTS_LEN],
    /// Host name.
    pub nodename: [u8; UTS_LEN],
    /// Version number.
    pub release: [u8; UTS_LEN],
    /// Build.
    pub version: [u8; UTS_LEN],
    /// `aarch64`.
    pub machine: [u8; UTS_LEN],
    /// NIS domain.
    pub domainname: [u8; UTS_LEN],
}

/// `struct sysinfo`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SysInfo {
    /// Seconds since boot.
    pub uptime: i64,
    /// Load averages, 16 fraction bits.
    pub loads: [u64; 3],
    /// Memory.
    pub totalram: u64,
    /// Free memory.
    pub freeram: u64,
    /// Shared memory.
    pub sharedram: u64,
    /// Buffers.
    pub bufferram: u64,
    /// Swap.
    pub totalswap: u64,
    /// Free swap.
    pub freeswap: u64,
    /// Tasks.
    pub procs: u16,
    /// Padding.
    pub pad: [u16; 3],
    /// High memory.
    pub totalhigh: u64,
    /// Free high memory.
    pub freehigh: u64,
    /// Unit of the sizes, in bytes.
    pub mem_unit: u32,
    /// Padding.
    pub tail: u32,
}
const _: () = assert!(size_of::<SysInfo>() == 112);

/// `getrandom`: do not wait.
pub const GRND_NONBLOCK: u32 = 1;
/// `getrandom`: from the blocking pool.
pub const GRND_RANDOM: u32 = 2;
/// `getrandom`: even before the pool is ready.
pub const GRND_INSECURE: u32 = 4;
