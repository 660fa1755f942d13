// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, removing and protecting areas: `mmap`, `munmap`, `mprotect`, `brk`.
//!
//! The order of checks is Linux 6.12's `mm/mmap.c` and `mm/mprotect.c`. What the
//! system call layer has to look at (descriptors, flags) is checked there.

use std::ops::Range;

use linux_abi::Errno;
use linux_abi::mman::ProtFlags;

use super::fault::table_prot;
use super::space::State;
use super::vma::MAX_AREAS;
use super::{
    FileBacking, GuestAddr, MMAP_MIN, MemLimits, Mm, PAGE, TASK_SIZE, Vma, VmaFlags, page_ceil,
};

/// What `mmap` is asked for, decoded.
pub struct MapRequest {
    /// Where, or a hint.
    pub addr: u64,
    /// Bytes; rounded up to pages.
    pub len: u64,
    /// Permissions.
    pub prot: ProtFlags,
    /// Properties of the area.
    pub flags: VmaFlags,
    /// What is mapped.
    pub backing: Option<FileBacking>,
    /// How `addr` is meant.
    pub place: Place,
}

/// How the address of a mapping is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A hint: somewhere else if it is taken.
    Hint,
    /// Exactly there, replacing what is there.
    Replace,
    /// Exactly there, and nothing may be there.
    Empty,
}

/// Does the area count as data (`RLIMIT_DATA`)?
pub(super) fn is_data(vma: &Vma) -> bool {
    vma.prot.contains(ProtFlags::WRITE)
        && !vma.flags.intersects(VmaFlags::SHARED | VmaFlags::GROWSDOWN)
}

impl Mm {
    /// Maps, and returns the address.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM`, `EEXIST`, `EPERM`, in Linux's order.
    pub fn mmap(&self, request: MapRequest, limits: &MemLimits) -> Result<u64, Errno> {
        let len = page_ceil(request.len)
            .filter(|&l| l <= TASK_SIZE)
            .ok_or(Errno::ENOMEM)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.lock();
        let start = choose(&state, &request, len)?;
        let range = start..start + len;
        if request.place == Place::Empty && !state.vmas.is_free(range.clone()) {
            return Err(Errno::EEXIST);
        }
        let replaced: u64 = state
            .vmas
            .overlapping(range.clone())
            .map(|vma| vma.len())
            .sum();
        check_area_count(&state, state.vmas.splits(range.clone()) + 1)?;
        let vma = Vma {
            start,
            end: range.end,
            prot: request.prot,
            flags: request.flags | state.default_flags,
            backing: request.backing,
        };
        check_limits(&state, &vma, replaced, limits)?;
        self.check_commit(&vma)?;
        if vma.flags.contains(VmaFlags::LOCKED) && !locked_fits(&state, len, limits) {
            return Err(Errno::EAGAIN);
        }
        let dropped = self.unmap_locked(&mut state, range);
        state.data_bytes += if is_data(&vma) { len } else { 0 };
        let populate = vma.flags.contains(VmaFlags::LOCKED);
        state.vmas.insert(vma);
        if populate {
            self.populate_locked(&mut state, start..start + len);
        }
        drop(state);
        drop(dropped);
        Ok(start)
    }

    /// Unmaps every page of the range.
    ///
    /// # Errors
    /// `EINVAL` for a bad range, `ENOMEM` when a split would be one area too many.
    pub fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        let range = user_range(addr, len).ok_or(Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut state = self.lock();
        if state.vmas.splits(range.clone()) == 2
            && state.vmas.find(range.start).map(|v| v.start)
                == state.vmas.find(range.end).map(|v| v.start)
        {
            check_area_count(&state, 1)?;
        }
        let dropped = self.unmap_locked(&mut state, range);
        drop(state);
        drop(dropped);
        Ok(())
    }

    /// Unmaps everything (`execve` on the old address space, exit).
    pub fn clear(&self) {
        let mut state = self.lock();
        let dropped = self.unmap_locked(&mut state, 0..TASK_SIZE);
        let exe = state.exe.take();
        drop(state);
        drop((dropped, exe));
    }

    pub(super) fn unmap_locked(&self, state: &mut State, range: Range<u64>) -> Vec<Vma> {
        let removed = state.vmas.remove(range);
        for vma in &removed {
            self.space.unmap(GuestAddr(vma.start), vma.len());
            state.data_bytes -= if is_data(vma) { vma.len() } else { 0 };
        }
        removed
    }

    /// Changes permissions.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for holes (what lies before the hole is changed),
    /// `EACCES` for write permission on a file opened for reading.
    pub fn mprotect(&self, addr: u64, len: u64, prot: ProtFlags) -> Result<(), Errno> {
        if !addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let range = user_range(addr, len).ok_or(Errno::ENOMEM)?;
        let mut state = self.lock();
        let mut at = range.start;
        while at < range.end {
            let Some(vma) = state.vmas.find(at).cloned() else {
                return Err(Errno::ENOMEM);
            };
            let part = at..vma.end.min(range.end);
            at = part.end;
            if prot.contains(ProtFlags::WRITE) && !vma.flags.contains(VmaFlags::MAYWRITE) {
                return Err(Errno::EACCES);
            }
            if vma.prot == prot {
                continue;
            }
            if !vma.prot.contains(ProtFlags::WRITE) {
                self.check_commit(&Vma {
                    start: part.start,
                    end: part.end,
                    prot,
                    ..vma
                })?;
            }
            check_area_count(&state, state.vmas.splits(part.clone()))?;
            self.protect_locked(&mut state, part, prot);
        }
        Ok(())
    }

    fn protect_locked(&self, state: &mut State, part: Range<u64>, prot: ProtFlags) {
        let len = part.end - part.start;
        let mut delta = 0i64;
        state.vmas.update(part.clone(), |vma| {
            let before = is_data(vma);
            vma.prot = prot;
            delta = i64::from(is_data(vma)) - i64::from(before);
        });
        state.data_bytes = match delta {
            1 => state.data_bytes + len,
            -1 => state.data_bytes - len,
            _ => state.data_bytes,
        };
        // Write permission comes back page by page, through faults, because pages
        // of this range may be shared copy-on-write.
        let table = table_prot(prot) - elfuse_machine::Prot::WRITE;
        self.space.protect(GuestAddr(part.start), len, table);
    }

    /// Moves the end of the heap; answers where it is afterwards.
    #[must_use]
    pub fn brk(&self, wanted: u64, limits: &MemLimits) -> u64 {
        let mut state = self.lock();
        let Layout { brk_start, brk, .. } = state.layout;
        let (Some(new_end), Some(old_end)) = (page_ceil(wanted), page_ceil(brk)) else {
            return brk;
        };
        if wanted < brk_start || new_end >= TASK_SIZE {
            return brk;
        }
        if wanted - brk_start > limits.data {
            return brk;
        }
        let mut dropped = Vec::new();
        if new_end < old_end {
            dropped = self.unmap_locked(&mut state, new_end..old_end);
        } else if new_end > old_end {
            let vma = heap_area(&state, old_end..new_end);
            let is_clear = state.vmas.is_free(old_end..new_end + PAGE);
            let fits = check_limits(&state, &vma, 0, limits).is_ok()
                && self.check_commit(&vma).is_ok()
                && check_area_count(&state, 1).is_ok();
            if !is_clear || !fits {
                return brk;
            }
            state.data_bytes += vma.len();
            let locks = vma.flags.contains(VmaFlags::LOCKED);
            state.vmas.insert(vma);
            if locks {
                self.populate_locked(&mut state, old_end..new_end);
            }
        }
        state.layout.brk = wanted;
        drop(state);
        drop(dropped);
        wanted
    }

    /// Linux's heuristic overcommit (`overcommit_memory` 0): a single area that is larger
    /// than all memory can obviously never fit, and is refused. Reservations are not,
    /// until they become writable.
    pub(super) fn check_commit(&self, vma: &Vma) -> Result<(), Errno> {
        let is_shared = vma.flags.contains(VmaFlags::SHARED);
        let is_memory = match &vma.backing {
            Some(backing) if is_shared => backing.file.is_none(),
            _ => !is_shared && vma.prot.contains(ProtFlags::WRITE),
        };
        let counts = is_memory && !vma.flags.contains(VmaFlags::NORESERVE);
        let total = u64::try_from(self.machine.frames_total()).unwrap_or(u64::MAX);
        if counts && vma.len() / PAGE > total {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }
}

use super::Layout;

fn heap_area(state: &State, range: Range<u64>) -> Vma {
    Vma {
        start: range.start,
        end: range.end,
        prot: ProtFlags::READ | ProtFlags::WRITE,
        flags: VmaFlags::HEAP | VmaFlags::MAYWRITE | state.default_flags,
        backing: None,
    }
}

/// A page-aligned range within user space; the length is rounded up.
pub(super) fn user_range(addr: u64, len: u64) -> Option<Range<u64>> {
    let len = page_ceil(len)?;
    let end = addr.checked_add(len)?;
    (addr.is_multiple_of(PAGE) && end <= TASK_SIZE).then_some(addr..end)
}

fn choose(state: &State, request: &MapRequest, len: u64) -> Result<u64, Errno> {
    if request.place != Place::Hint {
        if len > TASK_SIZE || request.addr > TASK_SIZE - len {
            return Err(Errno::ENOMEM);
        }
        if !request.addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if request.addr < MMAP_MIN {
            return Err(Errno::EPERM);
        }
        return Ok(request.addr);
    }
    let hint = page_ceil(request.addr).unwrap_or(0);
    let hint = if hint == 0 { 0 } else { hint.max(MMAP_MIN) };
    let fits = hint != 0 && hint.checked_add(len).is_some_and(|end| end <= TASK_SIZE);
    if fits && state.vmas.is_free(hint..hint + len) {
        return Ok(hint);
    }
    state
        .vmas
        .find_free(len, MMAP_MIN..state.layout.mmap_base)
        .or_else(|| state.vmas.find_free(len, state.layout.mmap_base..TASK_SIZE))
        .ok_or(Errno::ENOMEM)
}

pub(super) fn check_area_count(state: &State, added: usize) -> Result<(), Errno> {
    if state.vmas.len() + added > MAX_AREAS {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

pub(super) fn check_limits(
    state: &State,
    vma: &Vma,
    replaced: u64,
    limits: &MemLimits,
) -> Result<(), Errno> {
    let total = state.vmas.total() - replaced;
    if total.saturating_add(vma.len()) > limits.address_space {
        return Err(Errno::ENOMEM);
    }
    if is_data(vma) && state.data_bytes.saturating_add(vma.len()) > limits.data {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

pub(super) fn locked_fits(state: &State, added: u64, limits: &MemLimits) -> bool {
    let locked: u64 = state
        .vmas
        .iter()
        .filter(|vma| vma.flags.contains(VmaFlags::LOCKED))
        .map(Vma::len)
        .sum();
    locked.saturating_add(added) <= limits.locked
}

impl Mm {
    /// Maps pages of the kernel (the vDSO) where nothing is.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_special(
        &self,
        at: GuestAddr,
        pages: &[(super::Page, elfuse_machine::Prot)],
        prot: ProtFlags,
    ) -> Result<(), Errno> {
        let mut state = self.lock();
        let mut va = at.0;
        for (page, table) in pages {
            self.space
                .map(GuestAddr(va), page.clone(), *table)
                .map_err(|_| Errno::ENOMEM)?;
            let is_code = table.contains(elfuse_machine::Prot::EXEC);
            let kind = if is_code {
                VmaFlags::VDSO
            } else {
                VmaFlags::VDSO | VmaFlags::VVAR
            };
            let prot = if is_code { prot } else { ProtFlags::READ };
            state.vmas.insert(Vma {
                start: va,
                end: va + PAGE,
                prot,
                flags: kind,
                backing: None,
            });
            va += PAGE;
        }
        Ok(())
    }
}
