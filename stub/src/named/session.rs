// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that `elfuse-bundle exec -t` started, at a pty of its own.
//!
//! What is typed and shown goes through one socket. One thread forwards what is typed,
//! one what is shown, and the one that serves the request follows the window until the
//! program ends or the other side is gone, which hangs up. The guest never waits for the
//! other side: [`Outlet`] says how much it takes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use elfuse_kernel::boot::HostPty;
use elfuse_kernel::tty::console::{Console, HostScreen};
use elfuse_runs::control::{Reply, Request, answer, receive};

use crate::terminal::size_of;

/// Bytes that wait to be shown.
const ROOM: usize = 64 << 10;
/// How long the end of the guest waits for what is still to be shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be shown, and how the program has ended.
#[derive(Default)]
pub(super) struct Outlet {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: VecDeque<u8>,
    status: Option<u8>,
}

impl Outlet {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program has ended.
    pub(super) fn end(&self, status: u8) {
        self.lock().status = Some(status);
        self.changed.notify_one();
    }

    /// Waits for something to show; nothing when the program has ended and there is no more.
    fn next(&self) -> (Vec<u8>, Option<u8>) {
        let mut state = self.lock();
        while state.bytes.is_empty() && state.status.is_none() {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        (state.bytes.drain(..).collect(), state.status)
    }
}

impl HostScreen for Outlet {
    fn show(&self, bytes: &[u8]) -> usize {
        let mut state = self.lock();
        let count = bytes.len().min(ROOM.saturating_sub(state.bytes.len()));
        state.bytes.extend(&bytes[..count]);
        drop(state);
        self.changed.notify_one();
        count
    }
}

/// The programs at terminals, for who must not leave before they have said their last.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<usize>,
    closed: Condvar,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>) -> Open {
        *self.lock() += 1;
        Open(Arc::clone(self))
    }

    /// Waits until all are closed, but not for long.
    pub(super) fn settle(&self) {
        let open = self.lock();
        let waited = self
            .closed
            .wait_timeout_while(open, PATIENCE, |open| *open > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

struct Open(Arc<Sessions>);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.closed.notify_all();
    }
}

/// The other side: what carries keys and output, and what carries requests.
pub(super) struct Session {
    data: UnixStream,
    control: UnixStream,
}

impl Session {
    pub(super) fn new(data: OwnedFd, control: UnixStream) -> Self {
        let data = UnixStream::from(data);
        Self { data, control }
    }

    /// Serves until the program has ended and everything is shown, or nobody looks.
    pub(super) fn serve(
        mut self,
        pty: &HostPty,
        outlet: Arc<Outlet>,
        sessions: &Arc<Sessions>,
    ) -> io::Result<()> {
        let console = pty.console();
        let keys = (Arc::clone(console), self.data.try_clone()?);
        let shown = (Arc::clone(console), self.data, self.control.try_clone()?);
        let open = sessions.enter();
        spawn("keys", move || forward_keys(&keys.0, keys.1))?;
        spawn("shown", move || {
            show(&shown.0, &outlet, shown.1, shown.2);
            drop(open);
        })?;
        self.control.set_read_timeout(None)?;
        while let Ok((Request::Resize(window), _)) = receive(&mut self.control) {
            console.resized(size_of(window));
        }
        console.hang_up();
        Ok(())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run)
}

fn forward_keys(console: &Console, mut data: UnixStream) {
    let mut buf = [0; 1024];
    while let Ok(count @ 1..) = data.read(&mut buf) {
        console.received(&buf[..count]);
    }
}

/// Shows everything, then says how the program has ended.
fn show(console: &Console, outlet: &Outlet, mut data: UnixStream, mut control: UnixStream) {
    let status = loop {
        let (bytes, status) = outlet.next();
        if let (true, Some(status)) = (bytes.is_empty(), status) {
            // What there was no room for when the program ended.
            if console.tty().output_len() == 0 {
                break status;
            }
        }
        // Who is gone sees nothing, and the program goes on until the hang-up ends it.
        let _ = data.write_all(&bytes);
        console.pump();
    };
    // The other side may be gone as a whole.
    let _ = data.shutdown(Shutdown::Both);
    let _ = answer(&mut control, &Reply::Ended(status));
    let _ = control.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::{Outlet, ROOM};
    use elfuse_kernel::tty::console::HostScreen;

    #[test]
    fn what_there_is_no_room_for_is_not_taken() {
        let outlet = Outlet::default();
        assert_eq!(outlet.show(&vec![b'a'; ROOM - 1]), ROOM - 1);
        assert_eq!(outlet.show(b"bc"), 1);
        assert_eq!(outlet.show(b"c"), 0);
        outlet.end(3);
        let (bytes, status) = outlet.next();
        assert_eq!(
            (bytes.len(), bytes.last(), status),
            (ROOM, Some(&b'b'), Some(3))
        );
        assert_eq!(outlet.show(b"c"), 1);
        assert_eq!(outlet.next(), (b"c".to_vec(), Some(3)));
        assert_eq!(outlet.next(), (Vec::new(), Some(3)));
    }
}
