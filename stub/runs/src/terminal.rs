// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user's terminal while a guest has it: raw, because the guest's own line
//! discipline does what a terminal's does, and put back on every way out, panics
//! included. Used by the stub and by `elfuse-bundle exec -t`.

use std::io::{self, IsTerminal};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde::{Deserialize, Serialize};

/// The size of a window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

impl Window {
    /// The size of the window behind standard output; 80 by 24 where there is none.
    #[must_use]
    pub fn current() -> Self {
        let size = tcgetwinsize(io::stdout());
        let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
        Self { rows, columns }
    }
}

/// Are both standard input and standard output a terminal?
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// A raw terminal; dropping puts it back.
#[derive(Debug)]
pub struct Raw {
    before: Termios,
    during: Termios,
}

/// What changes a terminal while somebody else has its [`Raw`].
#[derive(Debug, Clone)]
pub struct Switch {
    before: Termios,
    during: Termios,
}

impl Switch {
    /// Raw once more, after the program was stopped and goes on.
    pub fn make_raw(&self) {
        set(&self.during);
    }

    /// As it was, for who ends without a way back.
    pub fn restore(&self) {
        set(&self.before);
    }
}

fn set(termios: &Termios) {
    // A terminal that is gone stays gone.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
}

impl Raw {
    /// Makes the terminal behind standard input raw.
    ///
    /// # Errors
    /// There is none.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut during = before.clone();
        during.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &during)?;
        let at_panic = before.clone();
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            set(&at_panic);
            report(info);
        }));
        Ok(Self { before, during })
    }

    /// For signal handlers' threads.
    #[must_use]
    pub fn switch(&self) -> Switch {
        Switch {
            before: self.before.clone(),
            during: self.during.clone(),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
