// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest memory: one slab of host memory, cut into frames with reference counts.
//!
//! The slab is anonymous host memory, mapped once into the virtual machine. Nothing
//! in Rust ever holds a reference into it: the guest writes it at any time, so it is
//! only copied to and from by pointer, or accessed as atomics. A frame whose last
//! reference goes returns to the free list; fresh memory is used only when the list
//! is empty, so what a guest never touched costs nothing.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::addr::SLAB_BASE;
use crate::host::code;
use crate::{Ipa, PAGE_SIZE};

/// No frame is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of guest memory")]
pub struct OutOfMemory;

#[derive(Default)]
struct FreeList {
    /// Frames from here on were never used and hold zeros.
    fresh: u32,
    free: Vec<u32>,
}

/// Called when no frame is left, with whatever locks the one who wants it holds: it
/// may wait for none and allocate nothing.
pub type Reclaim = Box<dyn Fn() + Send + Sync>;

/// All of guest memory.
pub(crate) struct Slab {
    base: NonNull<u8>,
    frames: u32,
    refs: Box<[AtomicU32]>,
    free: Mutex<FreeList>,
    in_use: AtomicUsize,
    /// Lets go of frames that can be had again.
    reclaim: OnceLock<Reclaim>,
    /// Frames that have been executable since they were allocated.
    is_code: Box<[AtomicBool]>,
    /// Counts changes of such frames.
    code_epoch: AtomicU64,
}

// SAFETY: the slab is reached by pointer copies and atomics only.
unsafe impl Send for Slab {}
// SAFETY: as above; bookkeeping is behind a mutex and atomics.
unsafe impl Sync for Slab {}

impl Slab {
    pub(crate) fn new(bytes: u64) -> std::io::Result<Arc<Self>> {
        let frames = u32::try_from(bytes / 4096).unwrap_or(u32::MAX);
        let len = usize::try_from(bytes).map_err(std::io::Error::other)?;
        // SAFETY: a fresh private mapping at an address that the host chooses.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                len,
                rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
                rustix::mm::MapFlags::PRIVATE,
            )
        }?;
        let base =
            NonNull::new(base.cast()).ok_or_else(|| std::io::Error::other("null mapping"))?;
        let refs = (0..frames).map(|_| AtomicU32::new(0)).collect();
        Ok(Arc::new(Self {
            base,
            frames,
            refs,
            free: Mutex::default(),
            in_use: AtomicUsize::new(0),
            reclaim: OnceLock::new(),
            is_code: (0..frames).map(|_| AtomicBool::new(false)).collect(),
            code_epoch: AtomicU64::new(1),
        }))
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.frames).unwrap_or(0) * PAGE_SIZE
    }

    pub(crate) fn frames(&self) -> usize {
        usize::try_from(self.frames).unwrap_or(0)
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Frames that were in use at the same time, at most: fresh ones are taken only
    /// when no other is free.
    pub(crate) fn peak(&self) -> usize {
        let list = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        slot(list.fresh)
    }

    /// What is at some physical address besides frames is another thing now.
    pub(crate) fn new_code_epoch(&self) {
        self.code_epoch.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn code_epoch(&self) -> u64 {
        self.code_epoch.load(Ordering::SeqCst)
    }

    /// The frame at `ipa` becomes executable. What the host wrote there before is made
    /// visible to instruction fetches.
    pub(crate) fn note_code(&self, ipa: Ipa) {
        if !self.is_code[slot(index_of(ipa))].swap(true, Ordering::SeqCst) {
            // SAFETY: a whole frame of the slab, which `self` keeps mapped.
            unsafe { code::make_visible(self.pointer(ipa), PAGE_SIZE) };
        }
    }

    /// A frame that may be in instruction caches, or in a simulator's translations, is
    /// changed by the host, or was open to the guest's own writes.
    pub(crate) fn code_changed(&self, ipa: Ipa) {
        if self.is_code[slot(index_of(ipa))].load(Ordering::SeqCst) {
            // SAFETY: as in `note_code`.
            unsafe { code::make_visible(self.pointer(ipa), PAGE_SIZE) };
            self.code_epoch.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn set_reclaim(&self, reclaim: Reclaim) {
        // The first one stays: there is one kernel.
        let _ = self.reclaim.set(reclaim);
    }

    /// The index of a frame that nobody has, and whether nobody ever had it.
    fn take(&self) -> Option<(u32, bool)> {
        let mut list = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        match list.free.pop() {
            Some(index) => Some((index, false)),
            None if list.fresh < self.frames => {
                list.fresh += 1;
                Some((list.fresh - 1, true))
            }
            None => None,
        }
    }

    pub(crate) fn alloc(self: &Arc<Self>) -> Result<Frame, OutOfMemory> {
        let again = || {
            self.reclaim.get()?();
            self.take()
        };
        let (index, is_fresh) = self.take().or_else(again).ok_or(OutOfMemory)?;
        self.in_use.fetch_add(1, Ordering::Relaxed);
        self.refs[slot(index)].store(1, Ordering::Relaxed);
        let frame = Frame {
            slab: Arc::clone(self),
            index,
        };
        if self.is_code[slot(index)].swap(false, Ordering::SeqCst) {
            self.code_epoch.fetch_add(1, Ordering::SeqCst);
        }
        if !is_fresh {
            // SAFETY: the frame is ours alone and 4096 bytes long.
            unsafe { std::ptr::write_bytes(frame.pointer(), 0, PAGE_SIZE) };
        }
        Ok(frame)
    }

    /// Takes a reference to the frame at `ipa` away.
    pub(crate) fn release(&self, ipa: Ipa) {
        let index = index_of(ipa);
        if self.refs[slot(index)].fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .free
            .push(index);
    }

    /// A handle that takes over a reference.
    pub(crate) fn adopt(self: &Arc<Self>, ipa: Ipa) -> Frame {
        Frame {
            slab: Arc::clone(self),
            index: index_of(ipa),
        }
    }

    /// Adds `count` references to the frame at `ipa`, to which there is one.
    pub(crate) fn retain(&self, ipa: Ipa, count: u32) {
        self.refs[slot(index_of(ipa))].fetch_add(count, Ordering::Relaxed);
    }

    /// Host pointer to a physical address of the slab.
    pub(crate) fn pointer(&self, ipa: Ipa) -> *mut u8 {
        let offset = usize::try_from(ipa.0 - SLAB_BASE).unwrap_or(usize::MAX);
        assert!(
            offset < self.len(),
            "physical address {:#x} is not memory",
            ipa.0
        );
        // SAFETY: the offset is within the mapping.
        unsafe { self.base().add(offset) }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the slab any more: frames hold it alive.
        let unmapped = unsafe { rustix::mm::munmap(self.base().cast(), self.len()) };
        debug_assert!(unmapped.is_ok());
    }
}

fn slot(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn index_of(ipa: Ipa) -> u32 {
    u32::try_from((ipa.0 - SLAB_BASE) / 4096).unwrap_or(u32::MAX)
}

/// A counted reference to 4 KiB of guest memory.
pub struct Frame {
    slab: Arc<Slab>,
    index: u32,
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        self.slab.retain(self.ipa(), 1);
        self.slab.adopt(self.ipa())
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.slab.release(self.ipa());
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({:#x})", self.ipa().0)
    }
}

impl Frame {
    pub(crate) fn ipa(&self) -> Ipa {
        Ipa(SLAB_BASE + u64::from(self.index) * 4096)
    }

    /// Gives the reference to a page table, which holds it as an address.
    pub(crate) fn into_ipa(self) -> Ipa {
        let ipa = self.ipa();
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the frame is not dropped; its handle of the slab is given back here.
        drop(unsafe { std::ptr::read(&raw const this.slab) });
        ipa
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        self.slab.pointer(self.ipa())
    }

    /// References to it: handles and page-table entries.
    #[must_use]
    pub fn references(&self) -> usize {
        let refs = self.slab.refs[slot(self.index)].load(Ordering::Acquire);
        usize::try_from(refs).unwrap_or(usize::MAX)
    }

    /// Is this handle the only reference?
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.references() == 1
    }

    /// A number that identifies the frame while somebody holds it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.ipa().0
    }

    /// Copies out of the frame.
    ///
    /// # Panics
    /// When the range is not within the frame.
    pub fn read(&self, offset: usize, buf: &mut [u8]) {
        assert!(
            offset <= PAGE_SIZE && buf.len() <= PAGE_SIZE - offset,
            "read within the frame"
        );
        // SAFETY: the offset is within the frame.
        let from = unsafe { self.pointer().add(offset) };
        // SAFETY: the range is within the frame, and `buf` is not guest memory.
        unsafe { std::ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), buf.len()) };
    }

    /// Copies into the frame.
    ///
    /// # Panics
    /// When the range is not within the frame.
    pub fn write(&self, offset: usize, data: &[u8]) {
        assert!(
            offset <= PAGE_SIZE && data.len() <= PAGE_SIZE - offset,
            "write within the frame"
        );
        // SAFETY: the offset is within the frame.
        let to = unsafe { self.pointer().add(offset) };
        // SAFETY: the range is within the frame, and `data` is not guest memory.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        self.slab.code_changed(self.ipa());
    }

    /// Copies a whole frame.
    pub fn copy_from(&self, other: &Self) {
        // SAFETY: both are frames; two handles of one frame overlap exactly, which
        // `copy` allows.
        unsafe { std::ptr::copy(other.pointer(), self.pointer(), PAGE_SIZE) };
        self.slab.code_changed(self.ipa());
    }

    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset.is_multiple_of(4) && offset < PAGE_SIZE,
            "an aligned word within the frame"
        );
        // SAFETY: the offset is within the frame.
        let at = unsafe { self.pointer().add(offset) };
        // SAFETY: aligned, alive as long as the frame; guest memory is only accessed as
        // atomics and by pointer copies.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    pub(crate) fn long(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(8) && offset < PAGE_SIZE,
            "an aligned word within the frame"
        );
        // SAFETY: the offset is within the frame.
        let at = unsafe { self.pointer().add(offset) };
        // SAFETY: as in `word`.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }
}
