// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisor, guest memory, EL1 shim and host operating system behind three seams.

#[expect(dead_code, reason = "the memory layout comes with the machine")]
mod addr;
pub mod host;
pub mod hv;
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
pub mod hvf;
pub mod hwcap;

pub use addr::{GuestAddr, Ipa, PAGE_SIZE};
