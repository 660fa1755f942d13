// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/futex.h`.
//!
//! Operations, the bits of robust and priority-inheriting futex words, and the
//! structures of robust lists and `futex_waitv`. Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Wait.
pub const WAIT: u32 = 0;
/// Wake.
pub const WAKE: u32 = 1;
/// Requeue without a check.
pub const REQUEUE: u32 = 3;
/// Requeue if the word still has a value.
pub const CMP_REQUEUE: u32 = 4;
/// Wake two words with an operation on the second.
pub const WAKE_OP: u32 = 5;
/// Lock, priority inheriting.
pub const LOCK_PI: u32 = 6;
/// Unlock, priority inheriting.
pub const UNLOCK_PI: u32 = 7;
/// Try to lock, priority inheriting.
pub const TRYLOCK_PI: u32 = 8;
/// Wait with a bit set and an absolute deadline.
pub const WAIT_BITSET: u32 = 9;
/// Wake waiters whose bit set overlaps.
pub const WAKE_BITSET: u32 = 10;
/// Wait, to be requeued to a PI futex.
pub const WAIT_REQUEUE_PI: u32 = 11;
/// Requeue to a PI futex.
pub const CMP_REQUEUE_PI: u32 = 12;
/// Lock, priority inheriting, with a choice of clock.
pub const LOCK_PI2: u32 = 13;

/// The futex is used within one process only.
pub const PRIVATE_FLAG: u32 = 128;
/// The deadline is on the wall clock.
pub const CLOCK_REALTIME: u32 = 256;
/// The bit set that matches everybody.
pub const BITSET_MATCH_ANY: u32 = 0xffff_ffff;

/// In the word: somebody waits in the kernel.
pub const WAITERS: u32 = 0x8000_0000;
/// In the word: its owner died.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// In the word: thread id of the owner.
pub const TID_MASK: u32 = 0x3fff_ffff;

/// Entries of a robust list that the kernel walks at most.
pub const ROBUST_LIST_LIMIT: usize = 2048;

/// Head of a thread's list of robust futexes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RobustListHead {
    /// First entry; the list is a ring that ends at the head. Bit 0: PI.
    pub next: u64,
    /// From an entry to its futex word.
    pub futex_offset: i64,
    /// An entry that is being added or removed.
    pub pending: u64,
}
const _: () = assert!(size_of::<RobustListHead>() == 24);

/// One wait of `futex_waitv`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct WaitV {
    /// Expected value.
    pub val: u64,
    /// Address of the word.
    pub uaddr: u64,
    /// Size and kind.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}
const _: () = assert!(size_of::<WaitV>() == 24);

/// `futex_waitv`: a word of 32 bits.
pub const FUTEX2_SIZE_U32: u32 = 2;
/// `futex_waitv`: the mask of sizes.
pub const FUTEX2_SIZE_MASK: u32 = 3;
/// `futex_waitv`: used within one process only.
pub const FUTEX2_PRIVATE: u32 = 128;
/// `futex_waitv`: the most words.
pub const WAITV_MAX: usize = 128;
