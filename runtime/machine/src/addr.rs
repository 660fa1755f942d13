// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that must not be mixed.

/// Bytes of a page of the guest.
pub const PAGE_SIZE: usize = 4096;

/// A virtual address of a guest program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestAddr(pub u64);

/// An address of guest physical memory (intermediate physical address).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipa(pub u64);

/// Where guest memory starts.
pub(crate) const SLAB_BASE: u64 = 0x8000_0000;
/// Where EL1 sees guest memory: at this address plus the physical one.
pub(crate) const LINEAR_BASE: u64 = 0xffff_0000_0000_0000;
/// Where EL1 sees the shim, executable.
pub(crate) const SHIM_BASE: u64 = 0xffff_0080_0000_0000;
