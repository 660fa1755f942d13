// SPDX-License-Identifier: MIT OR Apache-2.0
//! Windows: files of the host as guest physical memory.
//!
//! A window shows up to 16 MiB of a file that nobody is expected to change, read-only,
//! at physical addresses of its own behind guest memory. The host's page cache is then
//! the guest's: text is there once, whoever runs it, and costs no frame. Windows lie in
//! one region of host addresses, so that host and physical address follow from each
//! other, and [`crate::host::tear`] knows which accesses may meet the end of a file.
//! What refers to a page of a window counts as a reference to the window. One that
//! nobody refers to makes room when all are taken. Locks: one, a leaf.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::mm::{MapFlags, ProtFlags};

use crate::host::tear::{self, REGION_BYTES, SLOT_BYTES, SLOTS};
use crate::hv::{HvPerms, Vm};
use crate::slab::Frame;
use crate::{Ipa, PAGE_SIZE};

/// Bytes of a file that one window shows, at most; where it begins in the file is a
/// multiple of it.
pub const WINDOW_BYTES: u64 = 16 << 20;
const _: () = assert!(SLOT_BYTES == 16 << 20);
const SLOT_PAGES: usize = SLOT_BYTES / PAGE_SIZE;
/// Unit of the hypervisor's mappings.
const GRANULE: usize = 16 * 1024;

/// There is no window for the file: its pages must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("map a window on a file: no room, or the host refuses")]
pub struct NoWindow;

/// The file ended before a page that was to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file behind a page was cut short")]
pub struct Torn;

#[derive(Default)]
struct Slot {
    /// Page-table entries and handles.
    refs: AtomicU32,
    /// Pages that have been executable, a bit each.
    code: OnceLock<Box<[AtomicU64]>>,
}

/// The file in a window.
struct Tenant {
    /// Tells it from others that were or will be there.
    number: u64,
    /// Bytes that are mapped.
    len: usize,
    /// When a page of it was last asked for.
    used: u64,
}

#[derive(Default)]
struct State {
    tenants: Vec<Option<Tenant>>,
    /// Counts tenants and uses.
    last: u64,
    /// The host has no room for the region, or the hypervisor does not map files.
    is_refused: bool,
}

/// All windows of a machine.
pub(crate) struct Windows {
    /// Physical address of the first.
    first: u64,
    slots: Box<[Slot]>,
    region: OnceLock<NonNull<u8>>,
    is_watched: AtomicBool,
    state: Mutex<State>,
}

// SAFETY: the region is reached by pointer copies and atomics only.
unsafe impl Send for Windows {}
// SAFETY: as above; bookkeeping is behind a mutex and atomics.
unsafe impl Sync for Windows {}

impl Windows {
    /// None yet; guest memory ends at `end`.
    pub(crate) fn new(end: u64) -> Arc<Self> {
        Arc::new(Self {
            first: end.next_multiple_of(1 << 30),
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            region: OnceLock::new(),
            is_watched: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is there a window at `ipa`, and not guest memory?
    pub(crate) fn contains(&self, ipa: Ipa) -> bool {
        ipa.0 >= self.first
    }

    fn slot_of(&self, ipa: Ipa) -> usize {
        usize::try_from((ipa.0 - self.first) / WINDOW_BYTES).unwrap_or(usize::MAX)
    }

    fn ipa_of(&self, slot: usize) -> Ipa {
        Ipa(self.first + u64::try_from(slot).unwrap_or(0) * WINDOW_BYTES)
    }

    /// Windows that there are.
    pub(crate) fn in_use(&self) -> usize {
        self.lock().tenants.iter().flatten().count()
    }

    /// Host pointer to a physical address of a window.
    pub(crate) fn pointer(&self, ipa: Ipa) -> *mut u8 {
        let offset = usize::try_from(ipa.0 - self.first).unwrap_or(usize::MAX);
        let region = self.region.get().expect("windows have a region");
        assert!(offset < REGION_BYTES, "{:#x} is no window", ipa.0);
        // SAFETY: the offset is within the region.
        unsafe { region.as_ptr().add(offset) }
    }

    /// The physical address behind a host address of the region.
    pub(crate) fn ipa_at(&self, host: usize) -> Option<Ipa> {
        let start = self.region.get()?.as_ptr().addr();
        let offset = host.checked_sub(start).filter(|&n| n < REGION_BYTES)?;
        let page = offset / PAGE_SIZE * PAGE_SIZE;
        Some(Ipa(self.first + u64::try_from(page).ok()?))
    }

    pub(crate) fn is_torn(&self, ipa: Ipa) -> bool {
        tear::is_torn(self.slot_of(ipa))
    }

    pub(crate) fn mark_torn(&self, ipa: Ipa) {
        tear::mark(self.slot_of(ipa));
    }

    /// Adds `count` references to the window at `ipa`, to which there is one.
    pub(crate) fn retain(&self, ipa: Ipa, count: u32) {
        self.slots[self.slot_of(ipa)]
            .refs
            .fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, ipa: Ipa) {
        self.slots[self.slot_of(ipa)]
            .refs
            .fetch_sub(1, Ordering::Release);
    }

    /// The page at `ipa` becomes executable; answers whether it never was.
    pub(crate) fn note_code(&self, ipa: Ipa) -> bool {
        let make = || (0..SLOT_PAGES / 64).map(|_| AtomicU64::new(0)).collect();
        let page = usize::try_from((ipa.0 - self.first) % WINDOW_BYTES).unwrap_or(0) / PAGE_SIZE;
        let words = self.slots[self.slot_of(ipa)].code.get_or_init(make);
        words[page / 64].fetch_or(1 << (page % 64), Ordering::SeqCst) & 1 << (page % 64) == 0
    }

    /// Reserves the host addresses.
    fn region(&self) -> Result<NonNull<u8>, NoWindow> {
        if let Some(&region) = self.region.get() {
            return Ok(region);
        }
        let null = std::ptr::null_mut();
        // SAFETY: a fresh mapping at an address that the host chooses.
        let made = unsafe {
            rustix::mm::mmap_anonymous(null, REGION_BYTES, ProtFlags::empty(), MapFlags::PRIVATE)
        };
        let base = made.ok().and_then(|base| NonNull::new(base.cast::<u8>()));
        let base = base.ok_or(NoWindow)?;
        if !tear::watch(base.as_ptr().expose_provenance()) {
            // SAFETY: made above, used by nobody.
            let _ = unsafe { rustix::mm::munmap(base.as_ptr().cast(), REGION_BYTES) };
            return Err(NoWindow);
        }
        self.is_watched.store(true, Ordering::SeqCst);
        Ok(*self.region.get_or_init(|| base))
    }

    /// Shows `len` bytes of a file from `offset` on. The second answer says whether
    /// another file was there before.
    pub(crate) fn open(
        self: &Arc<Self>,
        vm: &dyn Vm,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Result<(FileWindow, bool), NoWindow> {
        let len = usize::try_from(len.min(WINDOW_BYTES)).map_err(|_| NoWindow)?;
        if len == 0 || !offset.is_multiple_of(WINDOW_BYTES) {
            return Err(NoWindow);
        }
        let mut state = self.lock();
        if state.is_refused {
            return Err(NoWindow);
        }
        if self.region().is_err() {
            state.is_refused = true;
            return Err(NoWindow);
        }
        let (slot, was_used) = self.make_room(&mut state, vm).ok_or(NoWindow)?;
        let mapped = len.next_multiple_of(GRANULE);
        self.fill(slot, vm, file, offset, mapped).inspect_err(|_| {
            // Not the file's fault if no other could be mapped: do not ask again.
            state.is_refused |= state.tenants.is_empty();
        })?;
        state.last += 1;
        let (number, used) = (state.last, state.last);
        let tenant = Some(Tenant {
            number,
            len: mapped,
            used,
        });
        match state.tenants.get_mut(slot) {
            Some(place) => *place = tenant,
            None => state.tenants.push(tenant),
        }
        let window = FileWindow {
            windows: Arc::clone(self),
            slot,
            number,
            pages: len.div_ceil(PAGE_SIZE),
        };
        Ok((window, was_used))
    }

    /// A slot with nothing in it, and whether something was.
    fn make_room(&self, state: &mut State, vm: &dyn Vm) -> Option<(usize, bool)> {
        if let Some(gap) = state.tenants.iter().position(Option::is_none) {
            return Some((gap, true));
        }
        if state.tenants.len() < SLOTS {
            return Some((state.tenants.len(), false));
        }
        let is_free = |slot: usize| self.slots[slot].refs.load(Ordering::Acquire) == 0;
        let tenants = state.tenants.iter().enumerate();
        let idle = tenants.filter_map(|(slot, tenant)| Some((tenant.as_ref()?.used, slot)));
        let (_, slot) = idle.filter(|&(_, slot)| is_free(slot)).min()?;
        fence(Ordering::Acquire);
        let tenant = state.tenants[slot].take()?;
        self.empty(slot, vm, tenant.len).then_some((slot, true))
    }

    /// Maps the file on the host and in the machine.
    fn fill(
        &self,
        slot: usize,
        vm: &dyn Vm,
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
    ) -> Result<(), NoWindow> {
        let ipa = self.ipa_of(slot);
        let at = self.pointer(ipa);
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the slot is within the region and has no tenant.
        unsafe { rustix::mm::mmap(at.cast(), len, ProtFlags::READ, flags, file, offset) }
            .map_err(|_| NoWindow)?;
        tear::mend(slot);
        // SAFETY: the memory stays until `empty` takes it from the machine.
        if unsafe { vm.map(at, ipa, len, HvPerms::READ | HvPerms::EXEC) }.is_ok() {
            return Ok(());
        }
        self.reserve(slot);
        Err(NoWindow)
    }

    /// Takes the window from the machine and from the host.
    fn empty(&self, slot: usize, vm: &dyn Vm, len: usize) -> bool {
        let is_out = vm.unmap(self.ipa_of(slot), len).is_ok();
        if is_out {
            self.reserve(slot);
        }
        if let Some(code) = self.slots[slot].code.get() {
            code.iter().for_each(|word| word.store(0, Ordering::SeqCst));
        }
        is_out
    }

    /// Nothing is at the host addresses of a slot, but they stay ours.
    fn reserve(&self, slot: usize) {
        let at = self.pointer(self.ipa_of(slot));
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: the slot is within the region; nobody refers to what was there.
        let done =
            unsafe { rustix::mm::mmap_anonymous(at.cast(), SLOT_BYTES, ProtFlags::empty(), flags) };
        debug_assert!(done.is_ok());
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if self.is_watched.load(Ordering::SeqCst) {
            tear::forget();
        }
        if let Some(region) = self.region.get() {
            // SAFETY: nothing refers to windows any more: pages hold them alive.
            let done = unsafe { rustix::mm::munmap(region.as_ptr().cast(), REGION_BYTES) };
            debug_assert!(done.is_ok());
        }
    }
}

/// Part of a file, for as long as its place is not needed for another.
pub struct FileWindow {
    windows: Arc<Windows>,
    slot: usize,
    number: u64,
    pages: usize,
}

impl FileWindow {
    /// Has the file been cut short, or could the machine not use it?
    #[must_use]
    pub fn is_torn(&self) -> bool {
        let state = self.windows.lock();
        let tenant = state.tenants.get(self.slot).and_then(Option::as_ref);
        tenant.is_some_and(|tenant| tenant.number == self.number) && tear::is_torn(self.slot)
    }

    /// A page of it; `None` when the window is another file's by now, or torn.
    #[must_use]
    pub fn page(&self, index: usize) -> Option<FilePage> {
        if index >= self.pages {
            return None;
        }
        let mut state = self.windows.lock();
        state.last += 1;
        let now = state.last;
        let tenant = state.tenants.get_mut(self.slot)?.as_mut()?;
        if tenant.number != self.number || tear::is_torn(self.slot) {
            return None;
        }
        tenant.used = now;
        let start = self.windows.ipa_of(self.slot).0;
        let ipa = Ipa(start + u64::try_from(index * PAGE_SIZE).ok()?);
        self.windows.retain(ipa, 1);
        Some(FilePage {
            windows: Arc::clone(&self.windows),
            ipa,
            after: self.pages - index,
        })
    }
}

/// A counted reference to a page of a window. It cannot be written.
pub struct FilePage {
    windows: Arc<Windows>,
    ipa: Ipa,
    /// Pages of the window from this one on, as far as known.
    after: usize,
}

impl FilePage {
    /// A page to which the caller's reference goes.
    pub(crate) fn adopt(windows: &Arc<Windows>, ipa: Ipa) -> Self {
        Self {
            windows: Arc::clone(windows),
            ipa,
            after: 1,
        }
    }

    pub(crate) fn ipa(&self) -> Ipa {
        self.ipa
    }

    /// Gives the reference to a page table, which holds it as an address.
    pub(crate) fn into_ipa(self) -> Ipa {
        let ipa = self.ipa;
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the page is not dropped; its handle of the windows is given back here.
        drop(unsafe { std::ptr::read(&raw const this.windows) });
        ipa
    }

    /// Pages of the file that follow each other in memory, this one included.
    #[must_use]
    pub fn run(&self) -> usize {
        self.after
    }

    /// Has the file been cut short? Then the page may show zeros instead of bytes.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.windows.is_torn(self.ipa)
    }

    /// Copies the page to a frame.
    ///
    /// # Errors
    /// [`Torn`]; the frame then holds anything.
    pub fn copy_to(&self, frame: &Frame) -> Result<(), Torn> {
        let from = self.windows.pointer(self.ipa);
        // SAFETY: a page of the region; a frame of guest memory is elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(from, frame.pointer(), PAGE_SIZE) };
        if self.is_torn() { Err(Torn) } else { Ok(()) }
    }
}

impl Clone for FilePage {
    fn clone(&self) -> Self {
        self.windows.retain(self.ipa, 1);
        Self {
            windows: Arc::clone(&self.windows),
            ..*self
        }
    }
}

impl Drop for FilePage {
    fn drop(&mut self) {
        self.windows.release(self.ipa);
    }
}

impl std::fmt::Debug for FilePage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FilePage({:#x})", self.ipa.0)
    }
}
