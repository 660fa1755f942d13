// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which processor runs in which address space, and since which change of it.
//!
//! Every change that a TLB may have cached gets a number, unique in the machine. A
//! processor that enters the guest first invalidates what changed since the number
//! it saw; so only processors that are inside at that moment must be brought out.
//! [`Registry::wait_until_out`] does that: it kicks them and waits, and afterwards
//! dropped pages may be used for something else.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::cpu::KickHandle;
use crate::slab::Frame;

/// One processor.
pub(crate) struct Slot {
    /// The address space it runs in, 0 for none.
    running: AtomicU64,
    /// How often it entered one.
    entries: AtomicU64,
    /// The translation table that its register named when it last came out.
    loaded: AtomicU64,
    pub(crate) kick: KickHandle,
}

impl Slot {
    pub(crate) fn new(kick: KickHandle) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            running: zero(),
            entries: zero(),
            loaded: zero(),
            kick,
        }
    }

    /// The processor is about to run in `space`, and looks at its changes after this.
    pub(crate) fn enter(&self, space: u64) {
        // Nobody else writes it; who sees the space below sees this number.
        let entries = self.entries.load(Ordering::Relaxed);
        self.entries.store(entries + 1, Ordering::Release);
        self.running.store(space, Ordering::SeqCst);
    }

    /// The processor came out, and its register names this translation table.
    pub(crate) fn has_loaded(&self, ttbr: u64) {
        if self.loaded.load(Ordering::Relaxed) != ttbr {
            self.loaded.store(ttbr, Ordering::SeqCst);
        }
    }
}

/// Tables of a space that is gone.
struct Retired {
    ttbr: u64,
    tables: Vec<Frame>,
}

/// All processors of a machine.
#[derive(Default)]
pub(crate) struct Registry {
    slots: RwLock<Vec<Arc<Slot>>>,
    last: AtomicU64,
    left: Condvar,
    gate: Mutex<()>,
    waiters: AtomicU64,
    retired: Mutex<Vec<Retired>>,
    retired_frames: AtomicUsize,
}

impl Registry {
    pub(crate) fn next_number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn slots(&self) -> RwLockReadGuard<'_, Vec<Arc<Slot>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
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
        drop(slots);
        self.bury();
    }

    /// A processor came out of the guest.
    pub(crate) fn came_out(&self, slot: &Slot) {
        slot.running.store(0, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            self.left.notify_all();
        }
        if self.retired_frames.load(Ordering::Relaxed) > 0 {
            self.bury();
        }
    }

    /// Waits until no processor is where it was in `space` before the last change.
    pub(crate) fn wait_until_out(&self, space: u64) {
        let is_inside = |slot: &Slot, entry: u64| {
            slot.running.load(Ordering::SeqCst) == space
                && slot.entries.load(Ordering::SeqCst) == entry
        };
        // The number is read first: whoever enters after that sees the change.
        let inside: Vec<_> = self
            .slots()
            .iter()
            .map(|slot| (Arc::clone(slot), slot.entries.load(Ordering::SeqCst)))
            .filter(|(slot, entry)| is_inside(slot, *entry))
            .collect();
        if inside.is_empty() {
            return;
        }
        self.waiters.fetch_add(1, Ordering::SeqCst);
        for (slot, entry) in inside {
            slot.kick.kick();
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            while is_inside(&slot, entry) {
                gate = self.left.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes the tables of a space that is gone. A processor whose register still
    /// names them may walk them on its own account until it loads others, so they
    /// must not become anything else before (Arm ARM D8.2, speculative walks).
    pub(crate) fn retire(&self, ttbr: u64, tables: Vec<Frame>) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        self.retired_frames
            .fetch_add(tables.len(), Ordering::Relaxed);
        retired.push(Retired { ttbr, tables });
        drop(retired);
        self.bury();
    }

    /// Frees the tables that no processor can walk any more: one that is inside has
    /// either what its slot says in its register, or the table of a living space.
    fn bury(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots();
        retired.retain(|gone| {
            let is_loaded = slots
                .iter()
                .any(|slot| slot.loaded.load(Ordering::SeqCst) == gone.ttbr);
            if !is_loaded {
                self.retired_frames
                    .fetch_sub(gone.tables.len(), Ordering::Relaxed);
            }
            is_loaded
        });
    }

    /// Frames that only wait to be freed.
    pub(crate) fn retired_frames(&self) -> usize {
        self.retired_frames.load(Ordering::Relaxed)
    }
}
