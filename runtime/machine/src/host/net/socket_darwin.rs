// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets need of Darwin (facts/macos-host.md, on sockets).
//!
//! Times of `SO_LINGER` are clock ticks there, those of `SO_LINGER_SEC` seconds.
//! Buffer sizes are answered as they were set, where Linux answers twice as much.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use linux_abi::Errno;
use rustix::event::PollFlags;
use rustix::net::SendFlags;

use super::option::{self, SocketOption};
use crate::host::from_host;

/// Flags of every send; `SO_NOSIGPIPE` stands in for Linux's.
pub(super) const SEND: SendFlags = SendFlags::empty();
/// There is no hint that more follows.
pub(super) const MORE: SendFlags = SendFlags::empty();
/// Reading tells, and `POLLHUP` when both directions ended.
pub(super) const PEER_CLOSED: PollFlags = PollFlags::empty();

/// Done to every new socket.
pub(super) fn prepare(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let on: c_int = 1;
    option::set(fd, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, &on)
}

pub(super) fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match rustix::net::connect_unspec(fd) {
        // It has dissolved the association when it says so.
        Ok(()) | Err(rustix::io::Errno::AFNOSUPPORT) => Ok(()),
        Err(error) => Err(from_host(error)),
    }
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
        O::Cork => (IPPROTO_TCP, libc::TCP_NOPUSH),
        O::KeepIdle => (IPPROTO_TCP, libc::TCP_KEEPALIVE),
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

const fn is_buffer(option: SocketOption) -> bool {
    matches!(
        option,
        SocketOption::SendBuffer | SocketOption::ReceiveBuffer
    )
}

pub(super) fn get_option(fd: BorrowedFd<'_>, option: SocketOption) -> Result<i32, Errno> {
    let (level, name) = native(option);
    let value: i32 = option::get(fd, level, name)?;
    Ok(match value {
        _ if is_buffer(option) => value.saturating_mul(2),
        // Flags are read as their bit, not as 1.
        _ if level == libc::SOL_SOCKET && option != SocketOption::ReceiveLowWater => {
            i32::from(value != 0)
        }
        _ => value,
    })
}

pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    option: SocketOption,
    value: i32,
) -> Result<(), Errno> {
    let (level, name) = native(option);
    option::set(fd, level, name, &value)
}

/// `struct linger`.
type Linger = [c_int; 2];

pub(super) fn linger(fd: BorrowedFd<'_>) -> Result<Option<Duration>, Errno> {
    let [is_on, seconds]: Linger = option::get(fd, libc::SOL_SOCKET, libc::SO_LINGER_SEC)?;
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Ok((is_on != 0).then(|| Duration::from_secs(seconds)))
}

pub(super) fn set_linger(fd: BorrowedFd<'_>, linger: Option<Duration>) -> Result<(), Errno> {
    let seconds = linger.map_or(0, |linger| linger.as_secs());
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    let value: Linger = [c_int::from(linger.is_some()), seconds];
    option::set(fd, libc::SOL_SOCKET, libc::SO_LINGER_SEC, &value)
}
