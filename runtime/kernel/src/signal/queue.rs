// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals that have been sent and not yet taken.
//!
//! Ordinary signals are pending once; real-time signals queue, in order.

use std::collections::VecDeque;

use linux_abi::signal::{SIGRTMIN, SigInfo};

use super::SigSet;

/// A queue of pending signals.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<SigInfo>,
}

impl Pending {
    /// Which signals are pending.
    #[must_use]
    pub const fn set(&self) -> SigSet {
        self.set
    }

    /// Number of queued entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Is nothing pending?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Would another `signal` change nothing?
    #[must_use]
    pub const fn absorbs(&self, signal: i32) -> bool {
        signal < SIGRTMIN && self.set.has(signal)
    }

    /// Adds a signal; an ordinary one that is pending already is dropped.
    pub fn push(&mut self, info: SigInfo) {
        if !self.absorbs(info.signo) {
            self.set.add(info.signo);
            self.queue.push_back(info);
        }
    }

    /// Takes a signal of `wanted`: those the program caused first, then by number.
    pub fn take(&mut self, wanted: SigSet) -> Option<SigInfo> {
        let have = self.set & wanted;
        let signal = (have & SigSet::SYNCHRONOUS)
            .lowest()
            .or_else(|| have.lowest())?;
        let at = self.queue.iter().position(|info| info.signo == signal)?;
        let info = self.queue.remove(at)?;
        if !self.queue.iter().any(|other| other.signo == signal) {
            self.set.remove(signal);
        }
        Some(info)
    }

    /// Drops every signal of `which`.
    pub fn flush(&mut self, which: SigSet) {
        if !(self.set & which).is_empty() {
            self.queue.retain(|info| !which.has(info.signo));
            self.set = self.set & !which;
        }
    }
}
