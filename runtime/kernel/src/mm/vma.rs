// SPDX-License-Identifier: MIT OR Apache-2.0
//! Areas of an address space and the map of them.
//!
//! [`VmaMap`] keeps non-overlapping, page-aligned [`Vma`]s by start address and
//! merges neighbours that do not differ. It knows nothing of page tables; its
//! property test compares it with a model that has one entry per page.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bitflags::bitflags;
use linux_abi::mman::ProtFlags;

use super::{Mappable, PAGE};

bitflags! {
    /// What is special about an area.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct VmaFlags: u32 {
        /// Writes are shared.
        const SHARED = 1;
        /// Grows down on faults below it.
        const GROWSDOWN = 2;
        /// Locked in memory.
        const LOCKED = 4;
        /// Not copied by fork.
        const DONTFORK = 8;
        /// Zeroed by fork.
        const WIPEONFORK = 0x10;
        /// `PROT_WRITE` may be set (a shared mapping needs a writable file).
        const MAYWRITE = 0x20;
        /// The main thread's stack.
        const STACK = 0x40;
        /// Grown by `brk`.
        const HEAP = 0x80;
        /// Code of the kernel: never unmapped silently, not forked by copy.
        const VDSO = 0x100;
        /// Not counted against memory.
        const NORESERVE = 0x200;
        /// Data page of the vDSO.
        const VVAR = 0x400;
    }
}

/// The object behind an area.
#[derive(Clone)]
pub struct FileBacking {
    /// Source of pages.
    pub object: Arc<dyn Mappable>,
    /// Byte offset of the area's start, page-aligned.
    pub offset: u64,
    /// The open file, kept alive by the mapping, and its name for `/proc`; an
    /// anonymous shared area has none.
    pub file: Option<Arc<crate::file::OpenFile>>,
}

impl FileBacking {
    fn is_same_object(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object)
            && match (&self.file, &other.file) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
    }
}

/// One area.
#[derive(Clone)]
pub struct Vma {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Permissions.
    pub prot: ProtFlags,
    /// Properties.
    pub flags: VmaFlags,
    /// What is mapped; `None` for private anonymous memory.
    pub backing: Option<FileBacking>,
}

impl Vma {
    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never: areas have at least a page.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Index of the page at `addr` in the mapped object.
    #[must_use]
    pub fn page_index(&self, addr: u64) -> u64 {
        let offset = self.backing.as_ref().map_or(0, |b| b.offset);
        (offset + (addr - self.start)) / PAGE
    }

    fn slice(&self, range: Range<u64>) -> Self {
        let mut part = self.clone();
        if let Some(backing) = &mut part.backing {
            backing.offset += range.start - self.start;
        }
        (part.start, part.end) = (range.start, range.end);
        part
    }

    fn can_merge(&self, next: &Self) -> bool {
        self.end == next.start
            && self.prot == next.prot
            && self.flags == next.flags
            && match (&self.backing, &next.backing) {
                (None, None) => true,
                (Some(a), Some(b)) => a.is_same_object(b) && a.offset + self.len() == b.offset,
                _ => false,
            }
    }
}

/// The most areas of a process (`vm.max_map_count`).
pub(super) const MAX_AREAS: usize = 65530;
/// Distance kept below an area that grows down.
pub(super) const STACK_GUARD: u64 = 256 * PAGE;

/// All areas of an address space.
#[derive(Clone, Default)]
pub struct VmaMap {
    areas: BTreeMap<u64, Vma>,
    total: u64,
}

impl VmaMap {
    /// Number of areas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Is nothing mapped?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Bytes mapped.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// In address order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Vma> {
        self.areas.values()
    }

    /// The area that contains `addr`.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<&Vma> {
        self.areas
            .range(..=addr)
            .next_back()
            .map(|(_, vma)| vma)
            .filter(|vma| addr < vma.end)
    }

    /// The first area that ends above `addr`.
    #[must_use]
    pub fn find_at_or_above(&self, addr: u64) -> Option<&Vma> {
        self.find(addr)
            .or_else(|| self.areas.range(addr..).next().map(|(_, vma)| vma))
    }

    /// The last area that ends at or below `addr`.
    #[must_use]
    pub fn find_below(&self, addr: u64) -> Option<&Vma> {
        self.areas
            .range(..addr)
            .next_back()
            .map(|(_, vma)| vma)
            .filter(|vma| vma.end <= addr)
    }

    /// The parts of areas within `range`, in order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = Vma> {
        let first = self.find(range.start).map_or(range.start, |vma| vma.start);
        let upper = range.end.max(first);
        self.areas
            .range(first..upper)
            .map(|(_, vma)| vma)
            .filter_map(move |vma| {
                let part = vma.start.max(range.start)..vma.end.min(range.end);
                (part.start < part.end).then(|| vma.slice(part))
            })
    }

    /// Is every page of `range` in some area?
    #[must_use]
    pub fn covers(&self, range: Range<u64>) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.find(at) {
                Some(vma) => at = vma.end,
                None => return false,
            }
        }
        true
    }

    /// Is no page of `range` in any area?
    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.find_at_or_above(range.start)
            .is_none_or(|vma| vma.start >= range.end)
    }

    /// Adds an area where nothing is, merging it with its neighbours.
    pub fn insert(&mut self, vma: Vma) {
        debug_assert!(vma.start < vma.end && self.is_free(vma.start..vma.end));
        self.total += vma.len();
        let mut vma = vma;
        let before = self.areas.range(..vma.start).next_back();
        if let Some((&start, _)) = before.filter(|(_, before)| before.can_merge(&vma)) {
            let before = self.areas.remove(&start);
            if let Some(mut before) = before {
                before.end = vma.end;
                vma = before;
            }
        }
        if self
            .areas
            .get(&vma.end)
            .is_some_and(|after| vma.can_merge(after))
            && let Some(after) = self.areas.remove(&vma.end)
        {
            vma.end = after.end;
        }
        self.areas.insert(vma.start, vma);
    }

    /// Takes `range` out and returns the parts that were there, in order.
    pub fn remove(&mut self, range: Range<u64>) -> Vec<Vma> {
        let parts: Vec<Vma> = self.overlapping(range.clone()).collect();
        let whole: Vec<u64> = parts
            .iter()
            .filter_map(|part| self.find(part.start).map(|vma| vma.start))
            .collect();
        for (start, part) in whole.into_iter().zip(&parts) {
            let Some(vma) = self.areas.remove(&start) else {
                continue;
            };
            if vma.start < part.start {
                self.areas
                    .insert(vma.start, vma.slice(vma.start..part.start));
            }
            if part.end < vma.end {
                self.areas.insert(part.end, vma.slice(part.end..vma.end));
            }
            self.total -= part.len();
        }
        parts
    }

    /// Changes the areas in `range` with `change`, splitting at its ends.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Vma)) {
        for mut part in self.remove(range) {
            change(&mut part);
            self.insert(part);
        }
    }

    /// The areas that changing `range` would add by splitting.
    #[must_use]
    pub fn splits(&self, range: Range<u64>) -> usize {
        let cuts = |at: u64| usize::from(self.find(at).is_some_and(|vma| vma.start < at));
        cuts(range.start) + cuts(range.end)
    }

    /// Moves the start of the area at `old_start` down to `new_start`.
    pub fn grow_down(&mut self, old_start: u64, new_start: u64) {
        if let Some(mut vma) = self.areas.remove(&old_start) {
            self.total += old_start - new_start;
            vma.start = new_start;
            self.areas.insert(new_start, vma);
        }
    }

    /// The highest free range of `len` bytes within `bounds`, kept clear of the
    /// guard below areas that grow down.
    #[must_use]
    pub fn find_free(&self, len: u64, bounds: Range<u64>) -> Option<u64> {
        let mut top = bounds.end;
        for vma in self.areas.range(..bounds.end).rev().map(|(_, vma)| vma) {
            if top
                .checked_sub(len)
                .is_some_and(|start| start >= vma.end && start >= bounds.start)
            {
                return Some(top - len);
            }
            let guard = if vma.flags.contains(VmaFlags::GROWSDOWN) {
                STACK_GUARD
            } else {
                0
            };
            top = top.min(vma.start.saturating_sub(guard));
            if top < bounds.start {
                return None;
            }
        }
        top.checked_sub(len).filter(|&start| start >= bounds.start)
    }
}

#[cfg(test)]
#[path = "vma_tests.rs"]
mod tests;
