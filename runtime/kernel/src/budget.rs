// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host memory that guests can fill besides their own: what is in pipes and sockets, in
//! file systems in memory, open files. Each has a bound that follows from the size of
//! the guest's memory, so that no program takes the host's.
//!
//! The budgets are of the whole program, as there is one virtual machine in it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of pipes and sockets.
pub(crate) static BUFFERS: Budget = Budget::new();
/// Bytes of file systems in memory, of all that are mounted.
pub(crate) static FILES: Budget = Budget::new();
/// Open file descriptions, `fs.file-max`.
pub(crate) static DESCRIPTIONS: Budget = Budget::new();

/// Sets all bounds for a guest with `memory` bytes.
pub(crate) fn set(memory: u64) {
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    BUFFERS.limit.store(memory / 4, Ordering::Relaxed);
    FILES.limit.store(memory, Ordering::Relaxed);
    // Linux's rule: a tenth of the memory, at a kilobyte each.
    let descriptions = (memory / 10240).max(1024);
    DESCRIPTIONS.limit.store(descriptions, Ordering::Relaxed);
}

/// So much and no more.
pub(crate) struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl Budget {
    const fn new() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            used: AtomicUsize::new(0),
        }
    }

    /// The bound.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes `amount` if it is there. Who takes gives back.
    pub(crate) fn take(&self, amount: usize) -> bool {
        let limit = self.limit();
        let step = |used: usize| used.checked_add(amount).filter(|&sum| sum <= limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .is_ok()
    }

    /// Gives back.
    pub(crate) fn give(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Takes `amount` for as long as the charge lives.
    pub(crate) fn charge(&'static self, amount: usize) -> Option<Charge> {
        self.take(amount).then(|| Charge {
            budget: self,
            amount,
        })
    }
}

/// A part of a budget.
pub(crate) struct Charge {
    budget: &'static Budget,
    amount: usize,
}

impl Charge {
    /// Takes `other`, of the same budget, into this one.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::Budget;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back() {
        static THINGS: Budget = Budget::new();
        THINGS.limit.store(10, Ordering::Relaxed);
        let mut seven = THINGS.charge(7).expect("7 of 10");
        assert!(THINGS.charge(4).is_none());
        seven.add(THINGS.charge(3).expect("3 of 3"));
        assert!(!THINGS.take(1));
        drop(seven);
        assert!(THINGS.charge(10).is_some());
        assert!(!THINGS.take(usize::MAX));
    }
}
