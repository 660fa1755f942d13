// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which processor runs in which address space, and since which change of it.
//!
//! Every change that a TLB may have cached gets a number, unique in the machine. A
//! processor that enters the guest first invalidates what changed since the number
//! it saw; so only processors that are inside at that moment must be brought out.
//! [`Registry::wait_until_out`] does that: it kicks them and waits, and afterwards
//! dropped pages may be used for something else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};

use crate::cpu::KickHandle;

/// One processor.
pub(crate) struct Slot {
    /// The address space it runs in, 0 for none.
    pub(crate) running: AtomicU64,
    pub(crate) kick: KickHandle,
}

/// All processors of a machine.
#[derive(Default)]
pub(crate) struct Registry {
    slots: RwLock<Vec<Arc<Slot>>>,
    last: AtomicU64,
    left: Condvar,
    gate: Mutex<usize>,
    waiters: AtomicU64,
}

impl Registry {
    pub(crate) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn add(&self, slot: Arc<Slot>) {
        self.slots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(slot);
    }

    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|other| !Arc::ptr_eq(other, slot));
    }

    /// A processor came out of the guest.
    pub(crate) fn came_out(&self, slot: &Slot) {
        slot.running.store(0, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            self.left.notify_all();
        }
    }

    /// Waits until no processor is where it was in `space` before the last change.
    pub(crate) fn wait_until_out(&self, space: u64) {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let inside: Vec<_> = slots
            .iter()
            .filter(|slot| slot.running.load(Ordering::SeqCst) == space)
            .cloned()
            .collect();
        drop(slots);
        if inside.is_empty() {
            return;
        }
        self.waiters.fetch_add(1, Ordering::SeqCst);
        for slot in inside {
            slot.kick.kick();
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            while slot.running.load(Ordering::SeqCst) == space {
                gate = self.left.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}
