// SPDX-License-Identifier: GPL-2.0-only
//! Stopping a processor from another thread.
//!
//! Unicorn checks at the start of each block of guest code whether it should stop, and
//! in the middle of blocks not at all (see `tuning.rs`): so a stop from any thread
//! never cuts an atomic instruction in two. [`SimKick`] outlives its engine, which is
//! why the handle is behind a mutex; the mutex is held for one call only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use elfuse_machine::hv::Kick;

use crate::engine::{Engine, Remote};

/// Stops one processor.
#[derive(Default)]
pub(crate) struct SimKick {
    is_wanted: AtomicBool,
    engine: Mutex<Option<Remote>>,
}

impl SimKick {
    fn engine(&self) -> MutexGuard<'_, Option<Remote>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processor's engine exists, until [`SimKick::detach`].
    pub(crate) fn attach(&self, engine: &Engine) {
        *self.engine() = Some(engine.remote());
    }

    /// The engine is about to be dropped.
    pub(crate) fn detach(&self) {
        *self.engine() = None;
    }

    /// Ends the run that is in progress; without [`Kick::kick`], it goes on later.
    pub(crate) fn interrupt(&self) {
        if let Some(engine) = &*self.engine() {
            // SAFETY: the engine is alive: its owner detaches it first.
            unsafe { engine.stop() };
        }
    }

    /// Has there been a kick? Not any more afterwards.
    pub(crate) fn take(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed) && self.is_wanted.swap(false, Ordering::SeqCst)
    }
}

impl Kick for SimKick {
    fn kick(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
        self.interrupt();
    }
}
