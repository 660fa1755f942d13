// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of sockets: `setsockopt` and `getsockopt`.
//!
//! Time limits are kept here for all families, because here is where calls wait. What
//! else a socket of the Internet has goes to the host by a name that all hosts know.

use std::sync::Arc;
use std::time::Duration;

use elfuse_machine::host::net::{Family, Kind, SocketOption};
use linux_abi::Errno;
use linux_abi::capability::CAP_SYS_ADMIN;
use linux_abi::inet as net;
use linux_abi::socket as abi;
use linux_abi::time::Timeval;
use zerocopy::{FromBytes, IntoBytes};

use super::socket::{End, Socket};
use crate::error::SysResult;
use crate::file::Fd;
use crate::mm::UserAddr;
use crate::net::inet::InetSocket;
use crate::net::unix::{PeerCred, UnixSocket};
use crate::syscall::args::UserPtr;
use crate::task::Task;

/// Buffer sizes that programs are told of local sockets.
const BUFFER: i32 = 212_992;
/// Bytes of an option that are looked at: the longest is a `struct timeval`.
const VALUE_MAX: usize = 16;
/// Options that change nothing for local sockets: accepted and read back as 0.
const INERT: [i32; 9] = [1, 2, 5, 6, 9, 10, 11, 12, 15];
/// Buffer sizes beyond the limit of the system.
const SO_SNDBUFFORCE: i32 = 32;
const SO_RCVBUFFORCE: i32 = 33;
/// Bytes that wake a sender; always 1.
const SO_SNDLOWAT: i32 = 19;

/// The value of an option that a program passed.
struct Value(Vec<u8>);

impl Value {
    fn number(&self) -> Result<i32, Errno> {
        let bytes = self.0.first_chunk().ok_or(Errno::EINVAL)?;
        Ok(i32::from_le_bytes(*bytes))
    }

    /// Options of the Internet protocol take a single byte as well.
    fn number_or_byte(&self) -> Result<i32, Errno> {
        match self.0.as_slice() {
            [byte] | [byte, _] | [byte, _, _] => Ok(i32::from(*byte)),
            _ => self.number(),
        }
    }

    fn wait(&self) -> Result<Option<Duration>, Errno> {
        let (time, _) = Timeval::read_from_prefix(&self.0).map_err(|_| Errno::EINVAL)?;
        let ns = time.to_nanos().ok_or(Errno::EDOM)?;
        Ok((ns > 0).then(|| Duration::from_nanos(ns)))
    }
}

fn number(n: i32) -> Vec<u8> {
    n.to_le_bytes().to_vec()
}

fn timeval(wait: Option<Duration>) -> Vec<u8> {
    let ns = wait.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
    Timeval::from_nanos(ns).as_bytes().to_vec()
}

fn pending(error: Option<Errno>) -> Vec<u8> {
    number(error.map_or(0, |error| i32::from(error.raw())))
}

/// `setsockopt(2)`.
pub(crate) fn setsockopt(
    t: &Arc<Task>,
    fd: Fd,
    level: i32,
    option: i32,
    addr: UserAddr,
    len: i32,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    let fetch = || {
        let mut value = vec![0; len.min(VALUE_MAX)];
        t.copy_in(addr, &mut value)?;
        Ok::<_, Errno>(Value(value))
    };
    match socket.end()? {
        End::Unix(_) if level != abi::SOL_SOCKET => return Err(Errno::EOPNOTSUPP.into()),
        _ if level == abi::SOL_SOCKET && len < 4 => return Err(Errno::EINVAL.into()),
        End::Unix(unix) => set_local(t, unix, option, &fetch()?)?,
        End::Inet(inet) => set_inet(inet, level, option, &fetch()?)?,
    }
    Ok(0)
}

fn set_local(t: &Task, unix: &UnixSocket, option: i32, value: &Value) -> Result<(), Errno> {
    match option {
        abi::SO_RCVTIMEO | abi::SO_SNDTIMEO => {
            unix.set_timeout(option == abi::SO_RCVTIMEO, value.wait()?);
        }
        abi::SO_PASSCRED => unix.set_passes_cred(value.number()? != 0),
        SO_SNDBUFFORCE | SO_RCVBUFFORCE if !t.creds().has_cap(CAP_SYS_ADMIN) => {
            return Err(Errno::EPERM);
        }
        abi::SO_SNDBUF | abi::SO_RCVBUF | SO_SNDBUFFORCE | SO_RCVBUFFORCE => {}
        abi::SO_LINGER | abi::SO_RCVLOWAT => {}
        _ if INERT.contains(&option) => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

fn set_inet(inet: &InetSocket, level: i32, option: i32, value: &Value) -> Result<(), Errno> {
    match (level, option) {
        (abi::SOL_SOCKET, abi::SO_RCVTIMEO | abi::SO_SNDTIMEO) => {
            inet.set_timeout(option == abi::SO_RCVTIMEO, value.wait()?);
            Ok(())
        }
        (abi::SOL_SOCKET, abi::SO_LINGER) => {
            let (pair, _) = <[i32; 2]>::read_from_prefix(&value.0).map_err(|_| Errno::EINVAL)?;
            let seconds = u64::from(pair[1].cast_unsigned());
            inet.host()
                .set_linger((pair[0] != 0).then(|| Duration::from_secs(seconds)))
        }
        (net::SOL_IP, net::IP_RECVERR) => {
            inet.set_wants_errors(Family::V4, value.number_or_byte()? != 0);
            Ok(())
        }
        (net::SOL_IPV6, net::IPV6_RECVERR) => {
            inet.set_wants_errors(Family::V6, value.number()? != 0);
            Ok(())
        }
        _ => {
            let name = host_option(level, option).filter(|&name| name != SocketOption::IsListening);
            let name = name.ok_or(Errno::ENOPROTOOPT)?;
            let number = if level == net::SOL_IP {
                value.number_or_byte()?
            } else {
                value.number()?
            };
            inet.host().set_option(name, number)
        }
    }
}

/// The host's name of an option that is a number.
const fn host_option(level: i32, option: i32) -> Option<SocketOption> {
    use SocketOption as O;
    Some(match (level, option) {
        (abi::SOL_SOCKET, abi::SO_REUSEADDR) => O::ReuseAddress,
        (abi::SOL_SOCKET, abi::SO_REUSEPORT) => O::ReusePort,
        (abi::SOL_SOCKET, abi::SO_KEEPALIVE) => O::KeepAlive,
        (abi::SOL_SOCKET, abi::SO_BROADCAST) => O::Broadcast,
        (abi::SOL_SOCKET, abi::SO_OOBINLINE) => O::OobInline,
        (abi::SOL_SOCKET, abi::SO_SNDBUF) => O::SendBuffer,
        (abi::SOL_SOCKET, abi::SO_RCVBUF) => O::ReceiveBuffer,
        (abi::SOL_SOCKET, abi::SO_RCVLOWAT) => O::ReceiveLowWater,
        (abi::SOL_SOCKET, abi::SO_ACCEPTCONN) => O::IsListening,
        (net::SOL_TCP, net::TCP_NODELAY) => O::NoDelay,
        (net::SOL_TCP, net::TCP_MAXSEG) => O::MaxSegment,
        (net::SOL_TCP, net::TCP_CORK) => O::Cork,
        (net::SOL_TCP, net::TCP_KEEPIDLE) => O::KeepIdle,
        (net::SOL_TCP, net::TCP_KEEPINTVL) => O::KeepInterval,
        (net::SOL_TCP, net::TCP_KEEPCNT) => O::KeepCount,
        (net::SOL_IP, net::IP_TOS) => O::TypeOfService,
        (net::SOL_IP, net::IP_TTL) => O::TimeToLive,
        (net::SOL_IP, net::IP_MULTICAST_TTL) => O::MulticastTtl,
        (net::SOL_IP, net::IP_MULTICAST_LOOP) => O::MulticastLoop,
        (net::SOL_IPV6, net::IPV6_V6ONLY) => O::OnlyV6,
        (net::SOL_IPV6, net::IPV6_UNICAST_HOPS) => O::UnicastHops,
        (net::SOL_IPV6, net::IPV6_MULTICAST_HOPS) => O::MulticastHops,
        (net::SOL_IPV6, net::IPV6_MULTICAST_LOOP) => O::MulticastLoopV6,
        (net::SOL_IPV6, net::IPV6_TCLASS) => O::TrafficClass,
        _ => return None,
    })
}

/// `getsockopt(2)`.
pub(crate) fn getsockopt(
    t: &Arc<Task>,
    fd: Fd,
    level: i32,
    option: i32,
    addr: UserAddr,
    len: UserPtr<i32>,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let room = usize::try_from(len.read(t)?).map_err(|_| Errno::EINVAL)?;
    let value = match socket.end()? {
        End::Unix(_) if level != abi::SOL_SOCKET => return Err(Errno::EOPNOTSUPP.into()),
        End::Unix(unix) => local(unix, option)?,
        End::Inet(inet) => of_inet(inet, level, option)?,
    };
    let value = &value[..value.len().min(room)];
    t.copy_out(addr, value)?;
    len.write(t, &i32::try_from(value.len()).unwrap_or(0))?;
    Ok(0)
}

fn local(unix: &UnixSocket, option: i32) -> Result<Vec<u8>, Errno> {
    Ok(match option {
        abi::SO_TYPE => number(unix.kind().number()),
        abi::SO_ERROR => pending(unix.take_error()),
        abi::SO_DOMAIN => number(i32::from(abi::AF_UNIX)),
        abi::SO_PROTOCOL => number(0),
        abi::SO_SNDBUF | abi::SO_RCVBUF => number(BUFFER),
        abi::SO_ACCEPTCONN => number(i32::from(unix.is_listening())),
        abi::SO_PASSCRED => number(i32::from(unix.passes_cred())),
        abi::SO_PEERCRED => {
            let nobody = PeerCred {
                pid: 0,
                uid: u32::MAX,
                gid: u32::MAX,
            };
            let cred = unix.peer_cred().unwrap_or(nobody);
            abi::Ucred {
                pid: cred.pid,
                uid: cred.uid,
                gid: cred.gid,
            }
            .as_bytes()
            .to_vec()
        }
        abi::SO_RCVTIMEO => timeval(unix.timeouts().receive),
        abi::SO_SNDTIMEO => timeval(unix.timeouts().send),
        abi::SO_LINGER => vec![0; 8],
        abi::SO_RCVLOWAT | SO_SNDLOWAT => number(1),
        _ if INERT.contains(&option) => number(0),
        _ => return Err(Errno::ENOPROTOOPT),
    })
}

fn of_inet(inet: &InetSocket, level: i32, option: i32) -> Result<Vec<u8>, Errno> {
    let (kind, protocol) = match inet.kind() {
        Kind::Stream => (1, net::IPPROTO_TCP),
        Kind::Datagram => (2, net::IPPROTO_UDP),
    };
    let family = match inet.family() {
        Family::V4 => net::AF_INET,
        Family::V6 => net::AF_INET6,
    };
    Ok(match (level, option) {
        (abi::SOL_SOCKET, abi::SO_TYPE) => number(kind),
        (abi::SOL_SOCKET, abi::SO_ERROR) => pending(inet.host().take_error().err()),
        (abi::SOL_SOCKET, abi::SO_DOMAIN) => number(i32::from(family)),
        (abi::SOL_SOCKET, abi::SO_PROTOCOL) => number(protocol),
        (abi::SOL_SOCKET, abi::SO_RCVTIMEO) => timeval(inet.timeouts().receive),
        (abi::SOL_SOCKET, abi::SO_SNDTIMEO) => timeval(inet.timeouts().send),
        (abi::SOL_SOCKET, SO_SNDLOWAT) => number(1),
        (abi::SOL_SOCKET, abi::SO_LINGER) => {
            let linger = inet.host().linger()?;
            let seconds = linger.map_or(0, |linger| linger.as_secs());
            let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
            [i32::from(linger.is_some()), seconds].as_bytes().to_vec()
        }
        (net::SOL_IP, net::IP_RECVERR) => number(i32::from(inet.wants_errors(Family::V4))),
        (net::SOL_IPV6, net::IPV6_RECVERR) => number(i32::from(inet.wants_errors(Family::V6))),
        _ => {
            let name = host_option(level, option).ok_or(Errno::ENOPROTOOPT)?;
            number(inet.host().option(name)?)
        }
    })
}
