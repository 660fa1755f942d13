// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host files that are cut short while they are mapped.
//!
//! Touching a page behind the end of a mapped file raises `SIGBUS` at whoever touches
//! it: one of our copies, or the simulator in the middle of a guest's instruction. The
//! handler puts a page of zeros there, so that the access ends, and counts a tear;
//! whoever copied asks afterwards whether what it has is real. There is one region, the
//! one of the machine's file windows. `SIGBUS` from elsewhere does what it did before.
//! On a Mac a guest's own access comes out of the hypervisor instead, as an abort.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, compiler_fence};

/// Windows of the region.
pub(crate) const SLOTS: usize = 1024;
/// Bytes of a window.
pub(crate) const SLOT_BYTES: usize = 16 << 20;
/// Bytes of the region.
pub(crate) const REGION_BYTES: usize = SLOTS * SLOT_BYTES;

/// Where the region is; 0 when there is none.
static REGION: AtomicUsize = AtomicUsize::new(0);
/// Windows that have a page of zeros in them.
static TORN: [AtomicBool; SLOTS] = [const { AtomicBool::new(false) }; SLOTS];
static TEARS: AtomicU64 = AtomicU64::new(0);
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static PAGE_BYTES: OnceLock<u64> = OnceLock::new();

thread_local! {
    /// Number and host address of the last tear that this thread made.
    static MINE: Cell<(u64, usize)> = const { Cell::new((0, 0)) };
}

/// The region is at `start` from now on. Answers whether it may be: there is one.
pub(crate) fn watch(start: usize) -> bool {
    if !is_handled() {
        return false;
    }
    REGION
        .compare_exchange(0, start, Ordering::SeqCst, Ordering::SeqCst)
        .is_ok()
}

/// There is no region any more.
pub(crate) fn forget() {
    REGION.store(0, Ordering::SeqCst);
    TORN.iter()
        .for_each(|slot| slot.store(false, Ordering::SeqCst));
}

/// Has a page of this window been replaced by zeros? Asked after a copy, it says
/// whether the bytes are the file's.
pub(crate) fn is_torn(slot: usize) -> bool {
    compiler_fence(Ordering::SeqCst);
    TORN[slot].load(Ordering::Acquire)
}

/// The window cannot be trusted.
pub(crate) fn mark(slot: usize) {
    if !TORN[slot].swap(true, Ordering::SeqCst) {
        TEARS.fetch_add(1, Ordering::SeqCst);
    }
}

/// Another file is in this window.
pub(crate) fn mend(slot: usize) {
    TORN[slot].store(false, Ordering::SeqCst);
}

/// How many there have been.
pub(crate) fn count() -> u64 {
    TEARS.load(Ordering::SeqCst)
}

/// The host address at which this thread made one after the first `seen`.
pub(crate) fn mine_since(seen: u64) -> Option<usize> {
    let (number, at) = MINE.get();
    (number > seen).then_some(at)
}

/// Installs the handler, once; is it there?
fn is_handled() -> bool {
    // SAFETY: asks for a number.
    PAGE_BYTES.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.unsigned_abs());
    let mut is_ours = PREVIOUS.get().is_some();
    PREVIOUS.get_or_init(|| {
        // SAFETY: an action without handler, flags or mask is all zeros.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_bus as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: as above, and overwritten by the call.
        let mut previous: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: both are actions; the handler calls what signal handlers may.
        let done = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut previous) };
        is_ours = done == 0;
        previous
    });
    is_ours
}

/// `SIGBUS`. The thread-local needs no memory of its own: it is constant at first and
/// has nothing to drop.
extern "C" fn on_bus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel passes the signal's description.
    let info = unsafe { &*info };
    // SAFETY: `SIGBUS` is a signal with an address.
    let at = unsafe { info.si_addr() }.addr();
    let start = REGION.load(Ordering::SeqCst);
    let offset = at.wrapping_sub(start);
    if start != 0 && offset < REGION_BYTES && replace(at) {
        TORN[offset / SLOT_BYTES].store(true, Ordering::SeqCst);
        MINE.set((TEARS.fetch_add(1, Ordering::SeqCst) + 1, at));
        return;
    }
    if let Some(previous) = PREVIOUS.get() {
        // SAFETY: the action that was there; the access faults again and meets it.
        unsafe { libc::sigaction(signal, previous, std::ptr::null_mut()) };
    }
    if info.si_code <= 0 {
        // SAFETY: nothing faults again for a signal that somebody sent.
        unsafe { libc::raise(signal) };
    }
}

/// Puts zeros at the host page of `at`, which is in the region.
fn replace(at: usize) -> bool {
    let Some(bytes) = PAGE_BYTES.get().and_then(|&n| usize::try_from(n).ok()) else {
        return false;
    };
    let page = std::ptr::with_exposed_provenance_mut::<c_void>(at & !(bytes - 1));
    let kind = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_ANON;
    // SAFETY: within the region, which is all ours.
    let got = unsafe { libc::mmap(page, bytes, libc::PROT_READ, kind, -1, 0) };
    got == page
}
