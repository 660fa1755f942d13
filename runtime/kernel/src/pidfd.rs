// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of processes (`fs/pidfs.c`, `kernel/pid.c`, Linux 6.12).
//!
//! A [`PidFile`] is readable when its process has ended. It keeps the process's
//! identity, so a number that is used again never reaches another process.

use std::sync::Arc;

use linux_abi::poll::PollEvents;

use crate::file::File;
use crate::kernel::Kernel;
use crate::task::Process;
use crate::wait::WaitQueue;

/// What a pidfd refers to.
pub struct PidFile {
    kernel: Arc<Kernel>,
    process: Arc<Process>,
}

impl PidFile {
    /// A file for `process`.
    #[must_use]
    pub fn new(kernel: Arc<Kernel>, process: Arc<Process>) -> Self {
        Self { kernel, process }
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Has it ended?
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let table = self.kernel.processes().lock();
        table.get(self.process.pid()).is_none_or(|entry| {
            entry.ended.is_some() || !Arc::ptr_eq(&entry.process, &self.process)
        })
    }
}

impl File for PidFile {
    fn readiness(&self) -> PollEvents {
        if self.has_ended() {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.process.thread_gone())
    }
}
