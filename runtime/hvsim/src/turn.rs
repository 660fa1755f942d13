// SPDX-License-Identifier: GPL-2.0-only
//! Processors take turns: one runs at a time.
//!
//! Exclusive accesses of different instances of Unicorn would not see each other. Who
//! waits longer than a slice claims the next turn and interrupts the one that runs.
//! While nobody waits, a turn is one exchange of a word and the next its return. With
//! one processor runs are the same in every execution of a program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kick::SimKick;

/// Time that a processor has while another one waits.
const SLICE: Duration = Duration::from_millis(2);
/// In the word: somebody waits, so that everything is decided under the lock.
const IS_WAITED_FOR: usize = 1;

#[derive(Default)]
struct State {
    /// Everybody, by number.
    members: Vec<Option<Arc<SimKick>>>,
    /// Who has waited long enough: nobody else starts.
    claim: Option<usize>,
    waiting: usize,
}

/// Whose turn it is.
#[derive(Default)]
pub(crate) struct Turns {
    /// Twice the number of the processor that runs, counted from one.
    running: AtomicUsize,
    state: Mutex<State>,
    free: Condvar,
}

/// A processor's place among those that take turns.
pub(crate) struct Seat(usize);

/// The right to run, given back when dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    word: usize,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more processor, which `kick` interrupts.
    pub(crate) fn join(&self, kick: Arc<SimKick>) -> Seat {
        let mut state = self.lock();
        let free = state.members.iter().position(Option::is_none);
        let at = free.unwrap_or(state.members.len());
        if free.is_none() {
            state.members.push(None);
        }
        state.members[at] = Some(kick);
        Seat(at)
    }

    /// One less.
    pub(crate) fn part(&self, seat: &Seat) {
        self.lock().members[seat.0] = None;
    }

    /// Waits for the turn of a processor.
    pub(crate) fn take(&self, seat: &Seat) -> Turn<'_> {
        let word = (seat.0 + 1) << 1;
        let order = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.running.compare_exchange(0, word, order.0, order.1);
        if taken.is_err() {
            self.wait(seat, word);
        }
        Turn { turns: self, word }
    }

    fn wait(&self, seat: &Seat, word: usize) {
        let mut state = self.lock();
        state.waiting += 1;
        // From here on the word changes under the lock only.
        self.running.fetch_or(IS_WAITED_FOR, Ordering::AcqRel);
        loop {
            let runs = self.running.load(Ordering::Acquire) >> 1;
            let is_mine = state.claim.is_none_or(|claim| claim == seat.0);
            if runs == 0 && is_mine {
                break;
            }
            let waited = self.free.wait_timeout(state, SLICE);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() && state.claim.is_none_or(|claim| claim == seat.0) {
                state.claim = Some(seat.0);
                let runs = self.running.load(Ordering::Acquire) >> 1;
                if let Some(Some(running)) = state.members.get(runs.wrapping_sub(1)) {
                    running.interrupt();
                }
            }
        }
        state.waiting -= 1;
        state.claim = None;
        let rest = usize::from(state.waiting > 0);
        self.running.store(word | rest, Ordering::Release);
    }

    fn give_back(&self, word: usize) {
        let order = (Ordering::Release, Ordering::Relaxed);
        if self
            .running
            .compare_exchange(word, 0, order.0, order.1)
            .is_ok()
        {
            return;
        }
        let state = self.lock();
        let rest = usize::from(state.waiting > 0);
        self.running.store(rest, Ordering::Release);
        // Waking costs a call of the host even when nobody waits.
        if rest > 0 {
            self.free.notify_all();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.give_back(self.word);
    }
}
