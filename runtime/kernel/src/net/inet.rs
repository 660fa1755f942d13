// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets of the Internet (`AF_INET`, `AF_INET6`): TCP and UDP.
//!
//! An [`InetSocket`] is a [`File`] over a socket of the host that never blocks.
//! Edges of the host's socket wake its queue; waiting, time limits and signals are
//! the system calls', as for every other file. The host's own rules decide what a
//! program gets to see of addresses, options and errors; where Darwin differs,
//! `elfuse_machine::host` evens it out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use elfuse_machine::host::net::{
    Family, HostSocket, Kind, ReceiveFlags, SendFlags, ShutdownHow, Watcher,
};
use linux_abi::Errno;
use linux_abi::poll::PollEvents;

use super::Network;
use super::unix::Timeouts;
use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Ioctl, OpenFile, put_ioctl};
use crate::wait::WaitQueue;

/// Bytes of a stream that are handed to the host, or taken from it, at once.
const CHUNK: usize = 64 * 1024;
/// The longest message, with room to spare.
const MESSAGE_MAX: usize = 64 * 1024;

/// Who waits for a socket.
#[derive(Default)]
struct Edges(WaitQueue);

impl Watcher for Edges {
    fn changed(&self) {
        self.0.wake_all();
    }
}

fn watcher(edges: &Arc<Edges>) -> Weak<dyn Watcher> {
    let edges: Weak<Edges> = Arc::downgrade(edges);
    edges
}

#[derive(Clone, Copy, Default)]
struct State {
    timeouts: Timeouts,
    /// The port that the guest bound, when the host has another.
    guest_port: Option<u16>,
    /// `IP_RECVERR` and `IPV6_RECVERR`: kept, and no error is queued apart.
    wants_errors: [bool; 2],
}

/// What one receive got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Bytes stored.
    pub len: usize,
    /// Bytes that the message has.
    pub total: usize,
    /// Who sent the message.
    pub from: Option<SocketAddr>,
}

impl Received {
    /// Is a part of the message lost?
    #[must_use]
    pub fn is_cut(&self, kind: Kind) -> bool {
        kind == Kind::Datagram && self.total > self.len
    }
}

/// A socket of the Internet.
pub struct InetSocket {
    network: Arc<Network>,
    family: Family,
    kind: Kind,
    host: HostSocket,
    edges: Arc<Edges>,
    state: Mutex<State>,
}

impl InetSocket {
    /// A socket without address and peer.
    ///
    /// # Errors
    /// What the host answers; `ENFILE` when it has no descriptor for the whole guest.
    pub fn new(network: &Arc<Network>, family: Family, kind: Kind) -> Result<Arc<Self>, Errno> {
        let edges = Arc::<Edges>::default();
        let host = HostSocket::new(&network.host()?, family, kind, watcher(&edges));
        Ok(Arc::new(Self {
            network: Arc::clone(network),
            family,
            kind,
            host: host.map_err(own_limit)?,
            edges,
            state: Mutex::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// How it delivers.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The host's socket, for options.
    #[must_use]
    pub fn host(&self) -> &HostSocket {
        &self.host
    }

    /// Who waits for it.
    #[must_use]
    pub fn queue(&self) -> &WaitQueue {
        &self.edges.0
    }

    /// How long calls wait at most.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.lock().timeouts
    }

    /// Sets how long receives, or sends, wait at most.
    pub fn set_timeout(&self, is_receive: bool, wait: Option<Duration>) {
        let timeouts = &mut self.lock().timeouts;
        if is_receive {
            timeouts.receive = wait;
        } else {
            timeouts.send = wait;
        }
    }

    /// `IP_RECVERR`, or `IPV6_RECVERR` for version 6.
    #[must_use]
    pub fn wants_errors(&self, version: Family) -> bool {
        self.lock().wants_errors[usize::from(version == Family::V6)]
    }

    /// Sets `IP_RECVERR` or `IPV6_RECVERR`.
    pub fn set_wants_errors(&self, version: Family, on: bool) {
        self.lock().wants_errors[usize::from(version == Family::V6)] = on;
    }

    /// Gives it an address of its own.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EINVAL` when it has one.
    pub fn bind(&self, address: SocketAddr) -> Result<(), Errno> {
        match self.network.outside(self.family, self.kind, address)? {
            Some(outside) => {
                self.host.bind(outside)?;
                self.lock().guest_port = Some(address.port());
                Ok(())
            }
            None => self.host.bind(address),
        }
    }

    /// Lets others connect.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EOPNOTSUPP` for messages.
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        self.host.listen(backlog)
    }

    /// Connects, or begins to.
    ///
    /// # Errors
    /// `EINPROGRESS` when it has only begun; what `connect(2)` lists.
    pub fn try_connect(&self, address: SocketAddr) -> Result<(), Errno> {
        self.host.connect(self.network.target(self.kind, address))
    }

    /// How a connection that was begun came out, once it did. The host is told that
    /// nobody waits for it any more.
    #[must_use]
    pub fn connected(&self, address: SocketAddr) -> Option<Result<(), Errno>> {
        let over = PollEvents::OUT | PollEvents::ERR | PollEvents::HUP;
        if !self.host.ready().intersects(over) {
            return None;
        }
        let outcome = self.host.take_error();
        if outcome.is_ok() {
            // Linux answers the first call after the connection stands with success, and
            // only the next with EISCONN.
            let _ = self.try_connect(address);
        }
        Some(outcome)
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// `EAGAIN`, `EINVAL` when it does not listen.
    pub fn try_accept(&self) -> Result<(Arc<Self>, SocketAddr), Errno> {
        let edges = Arc::<Edges>::default();
        let (host, from) = self.host.accept(watcher(&edges)).map_err(own_limit)?;
        let guest_port = self.lock().guest_port;
        let accepted = Arc::new(Self {
            network: Arc::clone(&self.network),
            family: self.family,
            kind: self.kind,
            host,
            edges,
            state: Mutex::new(State {
                guest_port,
                ..State::default()
            }),
        });
        Ok((accepted, from))
    }

    /// Its own address, as the guest knows it.
    ///
    /// # Errors
    /// What the host answers.
    pub fn local(&self) -> Result<SocketAddr, Errno> {
        let mut local = self.host.local()?;
        if let Some(port) = self.lock().guest_port {
            local.set_port(port);
        }
        Ok(local)
    }

    /// Sends from `src`: of a stream what the host takes now, of messages one.
    ///
    /// # Errors
    /// `EAGAIN`; `EPIPE` without the signal; what the network answers.
    pub fn try_send(
        &self,
        src: &mut dyn IoSource,
        to: Option<SocketAddr>,
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        let is_message = self.kind == Kind::Datagram;
        if is_message && src.remaining() > MESSAGE_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let mut bytes = vec![0; src.remaining().min(CHUNK)];
        let len = src.peek(&mut bytes)?;
        if is_message && len < bytes.len() {
            return Err(Errno::EFAULT);
        }
        let to = to.map(|to| self.network.target(self.kind, to));
        let sent = self.host.send(&bytes[..len], to, flags)?;
        src.skip(sent);
        Ok(sent)
    }

    /// Receives into `dst`.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOTCONN`, what the network answers.
    pub fn try_receive(
        &self,
        dst: &mut dyn IoSink,
        flags: ReceiveFlags,
    ) -> Result<Received, Errno> {
        // The whole message is taken: its length is told even when there is less room.
        let room = match self.kind {
            Kind::Stream => dst.remaining().min(CHUNK),
            Kind::Datagram => MESSAGE_MAX,
        };
        let mut bytes = vec![0; room];
        let got = self.host.receive(&mut bytes, flags)?;
        let stored = got.len.min(dst.remaining());
        Ok(Received {
            len: dst.put(&bytes[..stored])?,
            total: got.len,
            from: got.from,
        })
    }

    /// Ends directions.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: ShutdownHow) -> Result<(), Errno> {
        self.host.shutdown(how)
    }
}

/// The host's limit is one for all processes of the guest.
fn own_limit(error: Errno) -> Errno {
    if error == Errno::EMFILE {
        Errno::ENFILE
    } else {
        error
    }
}

impl File for InetSocket {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if dst.remaining() == 0 && self.kind == Kind::Stream {
            return Ok(0);
        }
        Ok(self.try_receive(dst, ReceiveFlags::empty())?.len)
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        Ok(self.try_send(src, None, SendFlags::empty())?)
    }

    fn readiness(&self) -> PollEvents {
        self.host.ready()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.queue())
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.timeouts().receive
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, request: Ioctl) -> SysResult<usize> {
        if request.request != linux_abi::ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let unread = i32::try_from(self.host.unread()?).unwrap_or(i32::MAX);
        put_ioctl(caller, request.arg, &unread.to_le_bytes())
    }
}
