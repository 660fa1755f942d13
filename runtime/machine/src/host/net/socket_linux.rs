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

/// `TCP_CORK`.
pub(super) const CORK: c_int = libc::TCP_CORK;
/// `TCP_KEEPIDLE`.
pub(super) const KEEP_IDLE: c_int = libc::TCP_KEEPIDLE;

/// Done to every new socket.
#[expect(clippy::unnecessary_wraps, reason = "the other host's can fail")]
pub(super) fn prepare(_fd: BorrowedFd<'_>) -> Result<(), Errno> {
    Ok(())
}

pub(super) fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::net::connect_unspec(fd).map_err(from_host)
}

pub(super) fn get_option(fd: BorrowedFd<'_>, option: SocketOption) -> Result<i32, Errno> {
    let (level, name) = option::native(option);
    option::get(fd, level, name)
}

pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    option: SocketOption,
    value: i32,
) -> Result<(), Errno> {
    let (level, name) = option::native(option);
    option::set(fd, level, name, &value)
}

pub(super) fn linger(fd: BorrowedFd<'_>) -> Result<Option<Duration>, Errno> {
    rustix::net::sockopt::socket_linger(fd).map_err(from_host)
}

pub(super) fn set_linger(fd: BorrowedFd<'_>, linger: Option<Duration>) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_linger(fd, linger).map_err(from_host)
}
