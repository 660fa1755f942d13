// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's network: sockets of the Internet, and who hears that one changed.
//!
//! [`HostNet`] has one thread that asks the host for edges (epoll, kqueue) of all
//! sockets and calls the [`Watcher`] of each. A socket never blocks: it answers
//! `EAGAIN`, and an edge follows when that may have changed. Addresses are
//! [`SocketAddr`], errors and events are Linux's.

mod option;
mod socket;
#[cfg(target_os = "macos")]
#[path = "net/socket_darwin.rs"]
mod system;
#[cfg(not(target_os = "macos"))]
#[path = "net/socket_linux.rs"]
mod system;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

pub use option::SocketOption;
pub use socket::{Family, HostSocket, Incoming, Kind, ReceiveFlags, SendFlags, ShutdownHow};

/// Edges taken from the host at a time.
const EVENTS: usize = 256;
/// The token of the thread's own waker; sockets count from 0.
const WAKER: Token = Token(usize::MAX);

/// Who hears of the edges of a socket. Called on the network's thread: it must not
/// block.
pub trait Watcher: Send + Sync {
    /// The socket may be ready for something that it was not ready for.
    fn changed(&self);
}

type Watchers = Mutex<HashMap<usize, Weak<dyn Watcher>>>;

fn lock(watchers: &Watchers) -> MutexGuard<'_, HashMap<usize, Weak<dyn Watcher>>> {
    watchers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host's network. The thread ends when this is dropped.
pub struct HostNet {
    registry: Registry,
    waker: Waker,
    watchers: Arc<Watchers>,
    next: AtomicUsize,
    is_over: Arc<AtomicBool>,
}

impl HostNet {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the host gives no thread or no descriptor.
    pub fn start() -> io::Result<Arc<Self>> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKER)?;
        let watchers = Arc::<Watchers>::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (heard, ends) = (Arc::clone(&watchers), Arc::clone(&is_over));
        std::thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || listen(poll, &heard, &ends))?;
        Ok(Arc::new(Self {
            registry,
            waker,
            watchers,
            next: AtomicUsize::new(0),
            is_over,
        }))
    }

    /// From now on `watcher` hears of `fd`'s edges, of those that stand now as well.
    fn watch(&self, fd: BorrowedFd<'_>, watcher: Weak<dyn Watcher>) -> Result<Token, Errno> {
        let token = Token(self.next.fetch_add(1, Ordering::Relaxed));
        lock(&self.watchers).insert(token.0, watcher);
        let both = Interest::READABLE | Interest::WRITABLE;
        let added = self
            .registry
            .register(&mut SourceFd(&fd.as_raw_fd()), token, both);
        added.map_err(|error| {
            lock(&self.watchers).remove(&token.0);
            rustix::io::Errno::from_io_error(&error).map_or(Errno::ENOMEM, super::from_host)
        })?;
        Ok(token)
    }

    fn forget(&self, fd: BorrowedFd<'_>, token: Token) {
        lock(&self.watchers).remove(&token.0);
        // Closing it, which comes next, does the same.
        let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
    }
}

impl Drop for HostNet {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Without it the thread sleeps until the program ends, which harms nobody.
        let _ = self.waker.wake();
    }
}

fn listen(mut poll: Poll, watchers: &Watchers, is_over: &AtomicBool) {
    let mut events = Events::with_capacity(EVENTS);
    loop {
        let polled = poll.poll(&mut events, None);
        if is_over.load(Ordering::Acquire) {
            return;
        }
        if polled.is_err() {
            continue;
        }
        for event in &events {
            let watcher = lock(watchers).get(&event.token().0).and_then(Weak::upgrade);
            if let Some(watcher) = watcher {
                watcher.changed();
            }
        }
    }
}
