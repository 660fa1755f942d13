// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local sockets (`AF_UNIX`): stream, datagram and sequenced packets.
//!
//! [`UnixSocket`] is a [`File`]; every operation answers at once, `EAGAIN` when it
//! would have to wait. What is sent is put into the receiver's queue, descriptors
//! and credentials included. Locks: one mutex for each socket; two are taken only
//! for the two ends of a new connection, listener first. Descriptors that are
//! passed around in a circle and then closed are not collected. Linux 6.12
//! `net/unix/af_unix.c`.

mod file;
mod inbox;
mod message;
mod names;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use linux_abi::Errno;

pub use message::{Ancillary, Message, PeerCred, Received};
pub use names::{UnixName, UnixNames};

use crate::budget::BUFFERS;
use crate::file::{IoSink, IoSource};
use crate::vfs::Location;
use crate::wait::WaitQueue;

/// Bytes that one socket sends ahead of its receiver (`wmem_default`).
const SEND_BUFFER: usize = 212_992;
/// Datagrams that wait for a receiver (`net.unix.max_dgram_qlen`).
const MAX_DATAGRAMS: usize = 512;
/// Bytes that a message takes besides its own.
const MESSAGE_CHARGE: usize = 256;
/// Bytes that a description costs which is on its way: it counts for nobody's limit.
const FILE_CHARGE: usize = 1024;
/// The most connections that wait to be accepted (`net.core.somaxconn`).
const MAX_BACKLOG: usize = 4096;

/// How a socket delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Bytes in order.
    Stream,
    /// Single messages.
    Datagram,
    /// Messages in order, over a connection.
    SeqPacket,
}

impl SocketKind {
    /// The number of `SO_TYPE`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Stream => 1,
            Self::Datagram => 2,
            Self::SeqPacket => 5,
        }
    }
}

/// Which directions are shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more reading.
    Read,
    /// No more writing.
    Write,
    /// Neither.
    Both,
}

#[derive(Default)]
struct State {
    name: Option<UnixName>,
    /// The file that the name means: while the socket lives, it stays in memory, and
    /// with it the way from the file to the socket.
    node: Option<Location>,
    peer: Option<Weak<UnixSocket>>,
    /// Was connected once: a stream without peer then reads end of file.
    is_connected: bool,
    peer_name: Option<UnixName>,
    peer_cred: Option<PeerCred>,
    inbox: VecDeque<Message>,
    inbox_bytes: usize,
    backlog: Option<Backlog>,
    is_read_shut: bool,
    is_write_shut: bool,
    is_peer_gone: bool,
    error: Option<Errno>,
    passes_cred: bool,
    timeouts: Timeouts,
}

/// How long calls wait at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Receiving and accepting.
    pub receive: Option<Duration>,
    /// Sending and connecting.
    pub send: Option<Duration>,
}

struct Backlog {
    limit: usize,
    waiting: VecDeque<Arc<UnixSocket>>,
    cred: PeerCred,
}

/// A local socket.
pub struct UnixSocket {
    me: Weak<Self>,
    kind: SocketKind,
    state: Mutex<State>,
    queue: WaitQueue,
}

impl UnixSocket {
    /// A socket without name and peer.
    #[must_use]
    pub fn new(kind: SocketKind) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            kind,
            state: Mutex::default(),
            queue: WaitQueue::default(),
        })
    }

    /// Two connected sockets.
    #[must_use]
    pub fn pair(kind: SocketKind, cred: PeerCred) -> (Arc<Self>, Arc<Self>) {
        let (a, b) = (Self::new(kind), Self::new(kind));
        a.lock().connect_to(&b, None, cred);
        b.lock().connect_to(&a, None, cred);
        (a, b)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it delivers.
    #[must_use]
    pub fn kind(&self) -> SocketKind {
        self.kind
    }

    fn is_datagram(&self) -> bool {
        self.kind == SocketKind::Datagram
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> Option<UnixName> {
        self.lock().name.clone()
    }

    /// The name of its peer.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_name(&self) -> Result<Option<UnixName>, Errno> {
        let (peer, known) = {
            let state = self.lock();
            (
                state.peer.clone().ok_or(Errno::ENOTCONN)?,
                state.peer_name.clone(),
            )
        };
        Ok(peer.upgrade().map_or(known, |peer| peer.name()))
    }

    /// Who connected, or who listened (`SO_PEERCRED`).
    #[must_use]
    pub fn peer_cred(&self) -> Option<PeerCred> {
        self.lock().peer_cred
    }

    /// Is it listening (`SO_ACCEPTCONN`)?
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.lock().backlog.is_some()
    }

    /// Takes the pending error (`SO_ERROR`).
    #[must_use]
    pub fn take_error(&self) -> Option<Errno> {
        self.lock().error.take()
    }

    /// Are credentials delivered with every message (`SO_PASSCRED`)?
    #[must_use]
    pub fn passes_cred(&self) -> bool {
        self.lock().passes_cred
    }

    /// Sets `SO_PASSCRED`.
    pub fn set_passes_cred(&self, on: bool) {
        self.lock().passes_cred = on;
    }

    /// How long calls wait at most.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.lock().timeouts
    }

    /// Sets how long calls that receive (or send) wait at most.
    pub fn set_timeout(&self, is_receive: bool, wait: Option<Duration>) {
        let timeouts = &mut self.lock().timeouts;
        *(if is_receive {
            &mut timeouts.receive
        } else {
            &mut timeouts.send
        }) = wait;
    }

    /// The socket itself, to be named.
    ///
    /// # Errors
    /// `EBADF` while it is being closed.
    pub fn this(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::EBADF)
    }

    /// Its peer, while both live.
    #[must_use]
    pub fn peer(&self) -> Option<Arc<Self>> {
        self.lock().peer.as_ref().and_then(Weak::upgrade)
    }

    /// Gives it a name, and the file that a path names; the caller made both refer to it.
    ///
    /// # Errors
    /// `EINVAL` when it has one.
    pub fn set_name(&self, name: UnixName, node: Option<Location>) -> Result<(), Errno> {
        let mut state = self.lock();
        if state.name.is_some() {
            return Err(Errno::EINVAL);
        }
        (state.name, state.node) = (Some(name), node);
        Ok(())
    }

    /// Starts to accept connections.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for datagrams, `EINVAL` without a name or when connected.
    pub fn listen(&self, backlog: i32, cred: PeerCred) -> Result<(), Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.lock();
        if state.name.is_none() || state.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        let limit = usize::try_from(backlog)
            .unwrap_or(MAX_BACKLOG)
            .min(MAX_BACKLOG);
        match &mut state.backlog {
            Some(have) => have.limit = limit,
            None => {
                state.backlog = Some(Backlog {
                    limit,
                    waiting: VecDeque::new(),
                    cred,
                })
            }
        }
        drop(state);
        self.queue.wake_all();
        Ok(())
    }

    /// Connects to `target`, or sets where datagrams go.
    ///
    /// # Errors
    /// `EPROTOTYPE`, `EISCONN`, `ECONNREFUSED`, `EAGAIN` while the listener's queue
    /// is full, `EPERM` when a datagram peer talks to somebody else.
    pub fn try_connect(&self, target: &Arc<Self>, cred: PeerCred) -> Result<(), Errno> {
        if target.kind != self.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if self.is_datagram() {
            let theirs = target.lock().peer.clone();
            if theirs.is_some_and(|peer| !std::ptr::eq(peer.as_ptr(), self.me.as_ptr())) {
                return Err(Errno::EPERM);
            }
            let name = target.name();
            self.lock().connect_to(target, name, cred);
            return Ok(());
        }
        {
            let state = self.lock();
            if state.is_connected {
                return Err(Errno::EISCONN);
            }
            if state.backlog.is_some() {
                return Err(Errno::EINVAL);
            }
        }
        let mut theirs = target.lock();
        let listener_name = theirs.name.clone();
        let is_shut = theirs.is_read_shut;
        let backlog = theirs
            .backlog
            .as_mut()
            .filter(|_| !is_shut)
            .ok_or(Errno::ECONNREFUSED)?;
        if backlog.waiting.len() > backlog.limit {
            return Err(Errno::EAGAIN);
        }
        let accepted = Self::new(self.kind);
        {
            let mut state = accepted.lock();
            let me = self.me.upgrade().ok_or(Errno::EINVAL)?;
            state.connect_to(&me, None, cred);
            state.name = listener_name.clone();
        }
        let listener_cred = backlog.cred;
        {
            let mut state = self.lock();
            if state.is_connected {
                return Err(Errno::EISCONN);
            }
            state.connect_to(&accepted, listener_name, listener_cred);
        }
        backlog.waiting.push_back(accepted);
        drop(theirs);
        target.queue.wake_all();
        self.queue.wake_all();
        Ok(())
    }

    /// Forgets where datagrams go (`connect` to `AF_UNSPEC`).
    pub fn disconnect(&self) {
        let mut state = self.lock();
        state.peer = None;
        state.peer_name = None;
    }

    /// The next connection.
    ///
    /// # Errors
    /// `EAGAIN`, `EINVAL` when it does not listen, `EOPNOTSUPP` for datagrams.
    pub fn try_accept(&self) -> Result<Arc<Self>, Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut state = self.lock();
        let is_shut = state.is_read_shut;
        let backlog = state.backlog.as_mut().ok_or(Errno::EINVAL)?;
        let next = backlog.waiting.pop_front();
        drop(state);
        self.queue.wake_all();
        next.ok_or(if is_shut {
            Errno::EINVAL
        } else {
            Errno::EAGAIN
        })
    }

    fn peer_to_send(&self) -> Result<Arc<Self>, Errno> {
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        if state.is_write_shut {
            return Err(Errno::EPIPE);
        }
        let Some(peer) = &state.peer else {
            return Err(Errno::ENOTCONN);
        };
        match peer.upgrade() {
            Some(peer) => Ok(peer),
            None if self.is_datagram() => Err(Errno::ECONNREFUSED),
            None => Err(Errno::EPIPE),
        }
    }

    /// Sends to the peer, or to `target` (datagrams).
    ///
    /// # Errors
    /// `EPIPE`, `ENOTCONN`, `ECONNREFUSED`, `EAGAIN`, `EMSGSIZE`, `EISCONN`.
    pub fn try_send(
        &self,
        src: &mut dyn IoSource,
        target: Option<&Arc<Self>>,
        ancillary: &Ancillary,
        cred: PeerCred,
    ) -> Result<usize, Errno> {
        let receiver = match target {
            Some(target) if self.is_datagram() => {
                if target.kind != self.kind {
                    return Err(Errno::EPROTOTYPE);
                }
                target.clone()
            }
            Some(_) => {
                let is_connected = self.lock().peer.is_some();
                return Err(if is_connected {
                    Errno::EISCONN
                } else {
                    Errno::EOPNOTSUPP
                });
            }
            None => self.peer_to_send()?,
        };
        let from = self.name();
        let total = src.remaining();
        if self.kind != SocketKind::Stream && total > SEND_BUFFER {
            return Err(Errno::EMSGSIZE);
        }
        if total == 0 && self.kind == SocketKind::Stream {
            return Ok(0);
        }
        let room = receiver.room_for(self, total)?;
        let charge = room.min(total) + ancillary.files.len() * FILE_CHARGE + MESSAGE_CHARGE;
        let charge = BUFFERS.charge(charge).ok_or(Errno::ENOBUFS)?;
        let mut data = vec![0; room.min(total)];
        let mut filled = 0;
        while filled < data.len() {
            match src.get(&mut data[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if filled == 0 => return Err(error),
                Err(error) if self.kind != SocketKind::Stream => return Err(error),
                Err(_) => break,
            }
        }
        data.truncate(filled);
        let cred = ancillary.cred.unwrap_or(cred);
        let message = Message {
            data,
            pos: 0,
            files: ancillary.files.clone(),
            cred,
            from,
            charge,
        };
        receiver.deliver(message, self.kind == SocketKind::Stream);
        Ok(filled)
    }

    /// Bytes that fit into the inbox, checked for the sender's state.
    fn room_for(&self, sender: &Self, total: usize) -> Result<usize, Errno> {
        let state = self.lock();
        if state.is_read_shut {
            return Err(Errno::EPIPE);
        }
        if self.is_datagram()
            && state
                .peer
                .as_ref()
                .is_some_and(|p| !std::ptr::eq(p.as_ptr(), sender.me.as_ptr()))
        {
            return Err(Errno::EPERM);
        }
        let room = SEND_BUFFER.saturating_sub(state.inbox_bytes);
        let is_full = match self.kind {
            SocketKind::Stream => room == 0,
            _ => state.inbox.len() >= MAX_DATAGRAMS || (room < total && !state.inbox.is_empty()),
        };
        if is_full {
            return Err(Errno::EAGAIN);
        }
        Ok(if self.kind == SocketKind::Stream {
            room
        } else {
            total
        })
    }

    fn deliver(&self, message: Message, may_merge: bool) {
        let mut state = self.lock();
        state.inbox_bytes += message.data.len();
        match state.inbox.back_mut() {
            Some(last) if may_merge && last.can_take(&message) => {
                last.data.extend_from_slice(&message.data);
                last.charge.add(message.charge);
            }
            _ => state.inbox.push_back(message),
        }
        drop(state);
        self.queue.wake_all();
    }

    /// Receives; `peek` leaves the message where it is.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOTCONN`, `EINVAL`, `ECONNRESET`.
    pub fn try_receive(&self, dst: &mut dyn IoSink, peek: bool) -> Result<Received, Errno> {
        let mut state = self.lock();
        let is_stream = self.kind == SocketKind::Stream;
        if state.inbox.is_empty() {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.backlog.is_some() {
                return Err(Errno::EINVAL);
            }
            if !self.is_datagram() && !state.is_connected {
                return Err(if is_stream {
                    Errno::EINVAL
                } else {
                    Errno::ENOTCONN
                });
            }
            let is_over = state.is_read_shut || (state.is_peer_gone && !self.is_datagram());
            return if is_over {
                Ok(Received::default())
            } else {
                Err(Errno::EAGAIN)
            };
        }
        let received = if is_stream {
            state.take_bytes(dst, peek)?
        } else {
            state.take_message(dst, peek)?
        };
        drop(state);
        if !peek {
            self.wake_sender();
        }
        Ok(received)
    }

    fn wake_sender(&self) {
        let peer = self.lock().peer.as_ref().and_then(Weak::upgrade);
        // Datagram senders wait on the receiver: they need not be its peer.
        self.queue.wake_all();
        if let Some(peer) = peer {
            peer.queue.wake_all();
        }
    }

    /// What a sender that found no room waits on.
    #[must_use]
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// Shuts a direction down.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let (reads, writes) = (how != Shutdown::Write, how != Shutdown::Read);
        let mut state = self.lock();
        if state.peer.is_none() && state.backlog.is_none() && !state.is_connected {
            return Err(Errno::ENOTCONN);
        }
        state.is_read_shut |= reads;
        state.is_write_shut |= writes;
        let peer = state.peer.as_ref().and_then(Weak::upgrade);
        drop(state);
        if let Some(peer) = peer.filter(|_| !self.is_datagram()) {
            let mut theirs = peer.lock();
            theirs.is_read_shut |= writes;
            theirs.is_write_shut |= reads;
            drop(theirs);
            peer.queue.wake_all();
        }
        self.queue.wake_all();
        Ok(())
    }
}

impl State {
    fn connect_to(&mut self, peer: &Arc<UnixSocket>, peer_name: Option<UnixName>, cred: PeerCred) {
        self.peer = Some(Arc::downgrade(peer));
        self.is_connected = true;
        self.peer_name = peer_name;
        self.peer_cred = Some(cred);
    }
}

#[cfg(test)]
#[path = "unix/tests.rs"]
mod tests;
