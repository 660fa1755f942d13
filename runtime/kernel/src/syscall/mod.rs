// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls: one row in `table.rs` and one function in a family file each.
//!
//! A handler decodes, validates, calls one method of an object, and encodes. It is
//! an ordinary function, or an `async fn` when it may wait. What is not in the
//! table is `ENOSYS`.

pub mod args;
mod at;
mod attr;
mod copy;
mod creds;
mod dirs;
mod epoll;
mod events;
mod fcntl;
mod futex;
mod identity;
mod inet;
mod ioprio;
mod link;
mod membarrier;
mod memory;
mod message;
mod mount;
pub(crate) mod open;
mod pidfd;
mod poll;
mod prctl;
mod process;
mod process_vm;
mod rw;
mod sched;
pub(crate) mod signal;
mod socket;
mod sockopt;
mod stat;
mod system;
mod table;
mod time;
mod timer;
mod xattr;

use std::future::Future;
use std::pin::Pin;

pub use table::{COMPATIBILITY, Row, describe, dispatch};

use crate::error::SysResult;

/// A system call as the registers have it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Number.
    pub nr: u64,
    /// Arguments.
    pub args: [u64; 6],
}

/// What starting a system call led to.
pub enum Outcome {
    /// It is done.
    Done(SysResult),
    /// It may wait.
    Later(Pin<Box<dyn Future<Output = SysResult> + Send>>),
}
