// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals of the host: one thread waits for them, all others have them blocked,
//! because a signal that arrives in a thread with a virtual processor would end
//! its run with no reason given (docs/hvf.md 1.8).
//!
//! [`block`] must be called before other threads are started; [`Pending::forward`]
//! starts the thread that waits.

use std::io;
use std::mem::MaybeUninit;

use linux_abi::signal as linux;

/// A signal that concerns the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// For the guest's first program, by Linux's number.
    Guest(i32),
    /// The window has another size.
    Window,
    /// The program goes on after it was stopped.
    Continued,
}

/// The host's signals and what they are; numbers differ between systems.
const SIGNALS: [(libc::c_int, Signal); 8] = [
    (libc::SIGHUP, Signal::Guest(linux::SIGHUP)),
    (libc::SIGINT, Signal::Guest(linux::SIGINT)),
    (libc::SIGQUIT, Signal::Guest(linux::SIGQUIT)),
    (libc::SIGTERM, Signal::Guest(linux::SIGTERM)),
    (libc::SIGUSR1, Signal::Guest(linux::SIGUSR1)),
    (libc::SIGUSR2, Signal::Guest(linux::SIGUSR2)),
    (libc::SIGWINCH, Signal::Window),
    (libc::SIGCONT, Signal::Continued),
];

/// The signals are blocked and wait to be taken.
pub(crate) struct Pending(libc::sigset_t);

/// Blocks the signals in this thread and those it will start.
pub(crate) fn block() -> io::Result<Pending> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for (number, _) in SIGNALS {
        // SAFETY: the set is initialised and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    // SAFETY: reads the set; the old mask is not asked for.
    let error =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    match error {
        0 => Ok(Pending(set)),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

impl Pending {
    /// Calls `handle` for every signal, in a thread of its own, until the program
    /// ends.
    pub(crate) fn forward(self, handle: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
        let wait = move || {
            loop {
                let mut number = 0;
                // SAFETY: the set is initialised; one number is written.
                let error = unsafe { libc::sigwait(&raw const self.0, &raw mut number) };
                let known = SIGNALS.iter().find(|(host, _)| *host == number);
                if let (0, Some((_, signal))) = (error, known) {
                    handle(*signal);
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(wait).map(drop)
    }
}
