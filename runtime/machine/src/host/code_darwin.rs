// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instruction caches on a Mac, where guest and host share them.

unsafe extern "C" {
    /// `libkern/OSCacheControl.h`: cleans data and invalidates instructions, for all
    /// processors.
    fn sys_icache_invalidate(start: *mut std::ffi::c_void, len: usize);
}

/// Makes instructions that were written as data visible to fetches.
///
/// # Safety
/// The range is mapped and readable.
pub(crate) unsafe fn make_visible(start: *mut u8, len: usize) {
    // SAFETY: the caller promises a mapped range; the call changes no memory.
    unsafe { sys_icache_invalidate(start.cast(), len) };
}
