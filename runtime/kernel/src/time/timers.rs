// SPDX-License-Identifier: MIT OR Apache-2.0
//! One host thread that wakes others at given times.
//!
//! [`Timers::arm`] registers a [`Wakeable`] for a deadline; dropping the handle
//! disarms it. The thread sleeps until the earliest deadline and wakes with no lock
//! held, so a `wake` may arm the next timer.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Clock, Deadline};
use crate::gauge::{self, Counted};
use crate::wait::Wakeable;

#[derive(Default)]
struct State {
    next_id: u64,
    armed: BTreeMap<(Deadline, u64), Arc<dyn Wakeable>>,
    is_stopping: bool,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All timers of the kernel.
pub struct Timers {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Timers {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(clock: Clock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            clock,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("timers".to_owned())
            .spawn(move || run(&for_thread))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Wakes `who` once at `deadline`, unless the handle is dropped before.
    #[must_use]
    pub fn arm(&self, deadline: Deadline, who: Arc<dyn Wakeable>) -> TimerHandle {
        let mut state = self.shared.lock();
        let key = (deadline, state.next_id);
        state.next_id += 1;
        let is_first = state
            .armed
            .first_key_value()
            .is_none_or(|(first, _)| key < *first);
        state.armed.insert(key, who);
        drop(state);
        if is_first {
            self.shared.changed.notify_one();
        }
        TimerHandle {
            shared: Arc::clone(&self.shared),
            key,
            _counted: gauge::TIMERS.count(),
        }
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_one();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last reference may go in a wake-up: then the thread ends by itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

/// An armed timer.
pub struct TimerHandle {
    shared: Arc<Shared>,
    key: (Deadline, u64),
    _counted: Counted,
}

impl Drop for TimerHandle {
    fn drop(&mut self) {
        let who = self.shared.lock().armed.remove(&self.key);
        drop(who);
    }
}

fn run(shared: &Shared) {
    let mut state = shared.lock();
    while !state.is_stopping {
        let now = shared.clock.monotonic_ns();
        let Some((&key, _)) = state.armed.first_key_value() else {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        if key.0.0 > now {
            let pause = Duration::from_nanos(key.0.0 - now);
            let waited = shared.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        let who = state.armed.remove(&key);
        drop(state);
        if let Some(who) = who {
            who.wake();
        }
        state = shared.lock();
    }
}
