// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: making, naming and connecting them, and their options.
//!
//! Families that are not there are `EAFNOSUPPORT`, as on a Linux without them.

use std::sync::Arc;
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::capability::CAP_SYS_ADMIN;
use linux_abi::fcntl::OpenFlags;
use linux_abi::socket as abi;
use linux_abi::time::Timeval;
use zerocopy::IntoBytes;

use super::at::{install, start_of};
use super::open::install_pair;
use super::rw::AGAIN;
use crate::error::{Restart, SysResult};
use crate::file::{Fd, OpenFile};
use crate::mm::UserAddr;
use crate::net::unix::{PeerCred, Shutdown, SocketKind, UnixName, UnixSocket};
use crate::syscall::args::UserPtr;
use crate::task::Task;
use crate::vfs::{Access, Kind, NewKind, WalkFlags, create_node, may_access};

/// Longest address of any family.
const ADDR_MAX: usize = 128;
/// Longest path in an address.
const PATH_MAX: usize = 108;
/// Buffer sizes that programs are told.
const BUFFER: i32 = 212_992;

/// A socket and the description it was reached through.
pub(super) struct Socket {
    pub(super) open: Arc<OpenFile>,
}

impl Socket {
    pub(super) fn get(t: &Task, fd: Fd) -> Result<Self, Errno> {
        let open = t.files()?.get(fd)?;
        if open.file().downcast::<UnixSocket>().is_none() {
            return Err(Errno::ENOTSOCK);
        }
        Ok(Self { open })
    }

    pub(super) fn unix(&self) -> Result<&UnixSocket, Errno> {
        self.open.file().downcast().ok_or(Errno::ENOTSOCK)
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.open.flags().contains(OpenFlags::NONBLOCK)
    }
}

fn type_arg(kind: u32) -> Result<(SocketKind, OpenFlags, bool), Errno> {
    let flags = OpenFlags::from_bits_retain(kind & !abi::SOCK_TYPE_MASK);
    if !(flags - (OpenFlags::NONBLOCK | OpenFlags::CLOEXEC)).is_empty() {
        return Err(Errno::EINVAL);
    }
    let socket = match kind & abi::SOCK_TYPE_MASK {
        abi::SOCK_STREAM => SocketKind::Stream,
        abi::SOCK_DGRAM | abi::SOCK_RAW => SocketKind::Datagram,
        abi::SOCK_SEQPACKET => SocketKind::SeqPacket,
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    Ok((
        socket,
        flags - OpenFlags::CLOEXEC,
        flags.contains(OpenFlags::CLOEXEC),
    ))
}

fn check_family(family: i32, protocol: i32) -> Result<(), Errno> {
    let unix = i32::from(abi::AF_UNIX);
    if family != unix {
        return Err(Errno::EAFNOSUPPORT);
    }
    if protocol != 0 && protocol != unix {
        Err(Errno::EPROTONOSUPPORT)
    } else {
        Ok(())
    }
}

pub(super) fn own_cred(t: &Arc<Task>) -> PeerCred {
    t.as_caller(PeerCred::of)
}

/// `socket(2)`.
pub(crate) fn socket(t: &Arc<Task>, family: i32, kind: u32, protocol: i32) -> SysResult {
    let flags = OpenFlags::from_bits_retain(kind & !abi::SOCK_TYPE_MASK);
    if !(flags - (OpenFlags::NONBLOCK | OpenFlags::CLOEXEC)).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    check_family(family, protocol)?;
    let (kind, flags, cloexec) = type_arg(kind)?;
    let open = t.kernel().files().open_socket(UnixSocket::new(kind), flags);
    Ok(install(t, open, cloexec)?)
}

/// `socketpair(2)`.
pub(crate) fn socketpair(
    t: &Arc<Task>,
    family: i32,
    kind: u32,
    protocol: i32,
    fds: UserAddr,
) -> SysResult {
    check_family(family, protocol)?;
    let (kind, flags, cloexec) = type_arg(kind)?;
    let (a, b) = UnixSocket::pair(kind, own_cred(t));
    let files = t.kernel().files();
    install_pair(
        t,
        fds,
        [files.open_socket(a, flags), files.open_socket(b, flags)],
        cloexec,
    )
}

/// An address that a program passed.
pub(super) enum Address {
    /// Dissolves an association.
    Unspecified,
    /// A name to be chosen (autobind).
    Unnamed,
    /// A name.
    Name(UnixName),
}

pub(super) fn address_arg(t: &Task, addr: UserAddr, len: u32) -> Result<Address, Errno> {
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len <= ADDR_MAX)
        .ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    t.copy_in(addr, &mut bytes)?;
    let (family, rest) = bytes.split_at_checked(2).ok_or(Errno::EINVAL)?;
    let family = u16::from_le_bytes([family[0], family[1]]);
    if family == abi::AF_UNSPEC {
        return Ok(Address::Unspecified);
    }
    if family != abi::AF_UNIX || rest.len() > PATH_MAX {
        return Err(Errno::EINVAL);
    }
    Ok(match rest.first() {
        None => Address::Unnamed,
        Some(0) => Address::Name(UnixName::Abstract(rest[1..].into())),
        Some(_) => {
            let end = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
            Address::Name(UnixName::Path(rest[..end].into()))
        }
    })
}

fn encode_address(name: Option<&UnixName>) -> Vec<u8> {
    let mut bytes = abi::AF_UNIX.to_le_bytes().to_vec();
    match name {
        None => {}
        Some(UnixName::Abstract(name)) => {
            bytes.push(0);
            bytes.extend_from_slice(name);
        }
        Some(UnixName::Path(path)) => {
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
    }
    bytes
}

/// Stores an address in a buffer whose length is at `len`; the length becomes the
/// real one, even when the buffer was too small.
pub(super) fn store_address(
    t: &Task,
    name: Option<&UnixName>,
    addr: UserAddr,
    len: UserPtr<i32>,
) -> Result<(), Errno> {
    let room = usize::try_from(len.read(t)?).map_err(|_| Errno::EINVAL)?;
    let bytes = encode_address(name);
    t.copy_out(addr, &bytes[..bytes.len().min(room)])?;
    len.write(t, &i32::try_from(bytes.len()).unwrap_or(0))
}

/// The same, for the header of `recvmsg`; answers the real length.
pub(super) fn store_name(
    t: &Task,
    name: Option<&UnixName>,
    addr: UserAddr,
    room: u32,
) -> Result<u32, Errno> {
    let Some(name) = name else { return Ok(0) };
    let bytes = encode_address(Some(name));
    let room = usize::try_from(room).unwrap_or(0);
    t.copy_out(addr, &bytes[..bytes.len().min(room)])?;
    Ok(u32::try_from(bytes.len()).unwrap_or(0))
}

/// The socket that a name leads to.
pub(super) fn find(t: &Arc<Task>, name: &UnixName) -> Result<Arc<UnixSocket>, Errno> {
    let files = t.kernel().files();
    let path = match name {
        UnixName::Abstract(name) => return files.unix_names.lookup(name),
        UnixName::Path(path) => path,
    };
    let cwd = Fd(linux_abi::fcntl::AT_FDCWD);
    let at = super::at::walk(t, cwd, path, WalkFlags::FOLLOW)?;
    may_access(&t.fs_cred(), &at.inode().attr()?, Access::WRITE)?;
    if at.inode().kind() != Kind::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    let bound = at
        .inode()
        .attachments()
        .socket()
        .ok_or(Errno::ECONNREFUSED)?;
    bound.downcast().map_err(|_| Errno::ECONNREFUSED)
}

/// `bind(2)`.
pub(crate) fn bind(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let name = address_arg(t, addr, len)?;
    let unix = socket.unix()?;
    let me = unix.this()?;
    if unix.name().is_some() {
        return Err(Errno::EINVAL.into());
    }
    let files = t.kernel().files();
    let mut node = None;
    let name = match name {
        Address::Unspecified => return Err(Errno::EINVAL.into()),
        Address::Unnamed => UnixName::Abstract(files.unix_names.bind_any(&me)?),
        Address::Name(UnixName::Abstract(name)) => {
            files.unix_names.bind(&name, &me)?;
            UnixName::Abstract(name)
        }
        Address::Name(UnixName::Path(path)) => {
            let start = start_of(t, Fd(linux_abi::fcntl::AT_FDCWD), &path)?;
            let fs = t.fs()?;
            let made = t
                .as_caller(|caller| create_node(caller, &fs, start, &path, NewKind::Socket, 0o777));
            let made = made.map_err(|e| {
                if e == Errno::EEXIST {
                    Errno::EADDRINUSE
                } else {
                    e
                }
            })?;
            let weak = Arc::downgrade(&me);
            made.inode().attachments().set_socket(weak);
            node = Some(made);
            UnixName::Path(path)
        }
    };
    unix.set_name(name, node)?;
    Ok(0)
}

/// `listen(2)`.
pub(crate) fn listen(t: &Arc<Task>, fd: Fd, backlog: i32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    socket.unix()?.listen(backlog, own_cred(t))?;
    Ok(0)
}

/// `connect(2)`.
pub(crate) async fn connect(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let unix = socket.unix()?;
    let target = match address_arg(t, addr, len)? {
        Address::Unspecified if unix.kind() == SocketKind::Datagram => {
            unix.disconnect();
            return Ok(0);
        }
        Address::Name(name) => find(t, &name)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    let cred = own_cred(t);
    let attempt = || {
        let connected = unix.try_connect(&target, cred);
        (connected != Err(Errno::EAGAIN)).then_some(connected)
    };
    if socket.is_nonblocking() {
        attempt().unwrap_or(Err(Errno::EAGAIN))?;
        return Ok(0);
    }
    t.wait_for(target.queue(), None, Restart::Sys, attempt)
        .await?
        .unwrap_or(Ok(()))?;
    Ok(0)
}

/// `accept(2)`.
pub(crate) async fn accept(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult {
    accept4(t, fd, addr, len, 0).await
}

/// `accept4(2)`.
pub(crate) async fn accept4(
    t: &Arc<Task>,
    fd: Fd,
    addr: UserAddr,
    len: UserPtr<i32>,
    flags: u32,
) -> SysResult {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - (OpenFlags::NONBLOCK | OpenFlags::CLOEXEC)).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let socket = Socket::get(t, fd)?;
    let unix = socket.unix()?;
    let attempt = || {
        let accepted = unix.try_accept();
        (accepted.as_ref().err() != Some(&Errno::EAGAIN)).then_some(accepted)
    };
    let accepted = match attempt() {
        Some(accepted) => accepted?,
        None if socket.is_nonblocking() => return Err(AGAIN),
        None => {
            let deadline = receive_deadline(t, unix);
            t.wait_for(unix.queue(), deadline, Restart::Sys, attempt)
                .await?
                .ok_or(AGAIN)??
        }
    };
    let name = accepted.peer_name().ok().flatten();
    let cloexec = flags.contains(OpenFlags::CLOEXEC);
    let open = t
        .kernel()
        .files()
        .open_socket(accepted, flags - OpenFlags::CLOEXEC);
    let new = install(t, open, cloexec)?;
    if !addr.is_null() {
        let stored = store_address(t, name.as_ref(), addr, len);
        if let Err(error) = stored {
            let fd = i32::try_from(new).map_err(|_| Errno::EMFILE)?;
            drop(t.files()?.remove(Fd(fd)));
            return Err(error.into());
        }
    }
    Ok(new)
}

pub(super) fn receive_deadline(t: &Task, unix: &UnixSocket) -> Option<crate::time::Deadline> {
    let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    unix.timeouts()
        .receive
        .map(|d| t.kernel().clock().after(nanos(d)))
}

pub(super) fn send_deadline(t: &Task, unix: &UnixSocket) -> Option<crate::time::Deadline> {
    let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    unix.timeouts()
        .send
        .map(|d| t.kernel().clock().after(nanos(d)))
}

/// `getsockname(2)`.
pub(crate) fn getsockname(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult {
    let socket = Socket::get(t, fd)?;
    store_address(t, socket.unix()?.name().as_ref(), addr, len)?;
    Ok(0)
}

/// `getpeername(2)`.
pub(crate) fn getpeername(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult {
    let socket = Socket::get(t, fd)?;
    store_address(t, socket.unix()?.peer_name()?.as_ref(), addr, len)?;
    Ok(0)
}

/// `shutdown(2)`.
pub(crate) fn shutdown(t: &Arc<Task>, fd: Fd, how: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let how = match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL.into()),
    };
    socket.unix()?.shutdown(how)?;
    Ok(0)
}

/// Options that change nothing for local sockets: accepted and read back as 0.
const INERT: [i32; 9] = [1, 2, 5, 6, 9, 10, 11, 12, 15];

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
    let unix = socket.unix()?;
    let len = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
    if level != abi::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if len < 4 {
        return Err(Errno::EINVAL.into());
    }
    match option {
        abi::SO_RCVTIMEO | abi::SO_SNDTIMEO => {
            if len < size_of::<Timeval>() {
                return Err(Errno::EINVAL.into());
            }
            let ns = t
                .read_value::<Timeval>(addr)?
                .to_nanos()
                .ok_or(Errno::EDOM)?;
            let wait = (ns > 0).then(|| Duration::from_nanos(ns));
            unix.set_timeout(option == abi::SO_RCVTIMEO, wait);
        }
        abi::SO_PASSCRED => unix.set_passes_cred(t.read_value::<i32>(addr)? != 0),
        abi::SO_SNDBUF | abi::SO_RCVBUF | 32 | 33 => {
            t.read_value::<i32>(addr)?;
            if option >= 32 && !t.creds().has_cap(CAP_SYS_ADMIN) {
                return Err(Errno::EPERM.into());
            }
        }
        13 | 18 => {
            t.read_value::<i32>(addr)?;
        }
        _ if INERT.contains(&option) => {
            t.read_value::<i32>(addr)?;
        }
        _ => return Err(Errno::ENOPROTOOPT.into()),
    }
    Ok(0)
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
    let unix = socket.unix()?;
    let room = usize::try_from(len.read(t)?).map_err(|_| Errno::EINVAL)?;
    if level != abi::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let timeval = |wait: Option<Duration>| {
        let ns = wait.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        Timeval::from_nanos(ns).as_bytes().to_vec()
    };
    let number = |n: i32| n.to_le_bytes().to_vec();
    let value = match option {
        abi::SO_TYPE => number(unix.kind().number()),
        abi::SO_ERROR => number(unix.take_error().map_or(0, |e| i32::from(e.raw()))),
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
        13 => vec![0; 8],
        18 | 19 => number(1),
        _ if INERT.contains(&option) => number(0),
        _ => return Err(Errno::ENOPROTOOPT.into()),
    };
    let value = &value[..value.len().min(room)];
    t.copy_out(addr, value)?;
    len.write(t, &i32::try_from(value.len()).unwrap_or(0))?;
    Ok(0)
}
