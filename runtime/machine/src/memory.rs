// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest physical memory: frames of the slab, and windows on files.
//!
//! A page-table entry holds a physical address and stands for a reference to what is
//! there. [`Memory`] turns addresses into pages and back, and copies: a copy from a
//! window fails when its file has been cut short.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::host::code;
use crate::slab::{Frame, Slab};
use crate::window::{FilePage, Torn, Windows};
use crate::{Ipa, PAGE_SIZE};

/// A page that can be mapped.
#[derive(Clone, Debug)]
pub enum Page {
    /// Guest memory.
    Anon(Frame),
    /// Part of a host file, never writable.
    File(FilePage),
}

impl Page {
    /// A number that identifies the page while somebody holds it.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self {
            Self::Anon(frame) => frame.id(),
            Self::File(page) => page.ipa().0,
        }
    }

    /// Is it a page of a file that has been cut short?
    #[must_use]
    pub fn is_torn(&self) -> bool {
        matches!(self, Self::File(page) if page.is_torn())
    }

    /// Gives the reference to a page table.
    pub(crate) fn into_ipa(self) -> Ipa {
        match self {
            Self::Anon(frame) => frame.into_ipa(),
            Self::File(page) => page.into_ipa(),
        }
    }
}

/// What physical addresses are.
pub(crate) struct Memory {
    pub(crate) slab: Arc<Slab>,
    pub(crate) windows: Arc<Windows>,
}

impl Memory {
    /// A handle of the page at `ipa`, to which the caller holds a reference.
    pub(crate) fn share(&self, ipa: Ipa) -> Page {
        self.retain(ipa, 1);
        if self.windows.contains(ipa) {
            Page::File(FilePage::adopt(&self.windows, ipa))
        } else {
            Page::Anon(self.slab.adopt(ipa))
        }
    }

    /// Adds `count` references to the page at `ipa`, or to the window it is in.
    pub(crate) fn retain(&self, ipa: Ipa, count: u32) {
        if self.windows.contains(ipa) {
            self.windows.retain(ipa, count);
        } else {
            self.slab.retain(ipa, count);
        }
    }

    /// Takes a reference away.
    pub(crate) fn release(&self, ipa: Ipa) {
        if self.windows.contains(ipa) {
            self.windows.release(ipa);
        } else {
            self.slab.release(ipa);
        }
    }

    pub(crate) fn is_torn(&self, ipa: Ipa) -> bool {
        self.windows.contains(ipa) && self.windows.is_torn(ipa)
    }

    fn pointer(&self, ipa: Ipa) -> *mut u8 {
        if self.windows.contains(ipa) {
            self.windows.pointer(ipa)
        } else {
            self.slab.pointer(ipa)
        }
    }

    /// The page at `ipa` becomes executable.
    pub(crate) fn note_code(&self, ipa: Ipa) {
        if !self.windows.contains(ipa) {
            self.slab.note_code(ipa);
        } else if self.windows.note_code(ipa) {
            // SAFETY: a whole page of the region, which the windows keep mapped.
            unsafe { code::make_visible(self.windows.pointer(ipa), PAGE_SIZE) };
        }
    }

    /// The page at `ipa` may have been changed; those of files never are.
    pub(crate) fn code_changed(&self, ipa: Ipa) {
        if !self.windows.contains(ipa) {
            self.slab.code_changed(ipa);
        }
    }

    /// Copies out of the page at `ipa`.
    pub(crate) fn read(&self, ipa: Ipa, offset: usize, buf: &mut [u8]) -> Result<(), Torn> {
        check(offset, buf.len());
        // SAFETY: the offset is within the page.
        let from = unsafe { self.pointer(ipa).add(offset) };
        // SAFETY: the range is within the page, and `buf` is not guest memory.
        unsafe { std::ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), buf.len()) };
        self.intact(ipa)
    }

    /// Copies into the page at `ipa`, which is a frame: others cannot be writable.
    pub(crate) fn write(&self, ipa: Ipa, offset: usize, data: &[u8]) {
        check(offset, data.len());
        // SAFETY: the offset is within the page.
        let to = unsafe { self.slab.pointer(ipa).add(offset) };
        // SAFETY: the range is within the page, and `data` is not guest memory.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        self.slab.code_changed(ipa);
    }

    /// Uses an aligned word of the page at `ipa`.
    pub(crate) fn with_word<R>(
        &self,
        ipa: Ipa,
        offset: usize,
        f: impl FnOnce(&AtomicU32) -> R,
    ) -> Result<R, Torn> {
        check(offset, 4);
        assert!(offset.is_multiple_of(4), "an aligned word");
        // SAFETY: the offset is within the page.
        let at = unsafe { self.pointer(ipa).add(offset) };
        // SAFETY: aligned, and alive as long as the caller's reference to the page;
        // guest memory is only accessed as atomics and by pointer copies.
        let result = f(unsafe { AtomicU32::from_ptr(at.cast()) });
        self.intact(ipa).map(|()| result)
    }

    /// Was what has just been read there?
    fn intact(&self, ipa: Ipa) -> Result<(), Torn> {
        if self.is_torn(ipa) { Err(Torn) } else { Ok(()) }
    }
}

fn check(offset: usize, len: usize) {
    let fits = offset <= PAGE_SIZE && len <= PAGE_SIZE - offset;
    assert!(fits, "a copy within one page");
}
