// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's terminal behind the guest's line discipline, and plain streams.
//!
//! While the guest runs the host's terminal is raw; [`Raw`] puts it back on every
//! way out, panics included. A thread forwards what is typed.

use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;

use elfuse_kernel::boot::Stdio;
use elfuse_kernel::stdio::{HostInput, HostOutput};
use elfuse_kernel::tty::console::{Console, HostScreen};
use linux_abi::termios::Winsize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::config::Terminal;

/// Are both standard input and standard output a terminal?
pub(crate) fn kind() -> Terminal {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        Terminal::Yes
    } else {
        Terminal::No
    }
}

/// The guest's standard streams.
pub(crate) fn stdio(terminal: Terminal) -> std::io::Result<Stdio> {
    if terminal == Terminal::Yes {
        return Ok(Stdio::Console(Box::new(|groups| {
            Console::new(groups, Arc::new(Screen), window())
        })));
    }
    Ok(Stdio::Files([
        HostInput::start(std::io::stdin())?,
        HostOutput::new(std::io::stdout()),
        HostOutput::new(std::io::stderr()),
    ]))
}

/// The streams of a guest that nobody looks at: no input, and a log.
pub(crate) fn logged(log: &elfuse_runs::log::Log) -> std::io::Result<Stdio> {
    Ok(Stdio::Files([
        HostInput::start(std::io::empty())?,
        HostOutput::new(log.clone()),
        HostOutput::new(log.clone()),
    ]))
}

/// Shows output on the host's standard output.
struct Screen;

impl HostScreen for Screen {
    fn show(&self, bytes: &[u8]) -> usize {
        let mut out = std::io::stdout().lock();
        // A terminal that is gone swallows everything.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
        bytes.len()
    }
}

/// The size of the host's window.
pub(crate) fn window() -> Winsize {
    let size = tcgetwinsize(std::io::stdout());
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    Winsize {
        rows,
        columns,
        ..Winsize::default()
    }
}

/// The terminal as it was; dropping puts it back.
pub(crate) struct Raw {
    before: Termios,
    during: Termios,
}

/// What makes the terminal raw again after the program was stopped.
#[derive(Clone)]
pub(crate) struct Again(Termios);

impl Again {
    pub(crate) fn apply(&self) {
        // A terminal that is gone stays gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl Raw {
    pub(crate) fn again(&self) -> Again {
        Again(self.during.clone())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Makes the terminal raw and forwards what is typed.
pub(crate) fn attach(console: Arc<Console>) -> std::io::Result<Raw> {
    let before = tcgetattr(std::io::stdin())?;
    let mut during = before.clone();
    during.make_raw();
    tcsetattr(std::io::stdin(), OptionalActions::Now, &during)?;
    let at_panic = before.clone();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &at_panic);
        report(info);
    }));
    let raw = Raw { before, during };
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || forward(&console))?;
    Ok(raw)
}

fn forward(console: &Console) {
    let mut buf = [0; 1024];
    loop {
        match std::io::stdin().read(&mut buf) {
            Ok(0) | Err(_) => return console.hang_up(),
            Ok(count) => console.received(&buf[..count]),
        }
    }
}
