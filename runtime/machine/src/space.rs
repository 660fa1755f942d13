// SPDX-License-Identifier: MIT OR Apache-2.0
//! Address spaces: page tables, and copies through them (seam 2).
//!
//! An entry owns a reference to its frame. Pages that leave the tables are dropped
//! only when no processor can reach them any more. One mutex per space; the
//! processors read the tables without it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cpu::Access;
use crate::machine::Asids;
use crate::memory::{Memory, Page};
use crate::registry::Registry;
use crate::slab::OutOfMemory;
use crate::table::{self, Tables, VALID};
use crate::window::{FilePage, Torn};
use crate::{GuestAddr, Ipa, PAGE_SIZE};

bitflags::bitflags! {
    /// What a program may do with a page.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Prot: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute.
        const EXEC = 4;
    }
}

/// How a range is copied to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Copy on write: both lose write permission.
    Cow,
    /// The same pages with the same permissions.
    Shared,
}

/// A copy stopped at an address that could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemFault {
    /// The address.
    pub addr: GuestAddr,
    /// How it was accessed.
    pub access: Access,
    /// Bytes copied before it.
    pub done: usize,
}

/// Pages that are invalidated one by one; more of them, and the whole space is.
pub(crate) const TLBI_LIST_MAX: usize = 32;

/// What a processor invalidates when it enters a space.
pub(crate) enum Stale {
    Nothing,
    Pages(Vec<u64>),
    All,
}

/// The last changes: each number with the page that changed, if it was one.
#[derive(Default)]
struct Log {
    recent: VecDeque<(u64, u64)>,
    /// Changes up to this number are forgotten.
    forgotten: u64,
}

struct State {
    tables: Tables,
    log: Log,
}

/// Page tables of a process.
pub struct AddressSpace {
    memory: Arc<Memory>,
    registry: Arc<Registry>,
    asids: Arc<Asids>,
    asid: u16,
    id: u64,
    ttbr: u64,
    state: Mutex<State>,
    /// Number of the last change.
    changed: AtomicU64,
}

impl AddressSpace {
    pub(crate) fn new(
        memory: &Arc<Memory>,
        registry: &Arc<Registry>,
        asids: &Arc<Asids>,
    ) -> Result<Self, OutOfMemory> {
        let tables = Tables::new(&memory.slab)?;
        let asid = asids.take().ok_or(OutOfMemory)?;
        let number = registry.next_number();
        let ttbr = tables.root().0 | u64::from(asid) << 48;
        let log = Log {
            recent: VecDeque::new(),
            forgotten: number,
        };
        Ok(Self {
            memory: Arc::clone(memory),
            registry: Arc::clone(registry),
            asids: Arc::clone(asids),
            asid,
            id: number,
            ttbr,
            state: Mutex::new(State { tables, log }),
            changed: AtomicU64::new(number),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn asid(&self) -> u16 {
        self.asid
    }

    pub(crate) fn ttbr(&self) -> u64 {
        self.ttbr
    }

    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a processor that saw change `seen` has to invalidate, and the number it
    /// has then seen.
    pub(crate) fn stale_since(&self, seen: u64) -> (u64, Stale) {
        let state = self.lock();
        let now = self.changed();
        if seen == now {
            return (now, Stale::Nothing);
        }
        if seen < state.log.forgotten {
            return (now, Stale::All);
        }
        let pages: Vec<u64> = state
            .log
            .recent
            .iter()
            .filter(|(n, _)| *n > seen)
            .map(|(_, page)| *page)
            .collect();
        (now, Stale::Pages(pages))
    }

    fn note_page(&self, state: &mut State, page: u64) {
        let number = self.registry.next_number();
        if state.log.recent.len() == TLBI_LIST_MAX
            && let Some((forgotten, _)) = state.log.recent.pop_front()
        {
            state.log.forgotten = forgotten;
        }
        state.log.recent.push_back((number, page));
        self.changed.store(number, Ordering::SeqCst);
    }

    fn note_many(&self, state: &mut State) {
        let number = self.registry.next_number();
        state.log.recent.clear();
        state.log.forgotten = number;
        self.changed.store(number, Ordering::SeqCst);
    }

    fn note_changes(&self, state: &mut State, pages: &[u64]) {
        if pages.len() > TLBI_LIST_MAX / 2 {
            self.note_many(state);
        } else {
            pages.iter().for_each(|&page| self.note_page(state, page));
        }
    }

    /// Maps a page; what was there is dropped when no processor can reach it.
    ///
    /// # Errors
    /// [`OutOfMemory`] without memory for tables.
    pub fn map(&self, va: GuestAddr, page: Page, prot: Prot) -> Result<(), OutOfMemory> {
        let number = va.0 / 4096;
        let mut state = self.lock();
        let entry = state.tables.make(number)?;
        let ipa = page.into_ipa();
        if prot.contains(Prot::EXEC) {
            self.memory.note_code(ipa);
        }
        let old = entry.swap(table::leaf(ipa, prot), Ordering::SeqCst);
        if old & VALID == 0 {
            return Ok(());
        }
        self.note_page(&mut state, number);
        drop(state);
        self.registry.wait_until_out(self.id);
        self.memory.release(table::address_of(old));
        Ok(())
    }

    /// Maps up to `count` pages of a file that follow each other from `first` on, and
    /// leaves out where something is mapped. What does not fit is left out, too.
    pub fn map_run(&self, va: GuestAddr, first: &FilePage, count: usize, prot: Prot) {
        let mut state = self.lock();
        let count = u64::try_from(count.min(first.run())).unwrap_or(0);
        let mut added = 0;
        for n in 0..count {
            let Ok(entry) = state.tables.make(va.0 / 4096 + n) else {
                break;
            };
            if entry.load(Ordering::Relaxed) & VALID != 0 {
                continue;
            }
            let ipa = Ipa(first.ipa().0 + n * 4096);
            if prot.contains(Prot::EXEC) {
                self.memory.note_code(ipa);
            }
            // The reference is there before an entry can be seen and removed: the
            // lock is held.
            entry.store(table::leaf(ipa, prot), Ordering::SeqCst);
            added += 1;
        }
        self.memory.retain(first.ipa(), added);
    }

    /// Waits until each processor that runs in this space has come out: what any of them
    /// did before is seen by the caller, and what it does next sees what the caller did.
    pub fn synchronize(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        self.registry.wait_until_out(self.id);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Unmaps a range.
    pub fn unmap(&self, va: GuestAddr, len: u64) {
        let mut state = self.lock();
        let mut gone: Vec<Ipa> = Vec::new();
        let mut pages = Vec::new();
        state
            .tables
            .each(va.0 / 4096..(va.0 + len).div_ceil(4096), |page, entry| {
                let old = entry.swap(0, Ordering::SeqCst);
                gone.push(table::address_of(old));
                pages.push(page);
            });
        if gone.is_empty() {
            return;
        }
        self.note_changes(&mut state, &pages);
        drop(state);
        self.registry.wait_until_out(self.id);
        gone.into_iter().for_each(|ipa| self.memory.release(ipa));
    }

    /// Unmaps all pages of files that have been cut short: what is still there comes
    /// back by other means.
    pub fn unmap_torn(&self) {
        let mut torn = Vec::new();
        let state = self.lock();
        state.tables.each(0..1 << 36, |page, entry| {
            let ipa = table::address_of(entry.load(Ordering::SeqCst));
            if self.memory.is_torn(ipa) {
                torn.push(GuestAddr(page * 4096));
            }
        });
        drop(state);
        torn.into_iter().for_each(|va| self.unmap(va, 4096));
    }

    /// Where a physical page is mapped, should it be.
    pub(crate) fn find(&self, ipa: Ipa) -> Option<GuestAddr> {
        let mut found = None;
        self.lock().tables.each(0..1 << 36, |page, entry| {
            if table::address_of(entry.load(Ordering::SeqCst)) == ipa {
                found = Some(GuestAddr(page * 4096));
            }
        });
        found
    }

    /// The hypervisor could not reach the memory behind an address. If it is a window,
    /// it is not used any more; is it one?
    pub(crate) fn give_up_window(&self, va: GuestAddr) -> bool {
        let state = self.lock();
        let plain = va.0 & 0x0000_ffff_ffff_ffff;
        let entry = state.tables.find(plain / 4096);
        let entry = entry.map_or(0, |entry| entry.load(Ordering::SeqCst));
        let ipa = table::address_of(entry);
        let is_window = entry & VALID != 0 && self.memory.windows.contains(ipa);
        if is_window {
            self.memory.windows.mark_torn(ipa);
        }
        is_window
    }

    /// Changes the permissions of the pages that are mapped in a range.
    pub fn protect(&self, va: GuestAddr, len: u64, prot: Prot) {
        let mut state = self.lock();
        let mut pages = Vec::new();
        state
            .tables
            .each(va.0 / 4096..(va.0 + len).div_ceil(4096), |page, entry| {
                let old = entry.load(Ordering::SeqCst);
                let new = table::leaf(table::address_of(old), prot);
                if new != old {
                    if prot.contains(Prot::EXEC) {
                        // The program may have written it since it was last executable.
                        self.memory.code_changed(table::address_of(old));
                        self.memory.note_code(table::address_of(old));
                    }
                    entry.store(new, Ordering::SeqCst);
                    pages.push(page);
                }
            });
        if pages.is_empty() {
            return;
        }
        self.note_changes(&mut state, &pages);
        drop(state);
        self.registry.wait_until_out(self.id);
    }

    /// Changes the permissions of one page, if it is mapped.
    pub fn set_prot_page(&self, va: GuestAddr, prot: Prot) {
        self.protect(va, 4096, prot);
    }

    /// The page at an address and what a program may do with it.
    #[must_use]
    pub fn lookup(&self, va: GuestAddr) -> Option<(Page, Prot)> {
        let state = self.lock();
        let entry = state.tables.find(va.0 / 4096)?.load(Ordering::SeqCst);
        if entry & VALID == 0 {
            return None;
        }
        let page = self.memory.share(table::address_of(entry));
        Some((page, table::prot_of(entry)))
    }

    /// Copies the mapped pages of a range to a child.
    ///
    /// # Errors
    /// [`OutOfMemory`] without memory for tables; what was copied stays.
    pub fn copy_range_to(
        &self,
        child: &Self,
        va: GuestAddr,
        len: u64,
        share: Share,
    ) -> Result<(), OutOfMemory> {
        let mut state = self.lock();
        let mut theirs = child.lock();
        let mut outcome = Ok(());
        let mut pages = Vec::new();
        state
            .tables
            .each(va.0 / 4096..(va.0 + len).div_ceil(4096), |page, entry| {
                if outcome.is_err() {
                    return;
                }
                let mut bits = entry.load(Ordering::SeqCst);
                let prot = table::prot_of(bits);
                if share == Share::Cow && prot.contains(Prot::WRITE) {
                    bits = table::leaf(table::address_of(bits), prot - Prot::WRITE);
                    entry.store(bits, Ordering::SeqCst);
                    pages.push(page);
                }
                match theirs.tables.make(page) {
                    Ok(slot) => {
                        self.memory.retain(table::address_of(bits), 1);
                        slot.store(bits, Ordering::SeqCst);
                    }
                    Err(error) => outcome = Err(error),
                }
            });
        drop(theirs);
        if !pages.is_empty() {
            self.note_changes(&mut state, &pages);
            drop(state);
            self.registry.wait_until_out(self.id);
        }
        outcome
    }

    /// Number of mapped pages in a range.
    #[must_use]
    pub fn resident_pages(&self, va: GuestAddr, len: u64) -> usize {
        let mut count = 0;
        let pages = va.0 / 4096..(va.0 + len).div_ceil(4096);
        self.lock().tables.each(pages, |_, _| count += 1);
        count
    }

    /// The page at an address, if it may be accessed so. It stays while the lock is
    /// held.
    fn reach(state: &State, va: u64, access: Access) -> Option<Ipa> {
        let entry = state.tables.find(va / 4096)?.load(Ordering::SeqCst);
        let prot = table::prot_of(entry);
        let is_allowed = match access {
            Access::Read => prot.contains(Prot::READ),
            Access::Write => prot.contains(Prot::WRITE),
            Access::Exec => prot.contains(Prot::EXEC),
        };
        (entry & VALID != 0 && is_allowed).then(|| table::address_of(entry))
    }

    fn copy(
        &self,
        va: GuestAddr,
        len: usize,
        access: Access,
        mut piece: impl FnMut(Ipa, usize, std::ops::Range<usize>) -> Result<(), Torn>,
    ) -> Result<(), MemFault> {
        let state = self.lock();
        let mut done = 0;
        while done < len {
            let at = va.0 + u64::try_from(done).unwrap_or(0);
            let offset = usize::try_from(at % 4096).unwrap_or(0);
            let part = (PAGE_SIZE - offset).min(len - done);
            let copied = Self::reach(&state, at, access)
                .and_then(|ipa| piece(ipa, offset, done..done + part).ok());
            if copied.is_none() {
                return Err(MemFault {
                    addr: GuestAddr(at),
                    access,
                    done,
                });
            }
            done += part;
        }
        Ok(())
    }

    /// Copies in, without side effects.
    ///
    /// # Errors
    /// [`MemFault`] at the first byte that cannot be read, or at the first page of a
    /// file that has been cut short.
    pub fn read(&self, va: GuestAddr, buf: &mut [u8]) -> Result<(), MemFault> {
        self.copy(va, buf.len(), Access::Read, |ipa, offset, range| {
            self.memory.read(ipa, offset, &mut buf[range])
        })
    }

    /// Copies out, without side effects.
    ///
    /// # Errors
    /// [`MemFault`] at the first byte that cannot be written.
    pub fn write(&self, va: GuestAddr, data: &[u8]) -> Result<(), MemFault> {
        self.copy(va, data.len(), Access::Write, |ipa, offset, range| {
            self.memory.write(ipa, offset, &data[range]);
            Ok(())
        })
    }

    fn with_word<R>(
        &self,
        va: GuestAddr,
        access: Access,
        f: impl FnOnce(&AtomicU32) -> R,
    ) -> Result<R, MemFault> {
        let state = self.lock();
        let offset = usize::try_from(va.0 % 4096).unwrap_or(0);
        let fault = MemFault {
            addr: va,
            access,
            done: 0,
        };
        if offset % 4 != 0 {
            return Err(fault);
        }
        let ipa = Self::reach(&state, va.0, access).ok_or(fault)?;
        self.memory.with_word(ipa, offset, f).map_err(|_| fault)
    }

    /// Reads an aligned word atomically.
    ///
    /// # Errors
    /// [`MemFault`].
    pub fn load_u32(&self, va: GuestAddr) -> Result<u32, MemFault> {
        self.with_word(va, Access::Read, |word| word.load(Ordering::SeqCst))
    }

    /// Replaces an aligned word if it is `current`; answers what it was.
    ///
    /// # Errors
    /// [`MemFault`].
    pub fn compare_exchange_u32(
        &self,
        va: GuestAddr,
        current: u32,
        new: u32,
    ) -> Result<Result<u32, u32>, MemFault> {
        self.with_word(va, Access::Write, |word| {
            word.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
        })
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let memory = &self.memory;
        state.tables.each(0..1 << 36, |_, entry| {
            let old = entry.swap(0, Ordering::SeqCst);
            memory.release(table::address_of(old));
        });
        self.registry.retire(self.ttbr, state.tables.frames());
        // A processor that enters with this ASID again finds a new number and
        // invalidates everything first.
        self.asids.give_back(self.asid);
    }
}
