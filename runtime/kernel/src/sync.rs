// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutexes with a rank.
//!
//! [`Ranked`] is a mutex that may only be taken when every lock that the thread
//! holds has a lower [`Rank`]; debug builds assert it, so a lock-order mistake
//! fails the first test that walks the path. A poisoned lock is taken over: a
//! panic ends the whole runtime anyway.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The order of locks: a thread takes them in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Relations between processes: parents, groups, sessions, exits.
    Processes,
    /// Areas of an address space.
    Memory,
    /// Signal state of a process.
    Signals,
    /// What signals do, possibly shared between processes.
    SignalActions,
    /// A table of futex waiters.
    Futex,
    /// Pages of shared memory.
    SharedPages,
    /// Small fields of a task or a process.
    Fields,
    /// Timers.
    Timers,
    /// Subscribers of a wait queue.
    WaitQueue,
    /// Who is runnable.
    RunQueue,
}

/// A mutex with a rank.
#[derive(Debug)]
pub struct Ranked<T> {
    rank: Rank,
    mutex: Mutex<T>,
}

/// Access to the value of a [`Ranked`].
#[derive(Debug)]
pub struct RankedGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    #[cfg(debug_assertions)]
    _held: held::Held,
}

impl<T> Ranked<T> {
    /// A mutex of the given rank.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self {
            rank,
            mutex: Mutex::new(value),
        }
    }

    /// Takes the lock.
    ///
    /// # Panics
    /// In debug builds, when the thread holds a lock of the same or a higher rank.
    pub fn lock(&self) -> RankedGuard<'_, T> {
        #[cfg(debug_assertions)]
        let held = held::Held::claim(self.rank);
        let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        RankedGuard {
            guard,
            #[cfg(debug_assertions)]
            _held: held,
        }
    }

    /// The rank.
    pub const fn rank(&self) -> Rank {
        self.rank
    }
}

impl<T> Deref for RankedGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for RankedGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(debug_assertions)]
mod held {
    use std::cell::RefCell;

    use super::Rank;

    thread_local! {
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    #[derive(Debug)]
    pub(super) struct Held(Rank);

    impl Held {
        pub(super) fn claim(rank: Rank) -> Self {
            HELD.with_borrow_mut(|held| {
                if let Some(&top) = held.iter().max() {
                    assert!(top < rank, "take lock {rank:?}: {top:?} is held");
                }
                held.push(rank);
            });
            Self(rank)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| {
                if let Some(at) = held.iter().rposition(|&rank| rank == self.0) {
                    held.remove(at);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rank, Ranked};

    #[test]
    fn ascending_ranks_are_allowed() {
        let low = Ranked::new(Rank::Processes, 1);
        let high = Ranked::new(Rank::Futex, 2);
        let a = low.lock();
        let b = high.lock();
        assert_eq!(*a + *b, 3);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "take lock Processes: Futex is held")]
    fn descending_ranks_are_refused() {
        let low = Ranked::new(Rank::Processes, 1);
        let high = Ranked::new(Rank::Futex, 2);
        let _b = high.lock();
        let _a = low.lock();
    }
}
