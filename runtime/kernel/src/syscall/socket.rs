// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: making, naming and connecting them.
//!
//! What is about local sockets is done here, what is about the Internet's in `inet.rs`.
//! Families that are not there are `EAFNOSUPPORT`, as on a Linux without them.

use std::sync::Arc;
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::socket as abi;

use super::at::{install, start_of};
use super::inet;
use super::open::install_pair;
use super::rw::AGAIN;
use crate::error::{Restart, SysResult};
use crate::file::{Fd, File, OpenFile};
use crate::mm::UserAddr;
use crate::net::inet::InetSocket;
use crate::net::unix::{PeerCred, Shutdown, SocketKind, UnixName, UnixSocket};
use crate::syscall::args::UserPtr;
use crate::task::Task;
use crate::time::Deadline;
use crate::vfs::{Access, Kind, NewKind, WalkFlags, create_node, may_access};

/// Longest address of any family.
const ADDR_MAX: usize = 128;
/// Longest path in an address.
const PATH_MAX: usize = 108;

/// What kind of socket it is.
pub(super) enum End<'a> {
    /// A local one.
    Unix(&'a UnixSocket),
    /// One of the Internet.
    Inet(&'a InetSocket),
}

/// A socket and the description it was reached through.
pub(super) struct Socket {
    pub(super) open: Arc<OpenFile>,
}

impl Socket {
    pub(super) fn get(t: &Task, fd: Fd) -> Result<Self, Errno> {
        let socket = Self {
            open: t.files()?.get(fd)?,
        };
        socket.end()?;
        Ok(socket)
    }

    pub(super) fn end(&self) -> Result<End<'_>, Errno> {
        let file = self.open.file();
        if let Some(unix) = file.downcast() {
            return Ok(End::Unix(unix));
        }
        file.downcast().map(End::Inet).ok_or(Errno::ENOTSOCK)
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
    let open = if let Some(family) = inet::family_arg(family) {
        let number = kind & abi::SOCK_TYPE_MASK;
        inet::open(t, family, number, protocol, flags - OpenFlags::CLOEXEC)?
    } else {
        check_family(family, protocol)?;
        let (kind, flags, _) = type_arg(kind)?;
        t.kernel().files().open_socket(UnixSocket::new(kind), flags)
    };
    Ok(install(t, open, flags.contains(OpenFlags::CLOEXEC))?)
}

/// `socketpair(2)`.
pub(crate) fn socketpair(
    t: &Arc<Task>,
    family: i32,
    kind: u32,
    protocol: i32,
    fds: UserAddr,
) -> SysResult {
    if inet::family_arg(family).is_some() && t.kernel().network().is_some() {
        return Err(Errno::EOPNOTSUPP.into());
    }
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

/// The bytes of an address of any family.
pub(super) fn address_bytes(t: &Task, addr: UserAddr, len: u32) -> Result<Vec<u8>, Errno> {
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len <= ADDR_MAX)
        .ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    t.copy_in(addr, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn address_arg(t: &Task, addr: UserAddr, len: u32) -> Result<Address, Errno> {
    let bytes = address_bytes(t, addr, len)?;
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

pub(super) fn encode_address(name: Option<&UnixName>) -> Vec<u8> {
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
    bytes: &[u8],
    addr: UserAddr,
    len: UserPtr<i32>,
) -> Result<(), Errno> {
    let room = usize::try_from(len.read(t)?).map_err(|_| Errno::EINVAL)?;
    t.copy_out(addr, &bytes[..bytes.len().min(room)])?;
    len.write(t, &i32::try_from(bytes.len()).unwrap_or(0))
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
    match Socket::get(t, fd)?.end()? {
        End::Unix(unix) => bind_local(t, unix, address_arg(t, addr, len)?),
        End::Inet(inet) => inet::bind(t, inet, addr, len),
    }
}

fn bind_local(t: &Arc<Task>, unix: &UnixSocket, name: Address) -> SysResult {
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
    match Socket::get(t, fd)?.end()? {
        End::Unix(unix) => unix.listen(backlog, own_cred(t))?,
        End::Inet(inet) => inet.listen(backlog)?,
    }
    Ok(0)
}

/// `connect(2)`.
pub(crate) async fn connect(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let unix = match socket.end()? {
        End::Unix(unix) => unix,
        End::Inet(inet) => return inet::connect(t, &socket, inet, addr, len).await,
    };
    let target = match address_arg(t, addr, len)? {
        Address::Unspecified if unix.kind() == SocketKind::Datagram => {
            unix.disconnect();
            return Ok(0);
        }
        Address::Name(name) => find(t, &name)?,
        _ => return Err(Errno::EINVAL.into()),
    };
    let cred = own_cred(t);
    // Who waits for a place in its queue does not keep a listener alive.
    let (queue, listener) = (target.queue().clone(), Arc::downgrade(&target));
    drop(target);
    let attempt = || {
        let connected = match listener.upgrade() {
            Some(listener) => unix.try_connect(&listener, cred),
            None => Err(Errno::ECONNREFUSED),
        };
        (connected != Err(Errno::EAGAIN)).then_some(connected)
    };
    if socket.is_nonblocking() {
        attempt().unwrap_or(Err(Errno::EAGAIN))?;
        return Ok(0);
    }
    t.wait_for(&queue, None, Restart::Sys, attempt)
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
    let unix = match socket.end()? {
        End::Unix(unix) => unix,
        End::Inet(inet) => return inet::accept(t, &socket, inet, addr, len, flags).await,
    };
    let attempt = || {
        let accepted = unix.try_accept();
        (accepted.as_ref().err() != Some(&Errno::EAGAIN)).then_some(accepted)
    };
    let new = match attempt() {
        Some(new) => new?,
        None if socket.is_nonblocking() => return Err(AGAIN),
        None => {
            let until = deadline(t, unix.timeouts().receive);
            t.wait_for(unix.queue(), until, Restart::Sys, attempt)
                .await?
                .ok_or(AGAIN)??
        }
    };
    let name = new.peer_name().ok().flatten();
    accepted(t, new, &encode_address(name.as_ref()), addr, len, flags)
}

/// Gives a connection that was accepted a descriptor, and says who it is from.
pub(super) fn accepted(
    t: &Arc<Task>,
    new: Arc<dyn File>,
    from: &[u8],
    addr: UserAddr,
    len: UserPtr<i32>,
    flags: OpenFlags,
) -> SysResult {
    let files = t.kernel().files();
    let open = files.open_socket(new, flags - OpenFlags::CLOEXEC);
    let new = install(t, open, flags.contains(OpenFlags::CLOEXEC))?;
    if !addr.is_null()
        && let Err(error) = store_address(t, from, addr, len)
    {
        let fd = i32::try_from(new).map_err(|_| Errno::EMFILE)?;
        drop(t.files()?.remove(Fd(fd)));
        return Err(error.into());
    }
    Ok(new)
}

/// When a call that waits no longer than `wait` gives up.
pub(super) fn deadline(t: &Task, wait: Option<Duration>) -> Option<Deadline> {
    let nanos = |wait: Duration| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    wait.map(|wait| t.kernel().clock().after(nanos(wait)))
}

/// `getsockname(2)`.
pub(crate) fn getsockname(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult {
    let bytes = match Socket::get(t, fd)?.end()? {
        End::Unix(unix) => encode_address(unix.name().as_ref()),
        End::Inet(inet) => inet::encode(inet.local()?),
    };
    store_address(t, &bytes, addr, len)?;
    Ok(0)
}

/// `getpeername(2)`.
pub(crate) fn getpeername(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult {
    let bytes = match Socket::get(t, fd)?.end()? {
        End::Unix(unix) => encode_address(unix.peer_name()?.as_ref()),
        End::Inet(inet) => inet::encode(inet.host().peer()?),
    };
    store_address(t, &bytes, addr, len)?;
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
    match socket.end()? {
        End::Unix(unix) => unix.shutdown(how)?,
        End::Inet(inet) => inet::shutdown(inet, how)?,
    }
    Ok(0)
}
