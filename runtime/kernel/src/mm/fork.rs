// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying an address space for `fork`.
//!
//! Private pages become copy-on-write in both, shared ones stay shared; pages that
//! are not in memory are not copied at all, so the cost is that of the tables.
//! Linux 6.12 `kernel/fork.c` (`dup_mmap`).

use std::sync::atomic::Ordering;

use elfuse_machine::{OutOfMemory, Share};

use super::{GuestAddr, Mm, VmaFlags};

impl Mm {
    /// A copy for a child.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the tables cannot be made; nothing is left behind.
    pub fn fork(&self) -> Result<Self, OutOfMemory> {
        let state = self.lock();
        let child = Self::new(&self.machine, state.layout)?;
        // The child is not visible to anybody yet, so its areas are prepared aside:
        // two locks of one rank are never held.
        let mut vmas = super::VmaMap::default();
        for vma in state.vmas.iter() {
            if vma.flags.contains(VmaFlags::DONTFORK) {
                continue;
            }
            let mut copy = vma.clone();
            copy.flags.remove(VmaFlags::LOCKED);
            vmas.insert(copy);
            if vma.flags.contains(VmaFlags::WIPEONFORK) {
                continue;
            }
            let is_shared = vma.flags.intersects(VmaFlags::SHARED | VmaFlags::VDSO);
            let share = if is_shared { Share::Shared } else { Share::Cow };
            self.space
                .copy_range_to(&child.space, GuestAddr(vma.start), vma.len(), share)?;
        }
        let (auxv, exe, data) = (state.auxv.clone(), state.exe.clone(), state.data_bytes);
        drop(state);
        let mut mine = child.lock();
        mine.vmas = vmas;
        mine.auxv = auxv;
        mine.exe = exe;
        mine.data_bytes = data;
        drop(mine);
        let announced = self.barriers.load(Ordering::Relaxed);
        child.barriers.store(announced, Ordering::Relaxed);
        Ok(child)
    }
}
