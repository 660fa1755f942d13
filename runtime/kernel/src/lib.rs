// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux semantics in safe Rust: tasks, memory, files, signals.
//!
//! Two altitudes: `syscall/` decodes registers and calls one method of an object;
//! the objects (`task/`, `mm/`, `signal/`, `file/`, `vfs/`, `time/`) know Linux and
//! have never heard of registers. Everything dangerous is behind
//! [`elfuse_machine`].
#![forbid(unsafe_code)]

pub mod boot;
mod budget;
pub mod creds;
pub mod epoll;
pub mod error;
pub mod eventfd;
pub mod exec;
pub mod file;
pub mod fs;
pub mod futex;
pub mod gauge;
pub mod kernel;
pub mod limits;
pub mod mm;
pub mod net;
pub mod pidfd;
pub mod pipe;
pub mod sched;
pub mod signal;
pub mod signalfd;
pub mod stdio;
pub mod sync;
pub mod syscall;
pub mod task;
pub mod time;
pub mod timerfd;
pub mod trace;
pub mod tty;
pub mod vfs;
pub mod wait;

/// The version text of `uname` and `/proc/version`.
pub const VERSION_TEXT: &str = "#1 SMP elfuse";
