// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets of the Internet: what `socket.rs` and `message.rs` do for them.
//!
//! Raw sockets are refused as on Linux without `CAP_NET_RAW`, echo requests as with
//! an empty `net.ipv4.ping_group_range`. Linux 6.12 `net/ipv4/af_inet.c`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::ControlFlow;
use std::sync::Arc;

use elfuse_machine::host::net::{Family, Kind, ReceiveFlags, SendFlags, ShutdownHow};
use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::inet::{self as abi, SockaddrIn, SockaddrIn6};
use linux_abi::socket as flag;
use zerocopy::{FromBytes, IntoBytes};

use super::message::sent;
use super::rw::AGAIN;
use super::socket::{Socket, accepted, address_bytes, deadline};
use crate::error::{Restart, SysErr, SysResult};
use crate::file::{OpenFile, UserBuf};
use crate::mm::UserAddr;
use crate::net::inet::{InetSocket, Received};
use crate::net::unix::Shutdown;
use crate::syscall::args::UserPtr;
use crate::task::Task;

/// The family that a number means.
pub(super) fn family_arg(family: i32) -> Option<Family> {
    match u16::try_from(family) {
        Ok(abi::AF_INET) => Some(Family::V4),
        Ok(abi::AF_INET6) => Some(Family::V6),
        _ => None,
    }
}

/// Makes a socket.
pub(super) fn open(
    t: &Arc<Task>,
    family: Family,
    kind: u32,
    protocol: i32,
    flags: OpenFlags,
) -> SysResult<Arc<OpenFile>> {
    let network = t.kernel().network().ok_or(Errno::EAFNOSUPPORT)?;
    if !(0..abi::IPPROTO_MAX).contains(&protocol) {
        return Err(Errno::EINVAL.into());
    }
    let echo = match family {
        Family::V4 => abi::IPPROTO_ICMP,
        Family::V6 => abi::IPPROTO_ICMPV6,
    };
    let kind = match (kind, protocol) {
        (flag::SOCK_STREAM, 0 | abi::IPPROTO_TCP) => Kind::Stream,
        (flag::SOCK_DGRAM, 0 | abi::IPPROTO_UDP) => Kind::Datagram,
        (flag::SOCK_DGRAM, _) if protocol == echo => return Err(Errno::EACCES.into()),
        (flag::SOCK_STREAM | flag::SOCK_DGRAM, _) => return Err(Errno::EPROTONOSUPPORT.into()),
        (flag::SOCK_RAW, 0) => return Err(Errno::EPROTONOSUPPORT.into()),
        (flag::SOCK_RAW, _) => return Err(Errno::EPERM.into()),
        (0..=10, _) => return Err(Errno::ESOCKTNOSUPPORT.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    let socket = InetSocket::new(network, family, kind)?;
    Ok(t.kernel().files().open_socket(socket, flags))
}

/// An address as programs see it.
pub(super) fn encode(address: SocketAddr) -> Vec<u8> {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(address) => SockaddrIn {
            family: abi::AF_INET,
            port,
            addr: address.ip().octets(),
            zero: [0; 8],
        }
        .as_bytes()
        .to_vec(),
        SocketAddr::V6(address) => SockaddrIn6 {
            family: abi::AF_INET6,
            port,
            flow: address.flowinfo().to_be_bytes(),
            addr: address.ip().octets(),
            scope: address.scope_id(),
        }
        .as_bytes()
        .to_vec(),
    }
}

fn v4(bytes: &[u8]) -> Result<SocketAddr, Errno> {
    let (address, _) = SockaddrIn::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?;
    let port = u16::from_be_bytes(address.port);
    Ok(SocketAddrV4::new(address.addr.into(), port).into())
}

fn v6(bytes: &[u8]) -> Result<SocketAddr, Errno> {
    if bytes.len() < abi::SOCKADDR_IN6_MIN {
        return Err(Errno::EINVAL);
    }
    let mut whole = [0; size_of::<SockaddrIn6>()];
    let len = bytes.len().min(whole.len());
    whole[..len].copy_from_slice(&bytes[..len]);
    let address = SockaddrIn6::read_from_bytes(&whole).map_err(|_| Errno::EINVAL)?;
    let (port, flow) = (
        u16::from_be_bytes(address.port),
        u32::from_be_bytes(address.flow),
    );
    Ok(SocketAddrV6::new(address.addr.into(), port, flow, address.scope).into())
}

fn family_of(bytes: &[u8]) -> Result<u16, Errno> {
    let family = bytes.first_chunk::<2>().ok_or(Errno::EINVAL)?;
    Ok(u16::from_le_bytes(*family))
}

/// An address to connect or send to.
fn peer_arg(inet: &InetSocket, bytes: &[u8]) -> Result<SocketAddr, Errno> {
    let family = family_of(bytes)?;
    match (inet.family(), family) {
        (Family::V4, abi::AF_INET) => v4(bytes),
        (Family::V6, abi::AF_INET6) => v6(bytes),
        (Family::V6, abi::AF_INET) if inet.kind() == Kind::Datagram => {
            let SocketAddr::V4(address) = v4(bytes)? else {
                return Err(Errno::EINVAL);
            };
            let ip = address.ip().to_ipv6_mapped();
            Ok(SocketAddr::new(IpAddr::V6(ip), address.port()))
        }
        (Family::V4, _) if bytes.len() < size_of::<SockaddrIn>() => Err(Errno::EINVAL),
        (Family::V6, _) if bytes.len() < abi::SOCKADDR_IN6_MIN => Err(Errno::EINVAL),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

pub(super) fn bind(t: &Task, inet: &InetSocket, addr: UserAddr, len: u32) -> SysResult {
    let bytes = address_bytes(t, addr, len)?;
    let address = match inet.family() {
        Family::V4 => v4(&bytes)?,
        Family::V6 => v6(&bytes)?,
    };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    match (inet.family(), family_of(&bytes)?) {
        (Family::V4, abi::AF_INET) | (Family::V6, abi::AF_INET6) => {}
        (Family::V4, flag::AF_UNSPEC) if address.ip() == any => {}
        _ => return Err(Errno::EAFNOSUPPORT.into()),
    }
    inet.bind(address)?;
    Ok(0)
}

pub(super) async fn connect(
    t: &Arc<Task>,
    socket: &Socket,
    inet: &InetSocket,
    addr: UserAddr,
    len: u32,
) -> SysResult {
    let bytes = address_bytes(t, addr, len)?;
    if family_of(&bytes)? == flag::AF_UNSPEC {
        inet.host().disconnect()?;
        return Ok(0);
    }
    let address = peer_arg(inet, &bytes)?;
    match inet.try_connect(address) {
        Err(Errno::EINPROGRESS | Errno::EALREADY) if !socket.is_nonblocking() => {}
        outcome => return Ok(outcome.map(|()| 0)?),
    }
    let until = deadline(t, inet.timeouts().send);
    let attempt = || inet.connected(address);
    let connected = t
        .wait_for(inet.queue(), until, Restart::Sys, attempt)
        .await?;
    connected.unwrap_or(Err(Errno::EINPROGRESS))?;
    Ok(0)
}

pub(super) async fn accept(
    t: &Arc<Task>,
    socket: &Socket,
    inet: &InetSocket,
    addr: UserAddr,
    len: UserPtr<i32>,
    flags: OpenFlags,
) -> SysResult {
    let attempt = || {
        let new = inet.try_accept();
        (new.as_ref().err() != Some(&Errno::EAGAIN)).then_some(new)
    };
    let new = if socket.is_nonblocking() {
        attempt().unwrap_or(Err(Errno::EAGAIN))
    } else {
        let until = deadline(t, inet.timeouts().receive);
        let waited = t
            .wait_for(inet.queue(), until, Restart::Sys, attempt)
            .await?;
        waited.unwrap_or(Err(Errno::EAGAIN))
    };
    let (new, from) = new?;
    accepted(t, new, &encode(from), addr, len, flags)
}

pub(super) fn shutdown(inet: &InetSocket, how: Shutdown) -> Result<(), Errno> {
    inet.shutdown(match how {
        Shutdown::Read => ShutdownHow::Read,
        Shutdown::Write => ShutdownHow::Write,
        Shutdown::Both => ShutdownHow::Both,
    })?;
    // The host tells others of it, not the one who did it.
    inet.queue().wake_all();
    Ok(())
}

/// Where a message goes; a stream's connection knows.
pub(super) fn target_arg(
    t: &Task,
    inet: &InetSocket,
    addr: UserAddr,
    len: u32,
) -> Result<Option<SocketAddr>, Errno> {
    if addr.is_null() || len == 0 {
        return Ok(None);
    }
    let bytes = address_bytes(t, addr, len)?;
    if inet.kind() == Kind::Stream {
        return Ok(None);
    }
    let address = match (inet.family(), family_of(&bytes)?) {
        (Family::V4, flag::AF_UNSPEC) => v4(&bytes)?,
        _ => peer_arg(inet, &bytes)?,
    };
    if address.port() == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Some(address))
}

pub(super) async fn send(
    t: &Arc<Task>,
    socket: &Socket,
    inet: &InetSocket,
    buf: &UserBuf,
    to: Option<SocketAddr>,
    flags: u32,
) -> SysResult {
    if flags & flag::MSG_FASTOPEN != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let mut how = SendFlags::empty();
    how.set(SendFlags::OOB, flags & flag::MSG_OOB != 0);
    how.set(SendFlags::MORE, flags & flag::MSG_MORE != 0);
    let nonblock = socket.is_nonblocking() || flags & flag::MSG_DONTWAIT != 0;
    let until = deadline(t, inet.timeouts().send);
    let mut rest = buf.clone();
    // A stream goes on until everything is sent.
    let mut attempt = || match inet.try_send(&mut rest, to, how) {
        Ok(_) if rest.is_empty() || inet.kind() == Kind::Datagram => {
            Some(ControlFlow::Break(Ok(())))
        }
        Ok(_) => Some(ControlFlow::Continue(())),
        Err(Errno::EAGAIN) => None,
        Err(error) => Some(ControlFlow::Break(Err(error))),
    };
    let outcome = loop {
        let step = match attempt() {
            None if !nonblock => {
                let waited = t.wait_for(inet.queue(), until, Restart::Sys, &mut attempt);
                waited.await.and_then(|step| step.ok_or(AGAIN))
            }
            step => step.ok_or(AGAIN),
        };
        match step {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(end)) => break end.map_err(SysErr::from),
            Err(error) => break Err(error),
        }
    };
    let signals = inet.kind() == Kind::Stream && flags & flag::MSG_NOSIGNAL == 0;
    sent(t, buf.len() - rest.len(), outcome, signals)
}

pub(super) async fn receive(
    t: &Arc<Task>,
    socket: &Socket,
    inet: &InetSocket,
    buf: &UserBuf,
    flags: u32,
) -> SysResult<Received> {
    if flags & flag::MSG_ERRQUEUE != 0 {
        return Err(AGAIN);
    }
    let mut how = ReceiveFlags::empty();
    how.set(ReceiveFlags::PEEK, flags & flag::MSG_PEEK != 0);
    how.set(ReceiveFlags::OOB, flags & flag::MSG_OOB != 0);
    // Urgent data is never waited for.
    let nonblock = socket.is_nonblocking() || flags & (flag::MSG_DONTWAIT | flag::MSG_OOB) != 0;
    let wants_all = inet.kind() == Kind::Stream
        && flags & flag::MSG_WAITALL != 0
        && !how.contains(ReceiveFlags::PEEK);
    let until = deadline(t, inet.timeouts().receive);
    let mut rest = buf.clone();
    let mut total = Received::default();
    loop {
        let mut attempt = || {
            let got = inet.try_receive(&mut rest, how);
            (got.as_ref().err() != Some(&Errno::EAGAIN)).then_some(got)
        };
        let got = match attempt() {
            None if !nonblock => {
                let waited = t.wait_for(inet.queue(), until, Restart::Sys, attempt);
                waited.await.and_then(|got| Ok(got.ok_or(AGAIN)??))
            }
            got => got.ok_or(AGAIN).and_then(|got| Ok(got?)),
        };
        let got = match got {
            Ok(got) => got,
            Err(_) if total.len > 0 => return Ok(total),
            Err(error) => return Err(error),
        };
        total.len += got.len;
        total.total += got.total;
        total.from = got.from;
        if !wants_all || got.len == 0 || rest.is_empty() {
            return Ok(total);
        }
    }
}

/// With `MSG_TRUNC` a message's real length is reported.
pub(super) fn reported_len(inet: &InetSocket, got: &Received, flags: u32) -> usize {
    if flags & flag::MSG_TRUNC != 0 && inet.kind() == Kind::Datagram {
        got.total
    } else {
        got.len
    }
}
