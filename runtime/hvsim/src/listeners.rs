// SPDX-License-Identifier: GPL-2.0-only
//! Takes the performance counters off the way from one exception level to another.
//!
//! Unicorn calls listeners at each `eret`; the only ones bring the performance counters
//! up to date, which means reading the host's clock. Nobody counts here. The lists are
//! recognised by the pointers back from their entries, are empty while [`Muted`] exists
//! and whole again when Unicorn frees them. Where they are not found exactly once the
//! counters stay.

use crate::peek::Peek;

/// Words behind the state in which the two lists are.
const REACH: usize = 4096;

/// Lists that are empty for a while.
pub(crate) struct Muted {
    lists: *mut [usize; 2],
    heads: [usize; 2],
}

impl Muted {
    /// Empties the two lists behind `start`.
    ///
    /// # Safety
    /// `start` is in the processor of an engine that does not run, and outlives the
    /// result.
    pub(crate) unsafe fn new(start: *mut u8) -> Option<Self> {
        let peek = Peek::new();
        let base = start.expose_provenance();
        let mut words = vec![0; REACH];
        let count = peek.words(base, &mut words);
        let is_list = |at: usize| {
            let mut entry = [0; 4];
            let place = base + at * 8;
            let head = usize::try_from(words[at]).unwrap_or(0);
            let is_there = head != 0 && head % 8 == 0 && peek.words(head, &mut entry) == 4;
            // A function, nothing for it, the last entry, and the way back.
            let back = usize::try_from(entry[3]).unwrap_or(0);
            is_there && entry[0] != 0 && entry[1..3] == [0, 0] && back == place
        };
        let mut found = (0..count.saturating_sub(1)).filter(|&at| is_list(at) && is_list(at + 1));
        let (Some(at), None) = (found.next(), found.next()) else {
            return None;
        };
        let lists = start.wrapping_add(at * 8).cast::<[usize; 2]>();
        // SAFETY: two words of the processor, which the search has read.
        let heads = unsafe { lists.replace([0, 0]) };
        Some(Self { lists, heads })
    }
}

impl Drop for Muted {
    fn drop(&mut self) {
        // SAFETY: as in `new`, whose caller promises that the processor still exists.
        unsafe { self.lists.write(self.heads) };
    }
}
