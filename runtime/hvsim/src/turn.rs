// SPDX-License-Identifier: GPL-2.0-only
//! Processors take turns: one runs at a time.
//!
//! Exclusive accesses of different instances of Unicorn would not see each other. Who
//! waits longer than a slice claims the next turn and interrupts the one that runs.
//! With one processor there is never anybody to wait for, and runs are the same in
//! every execution of a program.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kick::SimKick;

/// Time that a processor has while another one waits.
const SLICE: Duration = Duration::from_millis(2);

#[derive(Default)]
struct State {
    running: Option<Arc<SimKick>>,
    /// Who has waited long enough: nobody else starts.
    claim: Option<Arc<SimKick>>,
    waiting: usize,
}

/// Whose turn it is.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    free: Condvar,
}

/// The right to run, given back when dropped.
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of the processor that `me` stops.
    pub(crate) fn take(&self, me: &Arc<SimKick>) -> Turn<'_> {
        let is_mine = |state: &State| match &state.claim {
            Some(claim) => Arc::ptr_eq(claim, me),
            None => true,
        };
        let mut state = self.lock();
        while state.running.is_some() || !is_mine(&state) {
            state.waiting += 1;
            let waited = self.free.wait_timeout(state, SLICE);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.waiting -= 1;
            if timeout.timed_out() && is_mine(&state) {
                state.claim = Some(Arc::clone(me));
                if let Some(running) = &state.running {
                    running.interrupt();
                }
            }
        }
        state.claim = None;
        state.running = Some(Arc::clone(me));
        Turn(self)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = None;
        // Waking costs a call of the host even when nobody waits.
        if state.waiting > 0 {
            self.0.free.notify_all();
        }
    }
}
