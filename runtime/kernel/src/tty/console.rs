// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's terminal as a guest terminal.
//!
//! The host's terminal is in raw mode; everything a line discipline does is done
//! here. The host side calls [`Console::received`] with what was typed,
//! [`Console::resized`] when the window changed, and is asked to show output
//! through [`HostScreen`]. Nothing here waits: a screen that is full says so and
//! calls [`Console::pump`] when there is room again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use linux_abi::stat::make_dev;
use linux_abi::termios::Winsize;

use super::pty::SlaveCount;
use super::{Groups, Tty, TtyFile};
use crate::file::File;
use crate::wait::{Subscription, Wakeable};

/// Where output is shown.
pub trait HostScreen: Send + Sync {
    /// Shows a prefix of `bytes` without waiting and says how much. When it is
    /// not all, [`Console::pump`] is called later.
    fn show(&self, bytes: &[u8]) -> usize;
}

/// Bytes shown at a time.
const CHUNK: usize = 4096;

/// The host's terminal.
pub struct Console {
    tty: Arc<Tty>,
    screen: Arc<dyn HostScreen>,
    slaves: Arc<AtomicUsize>,
    /// Input that the line discipline had no room for.
    pending: Mutex<Vec<u8>>,
    /// Held while output is shown, so that its order is kept.
    showing: Mutex<()>,
    subscription: Mutex<Option<Subscription>>,
}

struct Pump(Weak<Console>);

impl Wakeable for Pump {
    fn wake(&self) {
        if let Some(console) = self.0.upgrade() {
            console.pump();
        }
    }
}

impl Console {
    /// A console that shows its output on `screen`.
    #[must_use]
    pub fn new(groups: Arc<dyn Groups>, screen: Arc<dyn HostScreen>, window: Winsize) -> Arc<Self> {
        let tty = Tty::new("console".to_owned(), make_dev(5, 1), groups);
        tty.set_window(window);
        Self::over(tty, screen)
    }

    /// Shows a terminal that is opened elsewhere: the master side of a pty.
    #[must_use]
    pub fn over(tty: Arc<Tty>, screen: Arc<dyn HostScreen>) -> Arc<Self> {
        let console = Arc::new(Self {
            tty,
            screen,
            slaves: Arc::new(AtomicUsize::new(0)),
            pending: Mutex::default(),
            showing: Mutex::new(()),
            subscription: Mutex::default(),
        });
        let pump = Arc::new(Pump(Arc::downgrade(&console)));
        let subscription = console.tty.other_side().subscribe(pump);
        *console
            .subscription
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(subscription);
        console
    }

    /// The terminal.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    /// Opens the terminal.
    #[must_use]
    pub fn open(&self) -> Arc<dyn File> {
        let count = SlaveCount::new(&self.slaves, &self.tty);
        Arc::new(TtyFile::new(self.tty.clone(), count))
    }

    /// Number of open descriptors.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.slaves.load(Ordering::Relaxed)
    }

    /// The user typed.
    pub fn received(&self, bytes: &[u8]) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        self.deliver();
    }

    /// Is all input delivered? The host side reads more only then.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    fn deliver(&self) {
        loop {
            let bytes = {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                let n = pending.len().min(self.tty.input_room());
                pending.drain(..n).collect::<Vec<_>>()
            };
            if bytes.is_empty() {
                return;
            }
            self.tty.receive(&bytes);
        }
    }

    /// The user changed the window.
    pub fn resized(&self, window: Winsize) {
        self.tty.set_window(window);
    }

    /// The user's terminal is gone.
    pub fn hang_up(&self) {
        self.tty.hang_up();
    }

    /// Shows output until there is none (true) or the screen is full or busy.
    fn show_all(&self) -> bool {
        let Ok(_showing) = self.showing.try_lock() else {
            return false;
        };
        loop {
            let bytes = self.tty.take_output(CHUNK);
            if bytes.is_empty() {
                return true;
            }
            let shown = self.screen.show(&bytes);
            if shown < bytes.len() {
                self.tty.return_output(&bytes[shown..]);
                return false;
            }
        }
    }

    /// Shows what there is to show and delivers what there is to deliver.
    pub fn pump(&self) {
        // Output that comes while another thread is at its last look is picked
        // up by the look after the lock.
        while self.tty.output_len() > 0 && self.show_all() {}
        if !self.wants_input() && self.tty.input_room() > 0 {
            self.deliver();
        }
    }
}
