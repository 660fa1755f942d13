// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket options whose value is one number, by a name that both hosts know.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};

use linux_abi::Errno;
use rustix::io::Errno as Host;

use super::system;
use crate::host::from_host;

/// An option that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    ReuseAddress,
    /// `SO_REUSEPORT`.
    ReusePort,
    /// `SO_KEEPALIVE`.
    KeepAlive,
    /// `SO_BROADCAST`.
    Broadcast,
    /// `SO_OOBINLINE`.
    OobInline,
    /// `SO_SNDBUF`; Linux answers twice what was set.
    SendBuffer,
    /// `SO_RCVBUF`; likewise.
    ReceiveBuffer,
    /// `SO_RCVLOWAT`.
    ReceiveLowWater,
    /// `SO_ACCEPTCONN`; only read.
    IsListening,
    /// `TCP_NODELAY`.
    NoDelay,
    /// `TCP_MAXSEG`.
    MaxSegment,
    /// `TCP_CORK`, `TCP_NOPUSH`.
    Cork,
    /// `TCP_KEEPIDLE`, seconds.
    KeepIdle,
    /// `TCP_KEEPINTVL`, seconds.
    KeepInterval,
    /// `TCP_KEEPCNT`.
    KeepCount,
    /// `IP_TOS`.
    TypeOfService,
    /// `IP_TTL`.
    TimeToLive,
    /// `IP_MULTICAST_TTL`.
    MulticastTtl,
    /// `IP_MULTICAST_LOOP`.
    MulticastLoop,
    /// `IPV6_V6ONLY`.
    OnlyV6,
    /// `IPV6_UNICAST_HOPS`.
    UnicastHops,
    /// `IPV6_MULTICAST_HOPS`.
    MulticastHops,
    /// `IPV6_MULTICAST_LOOP`.
    MulticastLoopV6,
    /// `IPV6_TCLASS`.
    TrafficClass,
}

/// Level and name as the host has them.
pub(super) const fn native(option: SocketOption) -> (c_int, c_int) {
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
        O::Cork => (IPPROTO_TCP, system::CORK),
        O::KeepIdle => (IPPROTO_TCP, system::KEEP_IDLE),
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

fn last_error() -> Errno {
    let error = std::io::Error::last_os_error();
    Host::from_io_error(&error).map_or(Errno::EIO, from_host)
}

fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// Reads an option by its native numbers.
pub(super) fn get<T: Default>(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> Result<T, Errno> {
    let mut value = T::default();
    let mut len = length::<T>();
    let place = (&raw mut value).cast::<c_void>();
    // SAFETY: `place` has room for `len` bytes; every bit pattern is a `T`, which is a
    // number or a pair of them in all uses.
    let outcome = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, place, &raw mut len) };
    if outcome == 0 {
        Ok(value)
    } else {
        Err(last_error())
    }
}

/// Sets an option by its native numbers.
pub(super) fn set<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> Result<(), Errno> {
    let place = std::ptr::from_ref(value).cast::<c_void>();
    // SAFETY: `place` has as many bytes as are named.
    let outcome = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, place, length::<T>()) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}
