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

/// `TCP_CORK` by its name there.
pub(super) const CORK: c_int = libc::TCP_NOPUSH;
/// `TCP_KEEPIDLE` by its name there.
pub(super) const KEEP_IDLE: c_int = libc::TCP_KEEPALIVE;

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

const fn is_buffer(option: SocketOption) -> bool {
    matches!(
        option,
        SocketOption::SendBuffer | SocketOption::ReceiveBuffer
    )
}

pub(super) fn get_option(fd: BorrowedFd<'_>, option: SocketOption) -> Result<i32, Errno> {
    let (level, name) = option::native(option);
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
    let (level, name) = option::native(option);
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
