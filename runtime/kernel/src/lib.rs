// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux semantics in safe Rust: tasks, memory, files, signals.
//!
//! Two altitudes: `syscall/` decodes registers and calls one method of an object;
//! the objects (`task/`, `mm/`, `signal/`, `file/`, `vfs/`, `time/`) know Linux and
//! have never heard of registers. Everything dangerous is behind
//! [`elfuse_machine`].
#![forbid(unsafe_code)]

pub mod error;
pub mod sync;
pub mod trace;
pub mod wait;
