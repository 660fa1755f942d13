// SPDX-License-Identifier: MIT OR Apache-2.0
//! One socket of the Internet.
//!
//! A socket belongs to no thread. It is closed when it is dropped; what is being
//! done on another thread then keeps it until the end.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::poll::PollEvents;
use mio::Token;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{self, AddressFamily, RecvFlags, Shutdown, SocketAddrAny, SocketType};

use super::{HostNet, SocketOption, Watcher, system};
use crate::host::from_host;

/// Which kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`, which takes version 4 as well unless it is told not to.
    V6,
}

/// How a socket delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in order (TCP).
    Stream,
    /// Single messages (UDP).
    Datagram,
}

/// Which directions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownHow {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    Both,
}

bitflags::bitflags! {
    /// How something is sent.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SendFlags: u32 {
        /// Out of band.
        const OOB = 1;
        /// More follows at once. A hint; not every host takes it.
        const MORE = 2;
    }

    /// How something is received.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct ReceiveFlags: u32 {
        /// Leave it where it is.
        const PEEK = 1;
        /// Out of band.
        const OOB = 2;
    }
}

/// What was received.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Bytes stored.
    pub len: usize,
    /// Who sent the message.
    pub from: Option<SocketAddr>,
}

/// One socket.
pub struct HostSocket {
    fd: OwnedFd,
    net: Arc<HostNet>,
    token: Token,
}

impl Drop for HostSocket {
    fn drop(&mut self) {
        self.net.forget(self.fd.as_fd(), self.token);
    }
}

/// The address of an Internet socket.
fn internet(address: SocketAddrAny) -> Result<SocketAddr, Errno> {
    SocketAddr::try_from(address).map_err(|_| Errno::EIO)
}

impl HostSocket {
    /// A new socket; `watcher` hears of its edges.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` and the like when the host lacks the family, `EMFILE`, `ENOBUFS`.
    pub fn new(
        net: &Arc<HostNet>,
        family: Family,
        kind: Kind,
        watcher: Weak<dyn Watcher>,
    ) -> Result<Self, Errno> {
        let family = match family {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
        };
        let kind = match kind {
            Kind::Stream => SocketType::STREAM,
            Kind::Datagram => SocketType::DGRAM,
        };
        let fd = net::socket(family, kind, None).map_err(from_host)?;
        Self::adopt(net, fd, watcher)
    }

    fn adopt(net: &Arc<HostNet>, fd: OwnedFd, watcher: Weak<dyn Watcher>) -> Result<Self, Errno> {
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(from_host)?;
        rustix::io::ioctl_fionbio(&fd, true).map_err(from_host)?;
        system::prepare(fd.as_fd())?;
        let token = net.watch(fd.as_fd(), watcher)?;
        Ok(Self {
            fd,
            net: Arc::clone(net),
            token,
        })
    }

    /// Gives it an address of its own.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EINVAL` when it has one.
    pub fn bind(&self, address: SocketAddr) -> Result<(), Errno> {
        net::bind(&self.fd, &address).map_err(from_host)
    }

    /// Lets others connect.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EINVAL`, `EOPNOTSUPP` for datagrams.
    pub fn listen(&self, backlog: i32) -> Result<(), Errno> {
        net::listen(&self.fd, backlog).map_err(from_host)
    }

    /// Connects, or begins to.
    ///
    /// # Errors
    /// `EINPROGRESS` when it has only begun, `EALREADY`, `EISCONN`, what the network
    /// answers.
    pub fn connect(&self, address: SocketAddr) -> Result<(), Errno> {
        net::connect(&self.fd, &address).map_err(from_host)
    }

    /// Dissolves the association of a datagram socket.
    ///
    /// # Errors
    /// What the host answers.
    pub fn disconnect(&self) -> Result<(), Errno> {
        system::disconnect(self.fd.as_fd())
    }

    /// Takes a connection; `watcher` hears of its edges.
    ///
    /// # Errors
    /// `EAGAIN`, `ECONNABORTED`, `EINVAL` when it does not listen.
    pub fn accept(&self, watcher: Weak<dyn Watcher>) -> Result<(Self, SocketAddr), Errno> {
        let (fd, from) = net::acceptfrom(&self.fd).map_err(from_host)?;
        let from = internet(from.ok_or(Errno::ECONNABORTED)?)?;
        Ok((Self::adopt(&self.net, fd, watcher)?, from))
    }

    /// Its own address.
    ///
    /// # Errors
    /// What the host answers.
    pub fn local(&self) -> Result<SocketAddr, Errno> {
        internet(net::getsockname(&self.fd).map_err(from_host)?)
    }

    /// The address of its peer.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer(&self) -> Result<SocketAddr, Errno> {
        let peer = net::getpeername(&self.fd).map_err(from_host)?;
        internet(peer.ok_or(Errno::ENOTCONN)?)
    }

    /// Sends a prefix of `data`; a message only as a whole. Never a signal.
    ///
    /// # Errors
    /// `EAGAIN`, `EPIPE`, `EMSGSIZE`, `EDESTADDRREQ`, what the network answers.
    pub fn send(
        &self,
        data: &[u8],
        to: Option<SocketAddr>,
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        let mut native = system::SEND;
        native.set(net::SendFlags::OOB, flags.contains(SendFlags::OOB));
        native.set(system::MORE, flags.contains(SendFlags::MORE));
        match to {
            Some(to) => net::sendto(&self.fd, data, native, &to),
            None => net::send(&self.fd, data, native),
        }
        .map_err(from_host)
    }

    /// Receives into `buf`. What a message has beyond it is lost.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOTCONN`, what the network answers.
    pub fn receive(&self, buf: &mut [u8], flags: ReceiveFlags) -> Result<Incoming, Errno> {
        let mut native = RecvFlags::empty();
        native.set(RecvFlags::PEEK, flags.contains(ReceiveFlags::PEEK));
        native.set(RecvFlags::OOB, flags.contains(ReceiveFlags::OOB));
        let (_, len, from) = net::recvfrom(&self.fd, buf, native).map_err(from_host)?;
        let from = from.map(internet).transpose()?;
        Ok(Incoming { len, from })
    }

    /// Ends directions.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: ShutdownHow) -> Result<(), Errno> {
        let how = match how {
            ShutdownHow::Read => Shutdown::Read,
            ShutdownHow::Write => Shutdown::Write,
            ShutdownHow::Both => Shutdown::Both,
        };
        net::shutdown(&self.fd, how).map_err(from_host)
    }

    /// What it is ready for now.
    #[must_use]
    pub fn ready(&self) -> PollEvents {
        let asked = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | system::PEER_CLOSED;
        let mut fds = [PollFd::new(&self.fd, asked)];
        // A failure is nothing to report now; the next edge asks again.
        if rustix::event::poll(&mut fds, Some(&Timespec::default())).is_err() {
            return PollEvents::empty();
        }
        let found = fds[0].revents();
        let mut ready = PollEvents::empty();
        ready.set(PollEvents::READABLE, found.contains(PollFlags::IN));
        ready.set(PollEvents::WRITABLE, found.contains(PollFlags::OUT));
        ready.set(PollEvents::PRI, found.contains(PollFlags::PRI));
        ready.set(PollEvents::ERR, found.contains(PollFlags::ERR));
        ready.set(PollEvents::HUP, found.contains(PollFlags::HUP));
        ready.set(PollEvents::RDHUP, found.intersects(system::PEER_CLOSED));
        ready
    }

    /// Takes the pending error.
    ///
    /// # Errors
    /// The error.
    pub fn take_error(&self) -> Result<(), Errno> {
        match net::sockopt::socket_error(&self.fd) {
            Ok(pending) => pending.map_err(from_host),
            Err(error) => Err(from_host(error)),
        }
    }

    /// Bytes that can be read at once.
    ///
    /// # Errors
    /// What the host answers.
    pub fn unread(&self) -> Result<u64, Errno> {
        rustix::io::ioctl_fionread(&self.fd).map_err(from_host)
    }

    /// The value of an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` when the host does not have it.
    pub fn option(&self, option: SocketOption) -> Result<i32, Errno> {
        system::get_option(self.fd.as_fd(), option)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` when the host does not have it, `EINVAL`, `EPERM`.
    pub fn set_option(&self, option: SocketOption, value: i32) -> Result<(), Errno> {
        system::set_option(self.fd.as_fd(), option, value)
    }

    /// How long closing waits for what is unsent (`SO_LINGER`).
    ///
    /// # Errors
    /// What the host answers.
    pub fn linger(&self) -> Result<Option<Duration>, Errno> {
        system::linger(self.fd.as_fd())
    }

    /// Sets how long closing waits for what is unsent.
    ///
    /// # Errors
    /// What the host answers.
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<(), Errno> {
        system::set_linger(self.fd.as_fd(), linger)
    }
}
