// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mremap`: growing, shrinking and moving areas.
//!
//! Pages move by their tables, never by copying. Linux 6.12 `mm/mremap.c`.

use linux_abi::Errno;
use linux_abi::mman::RemapFlags;

use super::map::{check_area_count, check_limits, is_data, locked_fits, user_range};
use super::space::State;
use super::{GuestAddr, MMAP_MIN, MemLimits, Mm, PAGE, TASK_SIZE, Vma, VmaFlags, page_ceil};

impl Mm {
    /// Changes size or place of a mapping; answers where it is.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`, `ENOMEM`, `EAGAIN`, in Linux's order.
    pub fn mremap(
        &self,
        old: u64,
        old_len: u64,
        new_len: u64,
        flags: RemapFlags,
        new_addr: u64,
        limits: &MemLimits,
    ) -> Result<u64, Errno> {
        let may_move = flags.contains(RemapFlags::MAYMOVE);
        let is_fixed = flags.contains(RemapFlags::FIXED);
        let keeps = flags.contains(RemapFlags::DONTUNMAP);
        if !(flags - RemapFlags::all()).is_empty() || (!may_move && (is_fixed || keeps)) {
            return Err(Errno::EINVAL);
        }
        if !old.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let old_len = page_ceil(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_ceil(new_len)
            .filter(|&len| len != 0)
            .ok_or(Errno::EINVAL)?;
        if keeps && old_len != new_len {
            return Err(Errno::EINVAL);
        }
        let old_range = user_range(old, old_len).ok_or(Errno::EINVAL)?;
        if is_fixed {
            let new_range = user_range(new_addr, new_len).ok_or(Errno::EINVAL)?;
            if new_range.start < old_range.end && old_range.start < new_range.end {
                return Err(Errno::EINVAL);
            }
        }
        let mut state = self.lock();
        let vma = state.vmas.find(old).cloned().ok_or(Errno::EFAULT)?;
        if old_len == 0 && !vma.flags.contains(VmaFlags::SHARED) {
            return Err(Errno::EINVAL);
        }
        if vma.end < old_range.end {
            return Err(Errno::EFAULT);
        }
        if new_len < old_len && !is_fixed {
            let dropped = self.unmap_locked(&mut state, old + new_len..old_range.end);
            drop(state);
            drop(dropped);
            return Ok(old);
        }
        if new_len == old_len && !is_fixed && !keeps {
            return Ok(old);
        }
        let grown = Vma {
            start: old,
            end: old + new_len,
            ..vma.clone()
        };
        self.check_growth(&state, &grown, old_len, limits)?;
        let next_is_free = vma.end == old_range.end
            && old + new_len <= TASK_SIZE
            && state.vmas.is_free(old_range.end..old + new_len);
        if !is_fixed && !keeps && old_len != 0 && next_is_free {
            self.grow_in_place(&mut state, &vma, old_range.end..old + new_len);
            return Ok(old);
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        let target = if is_fixed {
            if new_addr < MMAP_MIN {
                return Err(Errno::EPERM);
            }
            new_addr
        } else {
            let hint = user_range(new_addr, new_len)
                .filter(|range| {
                    keeps && range.start >= MMAP_MIN && state.vmas.is_free(range.clone())
                })
                .map(|range| range.start);
            hint.or_else(|| {
                state
                    .vmas
                    .find_free(new_len, MMAP_MIN..state.layout.mmap_base)
            })
            .ok_or(Errno::ENOMEM)?
        };
        check_area_count(&state, 3)?;
        let dropped = self.unmap_locked(&mut state, target..target + new_len);
        let more = self.move_pages(&mut state, old_range, target..target + new_len, keeps)?;
        drop(state);
        drop((dropped, more));
        Ok(target)
    }

    fn check_growth(
        &self,
        state: &State,
        grown: &Vma,
        old_len: u64,
        limits: &MemLimits,
    ) -> Result<(), Errno> {
        let added = grown.len().saturating_sub(old_len);
        if grown.flags.contains(VmaFlags::LOCKED) && !locked_fits(state, added, limits) {
            return Err(Errno::EAGAIN);
        }
        if added > 0 {
            let extra = Vma {
                start: grown.start,
                end: grown.start + added,
                ..grown.clone()
            };
            check_limits(state, &extra, 0, limits)?;
        }
        self.check_commit(grown)
    }

    fn grow_in_place(&self, state: &mut State, vma: &Vma, added: std::ops::Range<u64>) {
        let mut more = Vma {
            start: added.start,
            end: added.end,
            ..vma.clone()
        };
        if let Some(backing) = &mut more.backing {
            backing.offset += added.start - vma.start;
        }
        state.data_bytes += if is_data(&more) { more.len() } else { 0 };
        let is_locked = more.flags.contains(VmaFlags::LOCKED);
        state.vmas.insert(more);
        if is_locked {
            self.populate_locked(state, added);
        }
    }

    fn move_pages(
        &self,
        state: &mut State,
        old: std::ops::Range<u64>,
        new: std::ops::Range<u64>,
        keeps: bool,
    ) -> Result<Vec<Vma>, Errno> {
        let source = state.vmas.find(old.start).cloned().ok_or(Errno::EFAULT)?;
        let mut moved = Vma {
            start: new.start,
            end: new.end,
            ..source.clone()
        };
        moved.flags.remove(VmaFlags::HEAP | VmaFlags::STACK);
        if let Some(backing) = &mut moved.backing {
            backing.offset += old.start - source.start;
        }
        let mut from = old.start;
        let mut to = new.start;
        while from < old.end && to < new.end {
            if let Some((page, prot)) = self.space.lookup(GuestAddr(from)) {
                self.space
                    .map(GuestAddr(to), page, prot)
                    .map_err(|_| Errno::ENOMEM)?;
            }
            (from, to) = (from + PAGE, to + PAGE);
        }
        self.space.unmap(GuestAddr(old.start), old.end - old.start);
        let dropped = if keeps {
            Vec::new()
        } else {
            self.unmap_locked(state, old)
        };
        state.data_bytes += if is_data(&moved) { moved.len() } else { 0 };
        let (range, is_locked) = (new.clone(), moved.flags.contains(VmaFlags::LOCKED));
        state.vmas.insert(moved);
        if is_locked {
            self.populate_locked(state, range);
        }
        Ok(dropped)
    }
}
