// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptor numbers of a process.
//!
//! [`FdTable`] maps numbers to open file descriptions. The lowest free number is
//! always used (POSIX). `fork` copies it, `CLONE_FILES` shares the `Arc`.
//! Locks: one mutex; descriptions that leave the table are dropped after it is
//! released, because a drop may wake others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;

use crate::budget::DESCRIPTIONS;
use crate::file::OpenFile;
use crate::gauge::{self, Counted};

/// A guest descriptor as a syscall passes it: any 32-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub i32);

/// What one number refers to.
#[derive(Clone)]
pub struct FdEntry {
    /// The description.
    pub file: Arc<OpenFile>,
    /// Closed by `execve`.
    pub cloexec: bool,
}

#[derive(Default)]
struct Slots {
    entries: Vec<Option<FdEntry>>,
    /// No number below this one is free.
    lowest: usize,
}

/// The descriptors of a process.
pub struct FdTable {
    slots: Mutex<Slots>,
    id: u64,
    _counted: Counted,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Default for FdTable {
    fn default() -> Self {
        Self::with(Slots::default())
    }
}

/// The most descriptors a table can hold (`fs.nr_open`).
const NR_OPEN: usize = 1 << 20;

impl FdTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(slots: Slots) -> Self {
        Self {
            slots: Mutex::new(slots),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            _counted: gauge::DESCRIPTOR_TABLES.count(),
        }
    }

    /// A number that no other table ever has: owner of POSIX locks.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The description behind `fd`, `O_PATH` handles included.
    ///
    /// # Errors
    /// `EBADF` when it is not open.
    pub fn get_any(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        self.entry(fd).map(|entry| entry.file)
    }

    /// The description behind `fd` for an operation on the opened object.
    ///
    /// # Errors
    /// `EBADF` when it is not open or a mere handle (`O_PATH`).
    pub fn get(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        let file = self.get_any(fd)?;
        if file.is_path() {
            Err(Errno::EBADF)
        } else {
            Ok(file)
        }
    }

    /// Description and descriptor flags.
    ///
    /// # Errors
    /// `EBADF` when it is not open.
    pub fn entry(&self, fd: Fd) -> Result<FdEntry, Errno> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        self.lock()
            .entries
            .get(index)
            .and_then(Clone::clone)
            .ok_or(Errno::EBADF)
    }

    /// Installs at the lowest free number from `from`, below `limit`.
    ///
    /// # Errors
    /// `EMFILE` when every number below `limit` is used.
    pub fn install(
        &self,
        file: Arc<OpenFile>,
        cloexec: bool,
        from: usize,
        limit: usize,
    ) -> Result<Fd, Errno> {
        // Only who makes a description is refused for their number.
        if Arc::strong_count(&file) == 1 && gauge::OPEN_FILES.now() > DESCRIPTIONS.limit() {
            return Err(Errno::ENFILE);
        }
        let mut slots = self.lock();
        let start = from.max(slots.lowest);
        let free = (start..slots.entries.len()).find(|&i| slots.entries[i].is_none());
        let index = free.unwrap_or_else(|| start.max(slots.entries.len()));
        if index >= limit.min(NR_OPEN) {
            return Err(Errno::EMFILE);
        }
        if index >= slots.entries.len() {
            slots.entries.resize_with(index + 1, || None);
        }
        slots.entries[index] = Some(FdEntry { file, cloexec });
        if from <= slots.lowest {
            slots.lowest = index + 1;
        }
        i32::try_from(index).map(Fd).map_err(|_| Errno::EMFILE)
    }

    /// Installs at exactly `fd` (`dup3`); what was there comes back, to be closed.
    ///
    /// # Errors
    /// `EBADF` when `fd` is not below `limit`.
    pub fn replace(
        &self,
        fd: Fd,
        file: Arc<OpenFile>,
        cloexec: bool,
        limit: usize,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        if index >= limit.min(NR_OPEN) {
            return Err(Errno::EBADF);
        }
        let mut slots = self.lock();
        if index >= slots.entries.len() {
            slots.entries.resize_with(index + 1, || None);
        }
        let old = slots.entries[index].replace(FdEntry { file, cloexec });
        if slots.lowest == index {
            slots.lowest += 1;
        }
        Ok(old.map(|entry| entry.file))
    }

    /// Takes `fd` out of the table; the caller flushes and drops it.
    ///
    /// # Errors
    /// `EBADF` when it is not open.
    pub fn remove(&self, fd: Fd) -> Result<Arc<OpenFile>, Errno> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        let mut slots = self.lock();
        let entry = slots
            .entries
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)?;
        slots.lowest = slots.lowest.min(index);
        Ok(entry.file)
    }

    /// Takes every descriptor in `first..=last` out of the table.
    #[must_use = "descriptions are flushed by the caller"]
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Arc<OpenFile>> {
        let mut slots = self.lock();
        let Some((start, end)) = clamp(first, last, slots.entries.len()) else {
            return Vec::new();
        };
        slots.lowest = slots.lowest.min(start);
        slots.entries[start..end]
            .iter_mut()
            .filter_map(|e| Some(e.take()?.file))
            .collect()
    }

    /// Marks every descriptor in `first..=last` close-on-exec.
    pub fn set_cloexec_range(&self, first: u32, last: u32) {
        let mut slots = self.lock();
        if let Some((start, end)) = clamp(first, last, slots.entries.len()) {
            slots.entries[start..end]
                .iter_mut()
                .flatten()
                .for_each(|e| e.cloexec = true);
        }
    }

    /// Sets or clears close-on-exec.
    ///
    /// # Errors
    /// `EBADF` when it is not open.
    pub fn set_cloexec(&self, fd: Fd, cloexec: bool) -> Result<(), Errno> {
        let index = usize::try_from(fd.0).map_err(|_| Errno::EBADF)?;
        let mut slots = self.lock();
        let entry = slots
            .entries
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(Errno::EBADF)?;
        entry.cloexec = cloexec;
        Ok(())
    }

    /// Takes out what `execve` closes.
    #[must_use = "descriptions are flushed by the caller"]
    pub fn take_cloexec(&self) -> Vec<Arc<OpenFile>> {
        let mut slots = self.lock();
        let mut taken = Vec::new();
        for index in 0..slots.entries.len() {
            if slots.entries[index].as_ref().is_some_and(|e| e.cloexec) {
                taken.extend(slots.entries[index].take().map(|e| e.file));
                slots.lowest = slots.lowest.min(index);
            }
        }
        taken
    }

    /// A copy for a forked process: same descriptions, same numbers.
    #[must_use]
    pub fn fork(&self) -> Self {
        let slots = self.lock();
        let used = slots.entries.iter().rposition(Option::is_some);
        let copy = Slots {
            entries: slots.entries[..used.map_or(0, |last| last + 1)].to_vec(),
            lowest: slots.lowest,
        };
        Self::with(copy)
    }

    /// Every open number, ascending.
    #[must_use]
    pub fn numbers(&self) -> Vec<Fd> {
        let slots = self.lock();
        let open = slots
            .entries
            .iter()
            .enumerate()
            .filter(|(_, e)| e.is_some());
        open.filter_map(|(i, _)| i32::try_from(i).ok().map(Fd))
            .collect()
    }

    /// Size of the table: what `select` looks at, and `/proc/PID/status` shows. It
    /// grows with the highest number, never shrinks, and is cut to what is open by
    /// `fork` (Linux 6.12 `alloc_fdtable`, `sane_fdtable_size`).
    #[must_use]
    pub fn capacity(&self) -> usize {
        const FIRST: usize = 64;
        const STEP: usize = 128;
        match self.lock().entries.len() {
            0..=FIRST => FIRST,
            len => len.div_ceil(STEP).next_power_of_two() * STEP,
        }
    }
}

fn clamp(first: u32, last: u32, len: usize) -> Option<(usize, usize)> {
    let start = usize::try_from(first).ok()?;
    let end = usize::try_from(last).ok()?.saturating_add(1).min(len);
    (start < end).then_some((start, end))
}
