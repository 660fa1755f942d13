// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's terminal behind the guest's line discipline, and plain streams.
//!
//! While the guest runs the host's terminal is raw; [`Raw`] puts it back on every
//! way out. A thread forwards what is typed.

use std::io::{Read, Write};
use std::sync::Arc;

use elfuse_kernel::boot::Stdio;
use elfuse_kernel::stdio::{HostInput, HostOutput};
use elfuse_kernel::tty::console::{Console, HostScreen};
use elfuse_runs::terminal::{Raw, Window, is_there};
use linux_abi::termios::Winsize;

use crate::config::Terminal;

/// Are both standard input and standard output a terminal?
pub(crate) fn kind() -> Terminal {
    if is_there() {
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
    size_of(Window::current())
}

/// The same as Linux has it.
pub(crate) fn size_of(window: Window) -> Winsize {
    Winsize {
        rows: window.rows,
        columns: window.columns,
        ..Winsize::default()
    }
}

/// Makes the terminal raw and forwards what is typed.
pub(crate) fn attach(console: Arc<Console>) -> std::io::Result<Raw> {
    let raw = Raw::enter()?;
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
