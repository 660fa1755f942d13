// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm-generic/mman.h` and `mman-common.h`.
//!
//! Protection and mapping flags, advice and lock flags. Linux 6.12.

use bitflags::bitflags;

bitflags! {
    /// `PROT_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct ProtFlags: u64 {
        /// Readable.
        const READ = 1;
        /// Writable.
        const WRITE = 2;
        /// Executable.
        const EXEC = 4;
        /// Usable for atomics; means nothing.
        const SEM = 8;
        /// Branch target identification.
        const BTI = 0x10;
        /// Memory tagging.
        const MTE = 0x20;
        /// `mprotect`: from the start of a growing-down mapping.
        const GROWSDOWN = 0x0100_0000;
        /// `mprotect`: to the end of a growing-up mapping.
        const GROWSUP = 0x0200_0000;
    }

    /// `MAP_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MapFlags: u64 {
        /// Changes are shared.
        const SHARED = 1;
        /// Changes are private.
        const PRIVATE = 2;
        /// Exactly at the address.
        const FIXED = 0x10;
        /// No file.
        const ANONYMOUS = 0x20;
        /// Stack-like.
        const GROWSDOWN = 0x100;
        /// Ignored.
        const DENYWRITE = 0x800;
        /// Ignored.
        const EXECUTABLE = 0x1000;
        /// Locked in memory.
        const LOCKED = 0x2000;
        /// No swap space is reserved.
        const NORESERVE = 0x4000;
        /// Page tables are filled at once.
        const POPULATE = 0x8000;
        /// `POPULATE` does not read.
        const NONBLOCK = 0x1_0000;
        /// Ignored.
        const STACK = 0x2_0000;
        /// Huge pages.
        const HUGETLB = 0x4_0000;
        /// Synchronous faults.
        const SYNC = 0x8_0000;
        /// At the address, and nothing may be there.
        const FIXED_NOREPLACE = 0x10_0000;
    }

    /// `MREMAP_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RemapFlags: u64 {
        /// The mapping may move.
        const MAYMOVE = 1;
        /// To exactly this address.
        const FIXED = 2;
        /// The old mapping stays, empty.
        const DONTUNMAP = 4;
    }
}

/// Both bits of the mapping type; value 3 is `MAP_SHARED_VALIDATE`.
pub const MAP_TYPE: u64 = 0xf;
/// `MAP_SHARED` that refuses unknown flags.
pub const MAP_SHARED_VALIDATE: u64 = 3;

/// `msync`: do not wait.
pub const MS_ASYNC: u32 = 1;
/// `msync`: drop caches.
pub const MS_INVALIDATE: u32 = 2;
/// `msync`: wait.
pub const MS_SYNC: u32 = 4;

/// `mlockall`: what is mapped.
pub const MCL_CURRENT: u32 = 1;
/// `mlockall`: what will be mapped.
pub const MCL_FUTURE: u32 = 2;
/// `mlockall`: lock pages when they are touched.
pub const MCL_ONFAULT: u32 = 4;
/// `mlock2`: lock pages when they are touched.
pub const MLOCK_ONFAULT: u32 = 1;

/// Advice to `madvise`.
pub mod advice {
    /// No advice.
    pub const NORMAL: i32 = 0;
    /// Random access.
    pub const RANDOM: i32 = 1;
    /// Sequential access.
    pub const SEQUENTIAL: i32 = 2;
    /// Needed soon.
    pub const WILLNEED: i32 = 3;
    /// Not needed: content is dropped.
    pub const DONTNEED: i32 = 4;
    /// Content may be dropped.
    pub const FREE: i32 = 8;
    /// Punch a hole in the file.
    pub const REMOVE: i32 = 9;
    /// A child does not inherit it.
    pub const DONTFORK: i32 = 10;
    /// A child inherits it.
    pub const DOFORK: i32 = 11;
    /// May be merged.
    pub const MERGEABLE: i32 = 12;
    /// May not be merged.
    pub const UNMERGEABLE: i32 = 13;
    /// Huge pages wanted.
    pub const HUGEPAGE: i32 = 14;
    /// Huge pages unwanted.
    pub const NOHUGEPAGE: i32 = 15;
    /// Left out of core dumps.
    pub const DONTDUMP: i32 = 16;
    /// Part of core dumps.
    pub const DODUMP: i32 = 17;
    /// A child gets zeros.
    pub const WIPEONFORK: i32 = 18;
    /// A child gets the content.
    pub const KEEPONFORK: i32 = 19;
    /// Unlikely to be needed.
    pub const COLD: i32 = 20;
    /// Reclaim now.
    pub const PAGEOUT: i32 = 21;
    /// Fill page tables for reading.
    pub const POPULATE_READ: i32 = 22;
    /// Fill page tables for writing.
    pub const POPULATE_WRITE: i32 = 23;
    /// As `DONTNEED`, locked pages too.
    pub const DONTNEED_LOCKED: i32 = 24;
    /// Collapse into huge pages.
    pub const COLLAPSE: i32 = 25;
}
