// SPDX-License-Identifier: GPL-2.0-only
//! The Hypervisor API simulated on Unicorn.
//!
//! [`Simulator`] is a [`Hypervisor`](elfuse_machine::hv::Hypervisor) for hosts that
//! are no Macs: it runs the same shim, page tables and programs. It is as strict as
//! Apple's framework: one virtual machine per process, processors bound to their
//! threads, mappings in units of 16 KiB that do not overlap.

mod carrier;

mod engine;
mod exception;
mod hooks;
mod kick;
mod listeners;
mod live;
mod peek;
mod tlb;
mod tuning;
mod turn;
mod vcpu;
mod vm;

pub use vm::Simulator;
