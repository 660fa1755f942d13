// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisor, guest memory, EL1 shim and host operating system behind three seams.

#[expect(dead_code, reason = "the memory layout comes with the machine")]
mod addr;
pub mod host;
pub mod hv;

pub use addr::{GuestAddr, Ipa, PAGE_SIZE};
