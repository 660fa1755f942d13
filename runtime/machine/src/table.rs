// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables of the guest, as the Arm ARM has them (D8.3): 4 KiB granule, four
//! levels, 48 bits. Entries are written by the host as atomics and read by the
//! processor at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::slab::{Frame, OutOfMemory, Slab};
use crate::{Ipa, Prot};

pub(crate) const VALID: u64 = 1;
pub(crate) const TABLE: u64 = 2;
const ATTR_NORMAL: u64 = 1 << 2;
const AP_EL0: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// Pages that one table entry of each level spans.
const SPAN: [u64; 4] = [1 << 27, 1 << 18, 1 << 9, 1];

/// A leaf entry for EL0.
pub(crate) fn leaf(ipa: Ipa, prot: Prot) -> u64 {
    let mut bits =
        ipa.0 | VALID | TABLE | ATTR_NORMAL | INNER_SHAREABLE | ACCESSED | NOT_GLOBAL | PXN;
    if prot.intersects(Prot::READ | Prot::WRITE) {
        bits |= AP_EL0;
    }
    if !prot.contains(Prot::WRITE) {
        bits |= AP_READ_ONLY;
    }
    if !prot.contains(Prot::EXEC) {
        bits |= UXN;
    }
    bits
}

/// What EL0 may do through a leaf entry.
pub(crate) fn prot_of(entry: u64) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, entry & AP_EL0 != 0);
    prot.set(
        Prot::WRITE,
        entry & AP_EL0 != 0 && entry & AP_READ_ONLY == 0,
    );
    prot.set(Prot::EXEC, entry & UXN == 0);
    prot
}

pub(crate) fn address_of(entry: u64) -> Ipa {
    Ipa(entry & ADDRESS)
}

/// A block of memory for EL1 only.
pub(crate) fn el1_block(ipa: Ipa) -> u64 {
    ipa.0 | VALID | ATTR_NORMAL | INNER_SHAREABLE | ACCESSED | PXN | UXN
}

/// A page of code for EL1 only.
pub(crate) fn el1_code(ipa: Ipa) -> u64 {
    ipa.0 | VALID | TABLE | ATTR_NORMAL | INNER_SHAREABLE | ACCESSED | AP_READ_ONLY | UXN
}

fn index(page: u64, level: usize) -> usize {
    usize::try_from((page / SPAN[level]) & 511).unwrap_or(0)
}

/// The tables of one address space. Pages are numbers: addresses divided by 4096.
pub(crate) struct Tables {
    slab: Arc<Slab>,
    root: Frame,
    /// All other tables.
    inner: Vec<Frame>,
}

impl Tables {
    pub(crate) fn new(slab: &Arc<Slab>) -> Result<Self, OutOfMemory> {
        Ok(Self {
            slab: Arc::clone(slab),
            root: slab.alloc()?,
            inner: Vec::new(),
        })
    }

    pub(crate) fn root(&self) -> Ipa {
        self.root.ipa()
    }

    fn entry(&self, table: Ipa, at: usize) -> &AtomicU64 {
        // SAFETY: the entry is within the table's page.
        let pointer = unsafe { self.slab.pointer(table).add(at * 8) };
        // SAFETY: aligned, within the slab, which `self` keeps alive.
        unsafe { AtomicU64::from_ptr(pointer.cast()) }
    }

    /// All tables, for whoever keeps them until no processor walks them.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        std::iter::once(&self.root)
            .chain(&self.inner)
            .cloned()
            .collect()
    }

    /// The leaf entry of a page, if its tables exist.
    pub(crate) fn find(&self, page: u64) -> Option<&AtomicU64> {
        let mut table = self.root();
        for level in 0..3 {
            let entry = self
                .entry(table, index(page, level))
                .load(Ordering::Relaxed);
            if entry & VALID == 0 {
                return None;
            }
            table = address_of(entry);
        }
        Some(self.entry(table, index(page, 3)))
    }

    /// The leaf entry of a page, making its tables.
    pub(crate) fn make(&mut self, page: u64) -> Result<&AtomicU64, OutOfMemory> {
        let mut table = self.root();
        for level in 0..3 {
            let at = index(page, level);
            let entry = self.entry(table, at).load(Ordering::Relaxed);
            table = if entry & VALID == 0 {
                let fresh = self.slab.alloc()?;
                let ipa = fresh.ipa();
                self.entry(table, at)
                    .store(ipa.0 | VALID | TABLE, Ordering::Release);
                self.inner.push(fresh);
                ipa
            } else {
                address_of(entry)
            };
        }
        Ok(self.entry(table, index(page, 3)))
    }

    /// Calls `visit` with every valid leaf entry of the range, skipping what has no
    /// tables.
    pub(crate) fn each(&self, pages: std::ops::Range<u64>, mut visit: impl FnMut(u64, &AtomicU64)) {
        let mut page = pages.start;
        'next: while page < pages.end {
            let mut table = self.root();
            for (level, span) in SPAN.iter().enumerate().take(3) {
                let entry = self
                    .entry(table, index(page, level))
                    .load(Ordering::Relaxed);
                if entry & VALID == 0 {
                    page = (page / span + 1) * span;
                    continue 'next;
                }
                table = address_of(entry);
            }
            let stop = (page / SPAN[2] + 1) * SPAN[2];
            while page < stop.min(pages.end) {
                let entry = self.entry(table, index(page, 3));
                if entry.load(Ordering::Relaxed) & VALID != 0 {
                    visit(page, entry);
                }
                page += 1;
            }
        }
    }
}
