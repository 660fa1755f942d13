// SPDX-License-Identifier: GPL-2.0-only
//! The host's terminal behind the guest's line discipline.
//!
//! While the guest runs the host's terminal is raw; [`Raw`] puts it back on every way
//! out, panics included. A thread forwards what is typed.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use elfuse_kernel::boot::Stdio;
use elfuse_kernel::tty::console::{Console, HostScreen};
use linux_abi::termios::Winsize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Shows output on the host's standard output.
struct Screen;

impl HostScreen for Screen {
    fn show(&self, bytes: &[u8]) -> usize {
        let mut out = std::io::stdout().lock();
        let shown = out.write_all(bytes).and_then(|()| out.flush());
        // A terminal that is gone swallows everything.
        let _ = shown;
        bytes.len()
    }
}

fn window() -> Winsize {
    let size = tcgetwinsize(std::io::stdout());
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    Winsize {
        rows,
        columns,
        ..Winsize::default()
    }
}

/// The guest's terminal is the host's.
pub(crate) fn stdio() -> Stdio {
    Stdio::Console(Box::new(|groups| {
        Console::new(groups, Arc::new(Screen), window())
    }))
}

/// The terminal as it was; dropping puts it back.
pub(crate) struct Raw(Termios);

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Makes the terminal raw and forwards what is typed, and changes of its size.
pub(crate) fn attach(console: Arc<Console>) -> anyhow::Result<Raw> {
    let before = tcgetattr(std::io::stdin())?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
    let at_panic = before.clone();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &at_panic);
        report(info);
    }));
    let for_input = Arc::clone(&console);
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || forward(&for_input))?;
    std::thread::Builder::new()
        .name("window".to_owned())
        .spawn(move || follow_size(&console))?;
    Ok(Raw(before))
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

/// A simulator for tests asks for the size twice a second instead of taking over a
/// signal handler.
fn follow_size(console: &Console) {
    let mut last = window();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = window();
        if (now.rows, now.columns) != (last.rows, last.columns) {
            console.resized(now);
            last = now;
        }
    }
}
