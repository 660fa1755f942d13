// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets need of Linux.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use linux_abi::Errno;
use rustix::event::PollFlags;
use rustix::net::SendFlags;

use super::option::{self, SocketOption};
use crate::host::from_host;

/// Flags of every send.
pub(super) const SEND: SendFlags = SendFlags::NOSIGNAL;
/// The hint that more follows.
pub(super) const MORE: SendFlags = SendFlags::MORE;
/// The peer sends no more.
pub(super) const PEER_CLOSED: PollFlags = PollFlags::RDHUP;

/// Done to every new socket.
#[expect(clippy::unnecessary_wraps, reason = "the other host's can fail")]
pub(super) fn prepare(_fd: BorrowedFd<'_>) -> Result<(), Errno> {
    Ok(())
}

pub(super) fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::net::connect_unspec(fd).map_err(from_host)
}

/// Level and name.
const fn native(option: SocketOption) -> (c_int, c_int) {
    use SocketOption as O;
    use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
    match option {
        O::ReuseAddress => (SOL_SOCKET, libc::SO_REUSEADDR),
        O::ReusePort => (SOL_SOCKET, libc::SO_REUSEPORT),
        O::KeepAlive => (SOL_SOCKET, libc::SO_KEEPALIVE),
        O::Broadcast => (SOL_SOCKET, libc::SO_BROADCAST),
        O::OobInline => (SOL_SOCKET, libc::SO_OOBINLINE),
        O::SendBuffer => (SOL_SOCKET, libc::SO_SNDBUF),
        O::ReceiveBuffer => (SOL_SOCKET, libc::SO_RCVBUF),
        O::ReceiveLowWater => (SOL_SOCKET, libc::SO_RCVLOWAT),
        O::IsListening => (SOL_SOCKET, libc::SO_ACCEPTCONN),
        O::NoDelay => (IPPROTO_TCP, libc::TCP_NODELAY),
        O::MaxSegment => (IPPROTO_TCP, libc::TCP_MAXSEG),
        O::Cork => (IPPROTO_TCP, libc::TCP_CORK),
        O::KeepIdle => (IPPROTO_TCP, libc::TCP_KEEPIDLE),
        O::KeepInterval => (IPPROTO_TCP, libc::TCP_KEEPINTVL),
        O::KeepCount => (IPPROTO_TCP, libc::TCP_KEEPCNT),
        O::TypeOfService => (IPPROTO_IP, libc::IP_TOS),
        O::TimeToLive => (IPPROTO_IP, libc::IP_TTL),
        O::MulticastTtl => (IPPROTO_IP, libc::IP_MULTICAST_TTL),
        O::MulticastLoop => (IPPROTO_IP, libc::IP_MULTICAST_LOOP),
        O::OnlyV6 => (IPPROTO_IPV6, libc::IPV6_V6ONLY),
        O::UnicastHops => (IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
        O::MulticastHops => (IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
        O::MulticastLoopV6 => (IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
        O::TrafficClass => (IPPROTO_IPV6, libc::IPV6_TCLASS),
    }
}

pub(super) fn get_option(fd: BorrowedFd<'_>, option: SocketOption) -> Result<i32, Errno> {
    let (level, name) = native(option);
    option::get(fd, level, name)
}

pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    option: SocketOption,
    value: i32,
) -> Result<(), Errno> {
    let (level, name) = native(option);
    option::set(fd, level, name, &value)
}

pub(super) fn linger(fd: BorrowedFd<'_>) -> Result<Option<Duration>, Errno> {
    rustix::net::sockopt::socket_linger(fd).map_err(from_host)
}

pub(super) fn set_linger(fd: BorrowedFd<'_>, linger: Option<Duration>) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_linger(fd, linger).map_err(from_host)
}
