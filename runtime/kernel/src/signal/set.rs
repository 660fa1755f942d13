// SPDX-License-Identifier: MIT OR Apache-2.0
//! A set of signals, as `sigset_t` has it: bit 0 is signal 1.

use std::ops::{BitAnd, BitOr, Not};

use linux_abi::signal::{
    SIGBUS, SIGCONT, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP, SIGTSTP, SIGTTIN,
    SIGTTOU,
};

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Signals that cannot be blocked.
    pub const UNBLOCKABLE: Self = Self::of(&[SIGKILL, SIGSTOP]);
    /// Signals that stop by default.
    pub const STOPS: Self = Self::of(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
    /// `SIGCONT`.
    pub const CONT: Self = Self::of(&[SIGCONT]);
    /// Signals caused by the program itself: taken first.
    pub const SYNCHRONOUS: Self = Self::of(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]);

    /// The set of the given signals.
    #[must_use]
    pub const fn of(signals: &[i32]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < signals.len() {
            bits |= 1 << (signals[at] - 1);
            at += 1;
        }
        Self(bits)
    }

    /// Does it contain `signal`?
    #[must_use]
    pub const fn has(self, signal: i32) -> bool {
        signal >= 1 && signal <= 64 && self.0 & (1 << (signal - 1)) != 0
    }

    /// Adds a signal.
    pub fn add(&mut self, signal: i32) {
        *self = *self | Self::of(&[signal]);
    }

    /// Removes a signal.
    pub fn remove(&mut self, signal: i32) {
        *self = *self & !Self::of(&[signal]);
    }

    /// Is it empty?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest signal of the set.
    #[must_use]
    pub fn lowest(self) -> Option<i32> {
        (!self.is_empty()).then(|| i32::try_from(self.0.trailing_zeros()).map_or(0, |n| n + 1))
    }
}

impl BitAnd for SigSet {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for SigSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for SigSet {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}
