// SPDX-License-Identifier: MIT OR Apache-2.0
//! signalfd: pending signals as a file (`fs/signalfd.c`, Linux 6.12).
//!
//! A read takes signals of the reader, not of whoever made the descriptor, as on
//! Linux. Readiness, which has no caller, is that of the process that made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linux_abi::Errno;
use linux_abi::poll::PollEvents;
use linux_abi::signal::SigInfo;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink};
use crate::signal::SigSet;
use crate::task::{Process, Task};
use crate::wait::WaitQueue;

/// Bytes of a `signalfd_siginfo`.
const RECORD: usize = 128;

/// Signals of a mask, to be read.
pub struct SignalFd {
    mask: AtomicU64,
    tid: i32,
    process: Arc<Process>,
}

impl SignalFd {
    /// For signals of `mask`.
    #[must_use]
    pub fn new(mask: SigSet, task: &Arc<Task>) -> Self {
        let process = task.process().clone();
        let mask = AtomicU64::new(clean(mask).0);
        Self {
            mask,
            tid: task.tid(),
            process,
        }
    }

    /// Changes the mask.
    pub fn set_mask(&self, mask: SigSet) {
        self.mask.store(clean(mask).0, Ordering::Relaxed);
    }

    fn mask(&self) -> SigSet {
        SigSet(self.mask.load(Ordering::Relaxed))
    }
}

/// `SIGKILL` and `SIGSTOP` are never read.
fn clean(mask: SigSet) -> SigSet {
    mask & !SigSet::UNBLOCKABLE
}

fn encode(info: &SigInfo) -> [u8; RECORD] {
    let mut out = [0; RECORD];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &info.signo.to_le_bytes());
    put(4, &info.errno.to_le_bytes());
    put(8, &info.code.to_le_bytes());
    // The union of siginfo: pid and uid, then value, status or address.
    let [first, second, third, ..] = info.fields;
    let halves = |word: u64| {
        let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
        ([a, b, c, d], [e, f, g, h])
    };
    let (pid, uid) = halves(first);
    put(12, &pid);
    put(16, &uid);
    let (status, _) = halves(second);
    put(40, &status);
    put(44, &status);
    put(48, &second.to_le_bytes());
    put(56, &second.to_le_bytes());
    put(64, &third.to_le_bytes());
    put(72, &first.to_le_bytes());
    out
}

impl File for SignalFd {
    fn try_read(
        &self,
        caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let task = caller.task.ok_or(Errno::EINVAL)?;
        if dst.remaining() < RECORD {
            return Err(Errno::EINVAL.into());
        }
        let mut done = 0;
        while dst.remaining() >= RECORD {
            let Some(info) = task.signals().take(task.tid(), self.mask()) else {
                break;
            };
            done += dst.put(&encode(&info))?;
        }
        if done == 0 {
            Err(Errno::EAGAIN.into())
        } else {
            Ok(done)
        }
    }

    fn readiness(&self) -> PollEvents {
        let pending = self.process.signals().pending_for(self.tid);
        if (pending & self.mask()).is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::READABLE
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.process.signals().arrived())
    }
}
