// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals: queues, masks, actions, and what happens next.
//!
//! [`Signals`] is the state of a process under one lock (rank [`Rank::Signals`]):
//! the shared queue and one [`ThreadSignals`] per thread. Sending chooses a thread
//! and interrupts it; the thread takes its signals itself, between the guest and
//! the kernel ([`Signals::next`]), or through `sigtimedwait` and `signalfd`
//! ([`Signals::take`]). Linux 6.12 `kernel/signal.c`.

mod actions;
pub mod frame;
mod queue;
mod set;
mod state;

pub use actions::Actions;
pub use queue::Pending;
pub use set::SigSet;
pub use state::{Next, Notify, Signals, StopChange, Target, ThreadSignals};

use linux_abi::signal::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SIGXCPU, SIGXFSZ,
};

/// What a signal does when the program did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process ends.
    End {
        /// A core would be written.
        dumps_core: bool,
    },
}

/// The default action of a signal.
#[must_use]
pub const fn default_action(signal: i32) -> Default {
    match signal {
        SIGCHLD | SIGCONT | SIGURG | SIGWINCH => Default::Ignore,
        SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU => Default::Stop,
        SIGQUIT | SIGILL | SIGTRAP | SIGABRT | SIGFPE | SIGSEGV | SIGBUS | SIGSYS | SIGXCPU
        | SIGXFSZ => Default::End { dumps_core: true },
        _ => Default::End { dumps_core: false },
    }
}

/// Is the number that of a signal?
#[must_use]
pub const fn is_signal(number: i32) -> bool {
    number >= 1 && number <= linux_abi::signal::NSIG
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
