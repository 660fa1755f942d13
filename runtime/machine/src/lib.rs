// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisor, guest memory, EL1 shim and host operating system behind three seams.
//!
//! [`hv`] is the hypervisor (seam 1), [`AddressSpace`] reaches guest memory (seam 2),
//! [`host`] is the operating system (seam 3). [`Machine`] puts the first two
//! together: one virtual machine, a slab of [`Frame`]s, [`Cpu`]s that run
//! [`ThreadState`]s in [`AddressSpace`]s. Everything unsafe of the runtime is here.

mod addr;
mod cpu;
pub mod host;
pub mod hv;
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
pub mod hvf;
pub mod hwcap;
#[expect(dead_code, reason = "the build script alone reads the list of rows")]
mod layout;
mod machine;
mod memory;
mod metered;
pub mod probe;
mod registry;
mod slab;
mod space;
mod table;
mod thread;
mod vdso;
mod window;

pub use addr::{GuestAddr, Ipa, PAGE_SIZE};
pub use cpu::{Access, Cpu, FaultKind, KickHandle, Trap};
pub use machine::{Counters, Machine, MachineConfig, MachineError};
pub use memory::Page;
pub use slab::{Frame, OutOfMemory, Reclaim};
pub use space::{AddressSpace, MemFault, Prot, Share};
pub use thread::{AttentionHandle, FpState, Ids, ThreadState};
pub use vdso::VdsoImage;
pub use window::{FilePage, FileWindow, NoWindow, Torn, WINDOW_BYTES};
