// SPDX-License-Identifier: GPL-2.0-only
//! Translations of several address spaces, as a processor with tagged entries has them.
//!
//! Unicorn forgets all translations when the tag (ASID) in `TTBR0_EL1` changes, and
//! finds them again one by one: that took half of a switch between two processes.
//! [`Tlbs`] keeps the tables of the last few tags and exchanges them when the guest
//! writes the register. Kept tables are dropped by whatever could make one of their
//! entries wrong: TLB maintenance of any kind, other registers of the regime, mappings,
//! and newly translated code, whose page Unicorn watches for writes by its entries. So
//! a missing TLBI shows here as it does on hardware. The tables are looked for next to
//! the live state; where they do not look as expected Unicorn goes on as it does.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;

use crate::peek::Peek;

/// Modes of translation in the pinned version; those that EL1 and EL0 use come first.
const MODES: usize = 12;
const KEPT: usize = 5;
/// Words of the description of a mode, and of what generated code reads of it.
const DESC: usize = 87;
const FAST: usize = 2;
/// Words before the descriptions; the first holds one bit for each mode with entries.
const COMMON: usize = 4;
const BLOCK: usize = COMMON + MODES * (DESC + FAST);
/// Words between the end of the block and the state, at most.
const GAP: usize = 4;
/// Bytes of an entry, and of its second half elsewhere.
const ENTRY: u64 = 64;
const SECOND: u64 = 16;
/// Address spaces whose tables are kept while another one runs.
const SETS: usize = 4;

/// One mode: description, and what generated code reads.
#[derive(Clone, Copy)]
struct Mode {
    desc: [u64; DESC],
    fast: [u64; FAST],
}

/// Tables that are not in use.
struct Set {
    /// Whose they are; nobody's entries are right.
    tag: Option<u64>,
    modes: [Mode; KEPT],
    /// Modes with entries.
    dirty: u16,
    /// When they were put away.
    since: u64,
}

/// The tables of one engine.
pub(crate) struct Tlbs {
    block: *mut u64,
    sets: RefCell<Vec<Set>>,
    now: Cell<u64>,
}

impl Tlbs {
    /// Looks for the tables before `state`, which must be empty.
    pub(crate) fn find(state: *mut u64) -> Option<Self> {
        let mut words = [0; BLOCK + GAP];
        let peek = Peek::new();
        let begin = state.wrapping_sub(BLOCK + GAP);
        if peek.words(begin.expose_provenance(), &mut words) != words.len() {
            return None;
        }
        let mut places = (0..=GAP).filter(|&at| is_empty_block(&words[at..at + BLOCK]));
        let (Some(at), None) = (places.next(), places.next()) else {
            return None;
        };
        Some(Self {
            block: begin.wrapping_add(at),
            sets: RefCell::default(),
            now: Cell::new(0),
        })
    }

    /// Puts the tables of one tag away and others in their place; `load` writes the
    /// register, which empties what is in place unless it is already right.
    pub(crate) fn switch(&self, from: u64, to: u64, load: impl FnOnce()) {
        if self.dirty() >> KEPT != 0 {
            self.drop_all();
            return load();
        }
        let mut sets = self.sets.borrow_mut();
        if sets.is_empty() {
            sets.extend((0..SETS).map(|_| self.new_set()));
        }
        let known = sets.iter().position(|set| set.tag == Some(to));
        let oldest = || (0..sets.len()).min_by_key(|&n| (sets[n].tag.is_some(), sets[n].since));
        let Some(chosen) = known.or_else(oldest) else {
            return load();
        };
        self.now.set(self.now.get() + 1);
        let set = &mut sets[chosen];
        self.exchange(set);
        set.tag = Some(from);
        set.since = self.now.get();
        if known.is_none() {
            return load();
        }
        // Nothing to empty, says the word: what goes is the memory of jumps only.
        let dirty = self.dirty();
        self.set_dirty(0);
        load();
        self.set_dirty(dirty);
    }

    /// Nothing of what is kept is right any more.
    pub(crate) fn drop_all(&self) {
        for set in self.sets.borrow_mut().iter_mut() {
            set.tag = None;
        }
    }

    /// Modes without entries are alike in both.
    fn exchange(&self, set: &mut Set) {
        let used = self.dirty() | set.dirty;
        for (n, mode) in set.modes.iter_mut().enumerate() {
            if used & 1 << n != 0 {
                // SAFETY: within the block, and no part of the set; the engine is in a
                // hook and looks at its tables again afterwards.
                unsafe { self.desc(n).swap(&raw mut mode.desc) };
                // SAFETY: as above.
                unsafe { self.fast(n).swap(&raw mut mode.fast) };
            }
        }
        let dirty = self.dirty();
        self.set_dirty(set.dirty);
        set.dirty = dirty;
    }

    fn desc(&self, mode: usize) -> *mut [u64; DESC] {
        self.block.wrapping_add(COMMON + mode * DESC).cast()
    }

    fn fast(&self, mode: usize) -> *mut [u64; FAST] {
        let at = COMMON + MODES * DESC + mode * FAST;
        self.block.wrapping_add(at).cast()
    }

    fn dirty(&self) -> u16 {
        // SAFETY: the first field of the block that was found.
        unsafe { self.block.cast::<u16>().read() }
    }

    fn set_dirty(&self, modes: u16) {
        // SAFETY: as in `dirty`.
        unsafe { self.block.cast::<u16>().write(modes) };
    }
}

/// New tables.
impl Tlbs {
    /// Empty tables of the size that is in use now.
    fn new_set(&self) -> Set {
        Set {
            tag: None,
            modes: std::array::from_fn(|n| self.new_mode(n)),
            dirty: 0,
            since: 0,
        }
    }

    fn new_mode(&self, mode: usize) -> Mode {
        // SAFETY: within the block; the engine is in a hook.
        let fast = unsafe { self.fast(mode).read() };
        let bytes = fast[0] + ENTRY;
        let mut desc = [0; DESC];
        // No large pages, and no victims: entries are eight words of ones.
        desc[..2].fill(u64::MAX);
        desc[6..6 + 64].fill(u64::MAX);
        desc[DESC - 1] = allocate(bytes / ENTRY * SECOND, 0);
        Mode {
            desc,
            fast: [fast[0], allocate(bytes, 0xff)],
        }
    }
}

impl Drop for Tlbs {
    fn drop(&mut self) {
        for mode in self.sets.borrow().iter().flat_map(|set| &set.modes) {
            for address in [mode.desc[DESC - 1], mode.fast[1]] {
                let address = usize::try_from(address).unwrap_or(0);
                // SAFETY: a table that is not in use, allocated by `malloc` here or by
                // the engine.
                unsafe { libc::free(std::ptr::with_exposed_provenance_mut(address)) };
            }
        }
    }
}

/// Memory that the engine may free when it makes a table of another size.
fn allocate(bytes: u64, fill: u8) -> u64 {
    let size = usize::try_from(bytes).unwrap_or(0);
    // SAFETY: any size will do.
    let memory: *mut c_void = unsafe { libc::malloc(size) };
    assert!(!memory.is_null(), "allocate {size} bytes of a table");
    // SAFETY: as many bytes as were allocated.
    unsafe { memory.cast::<u8>().write_bytes(fill, size) };
    u64::try_from(memory.expose_provenance()).unwrap_or(0)
}

/// Is this what the tables look like when they have no entries?
fn is_empty_block(words: &[u64]) -> bool {
    let (descs, fasts) = words[COMMON..].split_at(MODES * DESC);
    let is_empty = |desc: &[u64]| {
        let [page, mask, _, _, used, next, ..] = desc else {
            return false;
        };
        let victims = desc[6..6 + 64].iter().all(|&word| word == u64::MAX);
        (*page, *mask, *used, *next) == (u64::MAX, u64::MAX, 0, 0) && victims && desc[DESC - 1] != 0
    };
    let is_table = |fast: &[u64]| {
        let size = fast[0] + ENTRY;
        size.is_power_of_two() && size > ENTRY && fast[1] != 0
    };
    words[0].trailing_zeros() >= 16
        && descs.chunks(DESC).all(is_empty)
        && fasts.chunks(FAST).all(is_table)
}
