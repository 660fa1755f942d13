// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypervisor, guest memory, EL1 shim and host operating system behind three seams.

pub mod host;
pub mod hv;
