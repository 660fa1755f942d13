// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--strace`: what a program asked and what it got, in the format of `strace`.
//!
//! Lines go to the host's standard error, one write each. The reason of a refusal
//! ([`refuse!`](crate::refuse)) travels in a thread-local from the place that
//! refuses to the end of the system call, which happens in the same poll.

use std::cell::Cell;

thread_local! {
    static REFUSAL: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Remembers why the current system call is refused.
pub fn note_refusal(why: &'static str) {
    REFUSAL.set(Some(why));
}

/// Takes the reason of the last refusal.
#[must_use]
pub fn take_refusal() -> Option<&'static str> {
    REFUSAL.take()
}
