// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page faults: demand zero, file pages, copy on write, stack growth.
//!
//! [`Mm::fault`] is called by the run loop for faults of the program and by
//! `mm/user.rs` for faults of the kernel's own copies. It may be called for a
//! page that another worker has just mapped: then there is nothing to do.
//! Linux 6.12 `mm/memory.c` (`handle_mm_fault`), `arch/arm64/mm/fault.c`.

use std::sync::atomic::Ordering;

use elfuse_machine::{Access, Frame, Prot};
use linux_abi::mman::ProtFlags;
use linux_abi::signal::{BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGSEGV};

use super::space::State;
use super::vma::STACK_GUARD;
use super::{GuestAddr, MapError, Mappable, Mm, PAGE, Page, TASK_SIZE, Vma, VmaFlags, page_floor};

/// Pages of a file that a read fault maps around the one that is needed.
const FAULT_AROUND: u64 = 16;
/// The same where pages are already in memory, and cost an entry of a table each.
const WINDOW_AROUND: u64 = 64;

/// Why a fault cannot be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there.
    NotMapped,
    /// Something is, but not for this access.
    NotPermitted,
    /// The page is behind the end of the file.
    Bus,
    /// No memory is left.
    OutOfMemory,
}

impl FaultError {
    /// The signal and its `si_code`; `None` for lack of memory.
    #[must_use]
    pub const fn signal(self) -> Option<(i32, i32)> {
        match self {
            Self::NotMapped => Some((SIGSEGV, SEGV_MAPERR)),
            Self::NotPermitted => Some((SIGSEGV, SEGV_ACCERR)),
            Self::Bus => Some((SIGBUS, BUS_ADRERR)),
            Self::OutOfMemory => None,
        }
    }
}

impl From<MapError> for FaultError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Bus => Self::Bus,
            MapError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl From<elfuse_machine::OutOfMemory> for FaultError {
    fn from(_: elfuse_machine::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Page-table permissions for an area's permissions.
pub(super) fn table_prot(prot: ProtFlags) -> Prot {
    let mut table = Prot::empty();
    table.set(
        Prot::READ,
        prot.intersects(ProtFlags::READ | ProtFlags::WRITE),
    );
    table.set(Prot::WRITE, prot.contains(ProtFlags::WRITE));
    table.set(Prot::EXEC, prot.contains(ProtFlags::EXEC));
    table
}

fn is_allowed(prot: ProtFlags, access: Access) -> bool {
    match access {
        // Writable memory is readable on arm64.
        Access::Read => prot.intersects(ProtFlags::READ | ProtFlags::WRITE),
        Access::Write => prot.contains(ProtFlags::WRITE),
        Access::Exec => prot.contains(ProtFlags::EXEC),
    }
}

impl Mm {
    /// Makes `addr` accessible, if the program may access it.
    ///
    /// # Errors
    /// [`FaultError`]; the stack grows up to `stack_limit` bytes.
    pub fn fault(&self, addr: u64, access: Access, stack_limit: u64) -> Result<(), FaultError> {
        self.minor_faults.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        self.fault_locked(&mut state, addr, access, stack_limit)
    }

    pub(super) fn fault_locked(
        &self,
        state: &mut State,
        addr: u64,
        access: Access,
        stack_limit: u64,
    ) -> Result<(), FaultError> {
        if addr >= TASK_SIZE {
            return Err(FaultError::NotMapped);
        }
        if state.vmas.find(addr).is_none() {
            grow_stack(state, addr, stack_limit)?;
        }
        let vma = state.vmas.find(addr).ok_or(FaultError::NotMapped)?;
        if !is_allowed(vma.prot, access) {
            return Err(FaultError::NotPermitted);
        }
        let va = page_floor(addr);
        let mut there = self.space.lookup(GuestAddr(va));
        if there.as_ref().is_some_and(|(page, _)| page.is_torn()) {
            self.space.unmap(GuestAddr(va), PAGE);
            there = None;
        }
        match (there, access) {
            (Some((page, have)), Access::Write) if !have.contains(Prot::WRITE) => {
                self.make_writable(vma, va, page)
            }
            (Some((_, have)), _) => {
                // The page is there: tables that lag behind the area's permissions.
                let want = readable_prot(vma, have);
                if want != have {
                    self.space.set_prot_page(GuestAddr(va), want);
                }
                Ok(())
            }
            (None, _) => self.bring_in(vma, va, access),
        }
    }

    fn bring_in(&self, vma: &Vma, va: u64, access: Access) -> Result<(), FaultError> {
        let full = table_prot(vma.prot);
        let Some(backing) = &vma.backing else {
            let frame = self.machine.alloc_frame_zeroed()?;
            return Ok(self.space.map(GuestAddr(va), Page::Anon(frame), full)?);
        };
        let is_write = access == Access::Write;
        let index = vma.page_index(va);
        if vma.flags.contains(VmaFlags::SHARED) {
            let can_write = is_write || is_memory(&*backing.object, vma);
            let page = backing
                .object
                .page(index, can_write && full.contains(Prot::WRITE))?;
            let prot = if can_write { full } else { full - Prot::WRITE };
            return Ok(self.space.map(GuestAddr(va), page, prot)?);
        }
        let page = backing.object.page(index, false)?;
        if is_write {
            let copy = self.copy_of(vma, va, &page)?;
            return Ok(self.space.map(GuestAddr(va), Page::Anon(copy), full)?);
        }
        let is_window = matches!(page, Page::File(_));
        self.space.map(GuestAddr(va), page, full - Prot::WRITE)?;
        let pages = if is_window {
            WINDOW_AROUND
        } else {
            FAULT_AROUND
        };
        self.map_around(vma, va, pages * PAGE, full - Prot::WRITE);
        Ok(())
    }

    /// Maps the neighbours of a file page that was read, up to `bytes` of them: they
    /// cost no exit of their own. Failures are left to faults.
    fn map_around(&self, vma: &Vma, va: u64, bytes: u64, prot: Prot) {
        let Some(backing) = &vma.backing else { return };
        // Aligned in the file, so that it does not depend on where the file is mapped.
        let before = vma.page_index(va) * PAGE % bytes;
        let first = va.saturating_sub(before).max(vma.start);
        let last = (va - before.min(va) + bytes).min(vma.end);
        let mut next = first;
        while next < last {
            let at = next;
            next += PAGE;
            if self.space.lookup(GuestAddr(at)).is_some() {
                continue;
            }
            let Ok(page) = backing.object.page(vma.page_index(at), false) else {
                return;
            };
            if let Page::File(first) = &page {
                let left = usize::try_from((last - at) / PAGE).unwrap_or(0);
                let run = left.min(first.run());
                self.space.map_run(GuestAddr(at), first, run, prot);
                next = at + PAGE * u64::try_from(run).unwrap_or(u64::MAX);
            } else if self.space.map(GuestAddr(at), page, prot).is_err() {
                return;
            }
        }
    }

    fn make_writable(&self, vma: &Vma, va: u64, page: Page) -> Result<(), FaultError> {
        let full = table_prot(vma.prot);
        if vma.flags.contains(VmaFlags::SHARED) {
            let backing = vma.backing.as_ref().ok_or(FaultError::NotMapped)?;
            let page = backing.object.page(vma.page_index(va), true)?;
            return Ok(self.space.map(GuestAddr(va), page, full)?);
        }
        if let Page::Anon(frame) = &page
            && is_only_owner(frame)
        {
            self.space.set_prot_page(GuestAddr(va), full);
            return Ok(());
        }
        let copy = self.copy_of(vma, va, &page)?;
        Ok(self.space.map(GuestAddr(va), Page::Anon(copy), full)?)
    }

    /// A copy of the page at `va`; if its file has been cut short, of what is left.
    fn copy_of(&self, vma: &Vma, va: u64, page: &Page) -> Result<Frame, FaultError> {
        let copy = self.machine.alloc_frame_zeroed()?;
        match page {
            Page::Anon(frame) => copy.copy_from(frame),
            Page::File(file) if file.copy_to(&copy).is_ok() => {}
            Page::File(_) => {
                let backing = vma.backing.as_ref().ok_or(FaultError::Bus)?;
                match backing.object.page(vma.page_index(va), false)? {
                    Page::Anon(frame) => copy.copy_from(&frame),
                    Page::File(_) => return Err(FaultError::Bus),
                }
            }
        }
        Ok(copy)
    }
}

/// Does only one table (and the caller's handle) hold it?
fn is_only_owner(frame: &Frame) -> bool {
    frame.references() <= 2
}

/// What the tables may say about a page that is present: never more than the
/// area, and write permission only if it was given before.
fn readable_prot(vma: &Vma, have: Prot) -> Prot {
    let full = table_prot(vma.prot);
    if have.contains(Prot::WRITE) {
        full
    } else {
        full - Prot::WRITE
    }
}

/// Shared memory that is no file need not hear of the first write.
fn is_memory(_object: &dyn Mappable, vma: &Vma) -> bool {
    vma.backing
        .as_ref()
        .is_some_and(|backing| backing.file.is_none())
}

fn grow_stack(state: &mut State, addr: u64, stack_limit: u64) -> Result<(), FaultError> {
    let above = state
        .vmas
        .find_at_or_above(addr)
        .ok_or(FaultError::NotMapped)?;
    if !above.flags.contains(VmaFlags::GROWSDOWN) {
        return Err(FaultError::NotMapped);
    }
    let (old_start, new_start) = (above.start, page_floor(addr));
    if above.end - new_start > stack_limit {
        return Err(FaultError::NotMapped);
    }
    let guard_hit = state.vmas.find_below(old_start).is_some_and(|below| {
        let is_wall = below.prot.is_empty() || below.flags.contains(VmaFlags::GROWSDOWN);
        let gap = if is_wall { 0 } else { STACK_GUARD };
        below.end.saturating_add(gap) > new_start
    });
    if guard_hit || new_start < super::MMAP_MIN {
        return Err(FaultError::NotMapped);
    }
    state.vmas.grow_down(old_start, new_start);
    Ok(())
}
