// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/rseq.h`: restartable sequences.
//!
//! Linux 6.12.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Size of the structure in its first version, which may always be registered.
pub const ORIG_SIZE: u32 = 32;
/// Size of what this kernel maintains.
pub const FEATURE_SIZE: u32 = 28;
/// `rseq`: unregister.
pub const FLAG_UNREGISTER: u32 = 1;
/// Bytes before the abort address that hold the signature.
pub const SIGNATURE_LEN: u64 = 4;

/// A critical section.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RseqCs {
    /// 0.
    pub version: u32,
    /// Flags.
    pub flags: u32,
    /// First instruction.
    pub start_ip: u64,
    /// Bytes up to the commit.
    pub post_commit_offset: u64,
    /// Where to go when interrupted.
    pub abort_ip: u64,
}
const _: () = assert!(size_of::<RseqCs>() == 32);
