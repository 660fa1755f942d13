// SPDX-License-Identifier: GPL-2.0-only
//! Turns off a check that Unicorn makes after every load and store of the guest.
//!
//! The check lets `uc_emu_stop` end a run in the middle of a block. Nobody here asks
//! for that: runs are stopped from hooks at the start of a block, where Unicorn checks
//! anyway, because a stop in the middle of an atomic instruction runs it twice. The
//! switch is a private field; it is looked for by the values around it, and left alone
//! when they are not found exactly once: then the simulator is slower, nothing else.

use std::ffi::c_void;

/// The fields around the switch in `struct uc_struct` of the pinned version, as
/// distances from `target_page_size`.
const PAGE_MASK: usize = 4;
const HOST_PAGE: usize = 8;
const HOOK_INSERT: usize = 48;
const SWITCH: usize = 50;
const INIT_DONE: usize = 51;
const SPAN: usize = 52;

/// Sets the switch of an instance, if it is where it should be.
///
/// # Safety
/// `handle` is an initialised instance of Unicorn, whose pages have `page_size` bytes.
pub(crate) unsafe fn skip_checks_in_blocks(handle: *mut c_void, page_size: u32) -> bool {
    // SAFETY: an instance is one allocation of `malloc`.
    let size = unsafe { libc::malloc_usable_size(handle) };
    let base = handle.cast::<u8>();
    let word = |at: usize| {
        // SAFETY: callers below stay within the allocation.
        let field = unsafe { base.add(at) };
        // SAFETY: as above; fields of C structures are aligned by the scan's step.
        unsafe { field.cast::<u32>().read() }
    };
    let byte = |at: usize| word(at & !3) >> (at % 4 * 8) & 0xff;
    let is_there = |&at: &usize| {
        word(at) == page_size
            && word(at + PAGE_MASK) == page_size - 1
            && word(at + HOST_PAGE).is_power_of_two()
            && byte(at + HOOK_INSERT) == 0
            && byte(at + SWITCH) == 0
            && byte(at + INIT_DONE) == 1
    };
    let mut found = (0..size.saturating_sub(SPAN)).step_by(8).filter(is_there);
    let (Some(at), None) = (found.next(), found.next()) else {
        return false;
    };
    // SAFETY: within the allocation, and a `bool` of the instance, which is not running.
    let switch = unsafe { base.add(at + SWITCH) };
    // SAFETY: as above.
    unsafe { switch.write(1) };
    true
}
