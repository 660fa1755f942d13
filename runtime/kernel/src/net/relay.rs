// SPDX-License-Identifier: MIT OR Apache-2.0
//! A local socket of the guest behind which a socket of the host answers.
//!
//! The guest sees a socket like any other and reaches nothing but what the host
//! connects it to. Threads of the host carry the bytes, two for each connection, both
//! asleep while there is nothing to carry; they live as long as the connection, the one
//! that accepts as long as the program.

use std::io::{self, Read, Write};
use std::net::Shutdown as HostShutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use linux_abi::Errno;

use super::unix::{Ancillary, PeerCred, Shutdown, UnixSocket};
use crate::file::{IoSource, SliceSource, VecSink};
use crate::wait::{WaitQueue, Wakeable};

/// Bytes carried at a time.
const CHUNK: usize = 16 * 1024;
/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 32;
/// What the guest learns of who is at the other side.
const HOST: PeerCred = PeerCred {
    pid: 0,
    uid: 0,
    gid: 0,
};

/// A thread of the host that waits for something of the guest.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Wakeable for Bell {
    fn wake(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }
}

/// Waits until `attempt` answers something else than `EAGAIN`.
fn wait<T>(
    queues: &[&WaitQueue],
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let bell = Arc::<Bell>::default();
    let subscribe = |queue: &&WaitQueue| queue.subscribe(bell.clone());
    let _subscriptions: Vec<_> = queues.iter().map(subscribe).collect();
    loop {
        match attempt() {
            Err(Errno::EAGAIN) => {}
            answer => return answer,
        }
        let rung = bell.has_rung.lock();
        let mut rung = rung.unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = bell
                .rings
                .wait(rung)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *rung = false;
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("relay".to_owned());
    thread.spawn(run).map(drop)
}

/// Answers everyone who connects to `listener`, which listens, with a connection of
/// its own to what `connect` reaches.
///
/// # Errors
/// When the host gives no thread.
pub fn relay(
    listener: Arc<UnixSocket>,
    connect: impl Fn() -> io::Result<UnixStream> + Send + 'static,
) -> io::Result<()> {
    let alive = Arc::<AtomicUsize>::default();
    spawn(move || {
        while let Ok(guest) = wait(&[listener.queue()], || listener.try_accept()) {
            if alive.load(Ordering::Relaxed) < MAX_CONNECTIONS {
                // Who cannot be answered finds the connection closed.
                let _ = connect().and_then(|host| carry(guest, host, &alive));
            }
        }
    })
}

fn carry(guest: Arc<UnixSocket>, host: UnixStream, alive: &Arc<AtomicUsize>) -> io::Result<()> {
    let (from_guest, to_host) = (Arc::clone(&guest), host.try_clone()?);
    spawn(move || outward(&from_guest, to_host))?;
    let alive = Arc::clone(alive);
    alive.fetch_add(1, Ordering::Relaxed);
    spawn(move || {
        inward(host, &guest);
        alive.fetch_sub(1, Ordering::Relaxed);
    })
}

/// Until the guest says no more, or the host wants no more.
fn outward(guest: &UnixSocket, mut host: UnixStream) {
    let receive = || {
        let mut sink = VecSink::new(CHUNK);
        guest.try_receive(&mut sink, false)?;
        Ok(sink.into_inner())
    };
    while let Ok(bytes) = wait(&[guest.queue()], receive) {
        if bytes.is_empty() || host.write_all(&bytes).is_err() {
            break;
        }
    }
    // It may be gone already.
    let _ = host.shutdown(HostShutdown::Write);
}

/// Until the host says no more, or the guest wants no more.
fn inward(mut host: UnixStream, guest: &UnixSocket) {
    let mut bytes = [0; CHUNK];
    while let Ok(len) = host.read(&mut bytes) {
        if len == 0 || send(guest, &bytes[..len]).is_err() {
            break;
        }
    }
    // The other thread sleeps in a read of the guest or a write to the host.
    let _ = guest.shutdown(Shutdown::Both);
    let _ = host.shutdown(HostShutdown::Both);
}

fn send(guest: &UnixSocket, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = SliceSource(bytes);
    while rest.remaining() > 0 {
        wait(&[guest.queue()], || {
            guest.try_send(&mut rest, None, &Ancillary::default(), HOST)
        })?;
    }
    Ok(())
}
