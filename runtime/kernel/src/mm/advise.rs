// SPDX-License-Identifier: MIT OR Apache-2.0
//! `madvise`, `mlock`, `mincore`, `msync`, and filling pages in advance.
//!
//! Linux 6.12 `mm/madvise.c`, `mm/mlock.c`, `mm/mincore.c`, `mm/msync.c`.

use std::ops::Range;

use elfuse_machine::Access;
use linux_abi::Errno;
use linux_abi::mman::{ProtFlags, advice};

use super::map::{locked_fits, user_range};
use super::space::State;
use super::{FaultError, GuestAddr, MemLimits, Mm, PAGE, VmaFlags, page_floor};

impl Mm {
    /// Takes advice about a range.
    ///
    /// # Errors
    /// `EINVAL` for unknown advice, bad ranges and areas that cannot take it;
    /// `ENOMEM` for holes, after everything else was done.
    pub fn madvise(&self, addr: u64, len: u64, what: i32) -> Result<(), Errno> {
        let set = |flag: VmaFlags| Some((flag, true));
        let clear = |flag: VmaFlags| Some((flag, false));
        let change = match what {
            advice::DONTFORK => set(VmaFlags::DONTFORK),
            advice::DOFORK => clear(VmaFlags::DONTFORK),
            advice::WIPEONFORK => set(VmaFlags::WIPEONFORK),
            advice::KEEPONFORK => clear(VmaFlags::WIPEONFORK),
            advice::NORMAL..=advice::DONTNEED
            | advice::FREE..=advice::REMOVE
            | advice::MERGEABLE..=advice::DODUMP
            | advice::COLD..=advice::DONTNEED_LOCKED => None,
            _ => return Err(Errno::EINVAL),
        };
        if !addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let range = user_range(addr, len).ok_or(Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.lock();
        let parts: Vec<_> = state.vmas.overlapping(range.clone()).collect();
        let has_hole = !state.vmas.covers(range);
        for vma in parts {
            let part = vma.start..vma.end;
            if let Some((flag, on)) = change {
                let is_private = vma.backing.is_none();
                if flag == VmaFlags::WIPEONFORK && on && !is_private {
                    return Err(Errno::EINVAL);
                }
                state.vmas.update(part, |vma| vma.flags.set(flag, on));
                continue;
            }
            match what {
                advice::DONTNEED | advice::DONTNEED_LOCKED | advice::FREE => {
                    let is_locked = vma.flags.contains(VmaFlags::LOCKED);
                    let is_free = what == advice::FREE;
                    if (is_locked && what != advice::DONTNEED_LOCKED)
                        || (is_free && vma.backing.is_some())
                    {
                        return Err(Errno::EINVAL);
                    }
                    // Dropping lazily freed pages at once is one of the allowed outcomes.
                    self.space
                        .unmap(GuestAddr(part.start), part.end - part.start);
                }
                advice::POPULATE_READ => self.touch(&mut state, part, Access::Read)?,
                advice::POPULATE_WRITE => self.touch(&mut state, part, Access::Write)?,
                advice::REMOVE => return Err(Errno::EOPNOTSUPP),
                _ => {}
            }
        }
        if has_hole { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    fn touch(&self, state: &mut State, range: Range<u64>, access: Access) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end {
            self.fault_locked(state, at, access, 0)
                .map_err(|error| match error {
                    FaultError::NotPermitted => Errno::EINVAL,
                    FaultError::Bus => Errno::EFAULT,
                    FaultError::NotMapped | FaultError::OutOfMemory => Errno::ENOMEM,
                })?;
            at += PAGE;
        }
        Ok(())
    }

    /// Brings every page of the range in, as far as possible.
    pub(super) fn populate_locked(&self, state: &mut State, range: Range<u64>) {
        let parts: Vec<_> = state.vmas.overlapping(range).collect();
        for vma in parts {
            let is_private = !vma.flags.contains(VmaFlags::SHARED);
            let access = if vma.prot.contains(ProtFlags::WRITE) && is_private {
                Access::Write
            } else {
                Access::Read
            };
            if self.touch(state, vma.start..vma.end, access).is_err() {
                return;
            }
        }
    }

    /// Brings every page of the range in (`MAP_POPULATE`).
    pub fn populate(&self, addr: u64, len: u64) {
        let mut state = self.lock();
        self.populate_locked(&mut state, addr..addr.saturating_add(len));
    }

    /// Locks or unlocks a range. `on_fault` does not bring pages in.
    ///
    /// # Errors
    /// `EINVAL`, `ENOMEM` for holes and beyond the limit.
    pub fn mlock(
        &self,
        addr: u64,
        len: u64,
        how: Locking,
        limits: &MemLimits,
    ) -> Result<(), Errno> {
        let start = page_floor(addr);
        let len = len.checked_add(addr - start).ok_or(Errno::EINVAL)?;
        let range = user_range(start, len).ok_or(Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.lock();
        let wants = how != Locking::Unlock;
        let fresh: u64 = state
            .vmas
            .overlapping(range.clone())
            .filter(|vma| !vma.flags.contains(VmaFlags::LOCKED))
            .map(|vma| vma.len())
            .sum();
        if wants && limits.locked == 0 {
            return Err(Errno::EPERM);
        }
        if wants && !locked_fits(&state, fresh, limits) {
            return Err(Errno::ENOMEM);
        }
        let is_covered = state.vmas.covers(range.clone());
        state
            .vmas
            .update(range.clone(), |vma| vma.flags.set(VmaFlags::LOCKED, wants));
        if how == Locking::Lock {
            self.populate_locked(&mut state, range);
        }
        if is_covered {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }

    /// Locks (or unlocks) everything there is, and everything to come.
    ///
    /// # Errors
    /// `ENOMEM` beyond the limit.
    pub fn mlockall(
        &self,
        current: Option<Locking>,
        future: Option<bool>,
        limits: &MemLimits,
    ) -> Result<(), Errno> {
        let mut state = self.lock();
        let wants = current.is_some_and(|how| how != Locking::Unlock);
        if wants && state.vmas.total() > limits.locked {
            return Err(Errno::ENOMEM);
        }
        if let Some(future) = future {
            state.default_flags.set(VmaFlags::LOCKED, future);
        }
        if let Some(how) = current {
            let all = 0..super::TASK_SIZE;
            let on = how != Locking::Unlock;
            state.vmas.update(all.clone(), |vma| {
                let is_ours = vma.flags.intersects(VmaFlags::VDSO | VmaFlags::VVAR);
                vma.flags.set(VmaFlags::LOCKED, on && !is_ours);
            });
            if how == Locking::Lock {
                self.populate_locked(&mut state, all);
            }
        }
        Ok(())
    }

    /// Which pages of the range are in memory.
    ///
    /// # Errors
    /// `EINVAL` for a bad address, `ENOMEM` for holes.
    pub fn mincore(&self, addr: u64, pages: u64) -> Result<Vec<u8>, Errno> {
        let len = pages.checked_mul(PAGE).ok_or(Errno::ENOMEM)?;
        let range = user_range(addr, len).ok_or(Errno::ENOMEM)?;
        let state = self.lock();
        if !state.vmas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let resident = |at: u64| u8::from(self.space.lookup(GuestAddr(at)).is_some());
        Ok(range.step_by(4096).map(resident).collect())
    }

    /// Writes shared file mappings of the range back.
    ///
    /// # Errors
    /// `ENOMEM` for holes, `EBUSY` to invalidate locked pages, `EIO`.
    pub fn msync(&self, addr: u64, len: u64, waits: bool, invalidates: bool) -> Result<(), Errno> {
        let range = user_range(addr, len).ok_or(Errno::ENOMEM)?;
        let state = self.lock();
        let parts: Vec<_> = state.vmas.overlapping(range.clone()).collect();
        let is_covered = state.vmas.covers(range);
        drop(state);
        for vma in parts {
            if invalidates && vma.flags.contains(VmaFlags::LOCKED) {
                return Err(Errno::EBUSY);
            }
            if let (true, Some(backing)) =
                (waits && vma.flags.contains(VmaFlags::SHARED), &vma.backing)
            {
                let first = vma.page_index(vma.start);
                backing
                    .object
                    .sync_pages(first, vma.len() / PAGE)
                    .map_err(|_| Errno::EIO)?;
            }
        }
        if is_covered {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        }
    }
}

/// What `mlock` and its family do to areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// Lock and bring in.
    Lock,
    /// Lock pages when they come in.
    OnFault,
    /// Unlock.
    Unlock,
}
