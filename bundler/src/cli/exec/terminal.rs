// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle exec -t`: this command's terminal is the program's.
//!
//! The program has a pty in the guest. Here the terminal is raw, keys and output go
//! through one socket, and changes of the window are told to the run. Whatever ends this
//! command puts the terminal back; the program is then hung up.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use elfuse_runs::Found;
use elfuse_runs::control::{Asked, Exec, Reply, Request};
use elfuse_runs::terminal::{Raw, Switch, Window, is_there};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::cli::runs::told;

/// Starts the program and stays with it until it has ended.
pub(super) fn run(run: &Found, exec: Exec) -> anyhow::Result<Reply> {
    if !is_there() {
        anyhow::bail!("use the terminal: standard input and output are none\nhint: leave out -t");
    }
    // Before the size of the window is read, so that no change of it is missed.
    let signals = Signals::new([SIGWINCH, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let (near, far) = UnixStream::pair()?;
    let request = Request::Terminal(exec, Window::current());
    let asked = Arc::new(Asked::new(run, &request, &[far.as_fd()]).map_err(told)?);
    drop(far);
    let raw = Raw::enter()?;
    let (teller, switch) = (Arc::clone(&asked), raw.switch());
    std::thread::spawn(move || follow(signals, &teller, &switch));
    let keys = near.try_clone()?;
    std::thread::spawn(move || type_to(keys));
    let shown = std::thread::spawn(move || show(near));
    let reply = asked.reply();
    // It ends when the run has closed its side, which it does before it replies.
    let _ = shown.join();
    drop(raw);
    reply.map_err(told)
}

fn follow(mut signals: Signals, asked: &Asked, switch: &Switch) {
    for signal in signals.forever() {
        match signal {
            SIGWINCH => {}
            SIGCONT => switch.make_raw(),
            deadly => {
                switch.restore();
                std::process::exit(128 + deadly);
            }
        }
        // A run that is gone is noticed by who waits for its reply.
        let _ = asked.say(&Request::Resize(Window::current()));
    }
}

fn type_to(mut run: UnixStream) {
    let mut buf = [0; 1024];
    loop {
        match io::stdin().read(&mut buf) {
            Ok(count @ 1..) if run.write_all(&buf[..count]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The terminal is gone, or the program: the other thread sees which.
            _ => return drop(run.shutdown(Shutdown::Write)),
        }
    }
}

fn show(mut run: UnixStream) {
    let mut buf = [0; 4096];
    let mut out = io::stdout();
    while let Ok(count @ 1..) = run.read(&mut buf) {
        if out
            .write_all(&buf[..count])
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}
