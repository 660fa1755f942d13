// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages over sockets: `sendto`, `recvfrom`, `sendmsg`, `recvmsg` and their
//! plural forms, with descriptors and credentials as ancillary data of local sockets.

use std::sync::{Arc, Weak};

use linux_abi::Errno;
use linux_abi::signal::SIGPIPE;
use linux_abi::socket::{self as abi, CmsgHdr, MMsgHdr, MsgHdr, Ucred};
use linux_abi::time::Timespec;
use zerocopy::{FromBytes, IntoBytes};

use super::at::install;
use super::inet;
use super::poll::timeout_arg;
use super::rw::{AGAIN, raise};
use super::socket::{
    Address, End, Socket, address_arg, deadline, encode_address, find, own_cred, store_address,
};
use crate::error::{Restart, SysErr, SysResult};
use crate::file::{Fd, UserBuf};
use crate::mm::UserAddr;
use crate::net::unix::{Ancillary, PeerCred, Received, SocketKind, UnixSocket};
use crate::syscall::args::UserPtr;
use crate::task::Task;

/// Bytes of ancillary data that are looked at.
const CONTROL_MAX: usize = 20480;
/// The most messages of one call.
const MAX_MESSAGES: u32 = 1024;

fn has(flags: u32, flag: u32) -> bool {
    flags & flag != 0
}

async fn send(
    t: &Arc<Task>,
    socket: &Socket,
    unix: &UnixSocket,
    buf: &UserBuf,
    target: Option<Weak<UnixSocket>>,
    ancillary: Ancillary,
    flags: u32,
) -> SysResult {
    if has(flags, abi::MSG_OOB) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let nonblock = socket.is_nonblocking() || has(flags, abi::MSG_DONTWAIT);
    let cred = own_cred(t);
    let total = buf.len();
    let mut rest = buf.clone();
    let mut ancillary = ancillary;
    let outcome = loop {
        let mut attempt = || {
            let mut source = rest.clone();
            let sent = living(target.as_ref())
                .and_then(|target| unix.try_send(&mut source, target.as_ref(), &ancillary, cred));
            if sent.is_ok() {
                rest = source;
            }
            (sent != Err(Errno::EAGAIN)).then_some(sent)
        };
        let sent = match attempt() {
            Some(sent) => sent.map_err(SysErr::from),
            None if nonblock => Err(AGAIN),
            None => {
                // The one who must make room wakes its own queue, and may go meanwhile.
                let receiver = match &target {
                    Some(target) => target.upgrade(),
                    None => unix.peer(),
                };
                let theirs = receiver.map(|receiver| receiver.queue().clone());
                let queues: Vec<_> = std::iter::once(unix.queue()).chain(&theirs).collect();
                let until = deadline(t, unix.timeouts().send);
                let waited = t.wait_for_any(&queues, until, Restart::Sys, attempt).await;
                waited.and_then(|sent| sent.ok_or(AGAIN)?.map_err(SysErr::from))
            }
        };
        match sent {
            Ok(n) if n > 0 && !rest.is_empty() && unix.kind() == SocketKind::Stream => {
                // Descriptors travel with the first bytes only.
                ancillary.files.clear();
            }
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let signals = unix.kind() == SocketKind::Stream && !has(flags, abi::MSG_NOSIGNAL);
    sent(t, total - rest.len(), outcome, signals)
}

/// The answer of a send that moved `done` bytes: an error only when there were none.
/// `signals` says whether a broken connection is told by `SIGPIPE` as well.
pub(super) fn sent(t: &Arc<Task>, done: usize, outcome: SysResult<()>, signals: bool) -> SysResult {
    match outcome {
        Err(error) if done == 0 => {
            if signals && error == SysErr::Errno(Errno::EPIPE) {
                raise(t, SIGPIPE);
            }
            Err(error)
        }
        _ => Ok(done),
    }
}

async fn receive(
    t: &Arc<Task>,
    socket: &Socket,
    unix: &UnixSocket,
    buf: &UserBuf,
    flags: u32,
) -> SysResult<Received> {
    if has(flags, abi::MSG_OOB) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let nonblock = socket.is_nonblocking() || has(flags, abi::MSG_DONTWAIT);
    let peek = has(flags, abi::MSG_PEEK);
    let mut rest = buf.clone();
    let mut total = Received::default();
    loop {
        let attempt = || {
            let mut sink = rest.clone();
            let got = unix.try_receive(&mut sink, peek);
            if got.is_ok() {
                rest = sink;
            }
            (got.as_ref().err() != Some(&Errno::EAGAIN)).then_some(got)
        };
        let got = receive_once(t, unix, nonblock, attempt).await;
        let got = match got {
            Ok(got) => got,
            Err(_) if total.len > 0 => return Ok(total),
            Err(error) => return Err(error),
        };
        let is_end = got.len == 0;
        let stops = !got.files.is_empty();
        if total.len == 0 {
            total = got;
        } else {
            total.len += got.len;
            total.total += got.total;
        }
        let wants_all = has(flags, abi::MSG_WAITALL) && unix.kind() == SocketKind::Stream && !peek;
        if !wants_all || is_end || stops || rest.is_empty() {
            return Ok(total);
        }
    }
}

async fn receive_once(
    t: &Arc<Task>,
    unix: &UnixSocket,
    nonblock: bool,
    mut attempt: impl FnMut() -> Option<Result<Received, Errno>>,
) -> SysResult<Received> {
    match attempt() {
        Some(got) => Ok(got?),
        None if nonblock => Err(AGAIN),
        None => {
            let until = deadline(t, unix.timeouts().receive);
            let got = t
                .wait_for(unix.queue(), until, Restart::Sys, attempt)
                .await?;
            Ok(got.ok_or(AGAIN)??)
        }
    }
}

/// `sendto(2)`.
pub(crate) async fn sendto(
    t: &Arc<Task>,
    fd: Fd,
    data: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: u32,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let buf = UserBuf::single(t.memory()?, data, len);
    match socket.end()? {
        End::Unix(unix) => {
            let target = target_arg(t, addr, addr_len)?;
            let nothing = Ancillary::default();
            send(t, &socket, unix, &buf, target, nothing, flags).await
        }
        End::Inet(inet) => {
            let to = inet::target_arg(t, inet, addr, addr_len)?;
            inet::send(t, &socket, inet, &buf, to, flags).await
        }
    }
}

/// Who a message is for. Senders do not keep a receiver alive while they wait.
fn living(target: Option<&Weak<UnixSocket>>) -> Result<Option<Arc<UnixSocket>>, Errno> {
    let upgrade = |target: &Weak<UnixSocket>| target.upgrade().ok_or(Errno::ECONNREFUSED);
    target.map(upgrade).transpose()
}

fn target_arg(t: &Arc<Task>, addr: UserAddr, len: u32) -> SysResult<Option<Weak<UnixSocket>>> {
    if addr.is_null() || len == 0 {
        return Ok(None);
    }
    match address_arg(t, addr, len)? {
        Address::Name(name) => Ok(Some(Arc::downgrade(&find(t, &name)?))),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// `recvfrom(2)`.
pub(crate) async fn recvfrom(
    t: &Arc<Task>,
    fd: Fd,
    data: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: UserPtr<i32>,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let buf = UserBuf::single(t.memory()?, data, len);
    let (from, len) = match socket.end()? {
        End::Unix(unix) => {
            let got = receive(t, &socket, unix, &buf, flags).await?;
            let from = got.from.as_ref().map(|from| encode_address(Some(from)));
            (from, reported_len(unix, &got, flags))
        }
        End::Inet(inet) => {
            let got = inet::receive(t, &socket, inet, &buf, flags).await?;
            (
                got.from.map(inet::encode),
                inet::reported_len(inet, &got, flags),
            )
        }
    };
    if !addr.is_null() {
        match from {
            Some(from) => store_address(t, &from, addr, addr_len)?,
            None => addr_len.write(t, &0)?,
        }
    }
    Ok(len)
}

/// With `MSG_TRUNC` a message's real length is reported.
fn reported_len(unix: &UnixSocket, got: &Received, flags: u32) -> usize {
    if has(flags, abi::MSG_TRUNC) && unix.kind() != SocketKind::Stream {
        got.total
    } else {
        got.len
    }
}

fn header_buf(t: &Task, header: &MsgHdr) -> Result<UserBuf, Errno> {
    let count = usize::try_from(header.iov_len).map_err(|_| Errno::EMSGSIZE)?;
    if count > crate::file::MAX_PIECES {
        return Err(Errno::EMSGSIZE);
    }
    UserBuf::gather(t.memory()?, UserAddr(header.iov), count)
}

/// Ancillary data of a message to be sent.
fn ancillary_arg(t: &Arc<Task>, header: &MsgHdr) -> Result<Ancillary, Errno> {
    let mut ancillary = Ancillary::default();
    let len = usize::try_from(header.control_len).map_err(|_| Errno::ENOBUFS)?;
    if header.control == 0 || len == 0 {
        return Ok(ancillary);
    }
    if len > CONTROL_MAX {
        return Err(Errno::ENOBUFS);
    }
    let mut bytes = vec![0; len];
    t.copy_in(UserAddr(header.control), &mut bytes)?;
    let head = size_of::<CmsgHdr>();
    let mut at = 0;
    while at + head <= bytes.len() {
        let cmsg = CmsgHdr::read_from_bytes(&bytes[at..at + head]).map_err(|_| Errno::EINVAL)?;
        let size = usize::try_from(cmsg.len).map_err(|_| Errno::EINVAL)?;
        if size < head || size > bytes.len() - at {
            return Err(Errno::EINVAL);
        }
        let data = &bytes[at + head..at + size];
        match (cmsg.level, cmsg.kind) {
            (abi::SOL_SOCKET, abi::SCM_RIGHTS) => take_rights(t, data, &mut ancillary)?,
            (abi::SOL_SOCKET, abi::SCM_CREDENTIALS) => {
                let cred = Ucred::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                ancillary.cred = Some(checked_cred(t, &cred)?);
            }
            (abi::SOL_SOCKET, _) => return Err(Errno::EINVAL),
            _ => {}
        }
        at += size.next_multiple_of(8);
    }
    Ok(ancillary)
}

fn take_rights(t: &Task, data: &[u8], ancillary: &mut Ancillary) -> Result<(), Errno> {
    let files = t.files()?;
    for number in data.chunks_exact(4) {
        if ancillary.files.len() == abi::SCM_MAX_FD {
            return Err(Errno::EINVAL);
        }
        let fd = i32::from_le_bytes([number[0], number[1], number[2], number[3]]);
        ancillary.files.push(files.get_any(Fd(fd))?);
    }
    Ok(())
}

/// Only root may claim to be somebody else.
fn checked_cred(t: &Arc<Task>, cred: &Ucred) -> Result<PeerCred, Errno> {
    let creds = t.creds();
    let is_own = cred.pid == t.pid()
        && [creds.uid.real, creds.uid.effective, creds.uid.saved].contains(&cred.uid)
        && [creds.gid.real, creds.gid.effective, creds.gid.saved].contains(&cred.gid);
    if !is_own && !creds.has_cap(linux_abi::capability::CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    Ok(PeerCred {
        pid: cred.pid,
        uid: cred.uid,
        gid: cred.gid,
    })
}

async fn send_header(t: &Arc<Task>, socket: &Socket, header: &MsgHdr, flags: u32) -> SysResult {
    let buf = header_buf(t, header)?;
    let name = UserAddr(header.name);
    match socket.end()? {
        End::Unix(unix) => {
            let target = target_arg(t, name, header.name_len)?;
            let ancillary = ancillary_arg(t, header)?;
            send(t, socket, unix, &buf, target, ancillary, flags).await
        }
        End::Inet(inet) => {
            if header.control_len != 0 {
                // Linux takes source addresses and the like; nothing of it is here.
                return Err(Errno::EINVAL.into());
            }
            let to = inet::target_arg(t, inet, name, header.name_len)?;
            inet::send(t, socket, inet, &buf, to, flags).await
        }
    }
}

/// `sendmsg(2)`.
pub(crate) async fn sendmsg(t: &Arc<Task>, fd: Fd, msg: UserPtr<MsgHdr>, flags: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let header = msg.read(t)?;
    send_header(t, &socket, &header, flags).await
}

/// Ancillary data of a received message, written piece by piece.
struct Control {
    bytes: Vec<u8>,
    room: usize,
    is_cut: bool,
}

impl Control {
    /// Payload bytes that a piece could still have.
    fn payload_room(&self) -> usize {
        let used = self.bytes.len().next_multiple_of(8);
        self.room.saturating_sub(used + size_of::<CmsgHdr>())
    }

    fn push(&mut self, kind: i32, data: &[u8]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let len = u64::try_from(size_of::<CmsgHdr>() + data.len()).unwrap_or(0);
        let header = CmsgHdr {
            len,
            level: abi::SOL_SOCKET,
            kind,
        };
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(data);
    }
}

fn install_rights(t: &Arc<Task>, got: &Received, control: &mut Control, flags: u32) {
    if got.files.is_empty() {
        return;
    }
    let room = control.payload_room() / 4;
    let mut numbers = Vec::new();
    for open in got.files.iter().take(room) {
        match install(t, open.clone(), has(flags, abi::MSG_CMSG_CLOEXEC)) {
            Ok(fd) => numbers.extend(i32::try_from(fd).unwrap_or(-1).to_le_bytes()),
            Err(_) => break,
        }
    }
    control.is_cut |= numbers.len() / 4 < got.files.len();
    if !numbers.is_empty() {
        control.push(abi::SCM_RIGHTS, &numbers);
    }
}

async fn receive_header(
    t: &Arc<Task>,
    socket: &Socket,
    header: &mut MsgHdr,
    flags: u32,
) -> SysResult {
    let buf = header_buf(t, header)?;
    match socket.end()? {
        End::Unix(unix) => {
            let got = receive(t, socket, unix, &buf, flags).await?;
            store_received(t, unix, &got, header, flags)?;
            Ok(reported_len(unix, &got, flags))
        }
        End::Inet(inet) => {
            let got = inet::receive(t, socket, inet, &buf, flags).await?;
            store_name(t, got.from.map(inet::encode), header)?;
            header.control_len = 0;
            header.flags = flags & abi::MSG_CMSG_CLOEXEC;
            if got.is_cut(inet.kind()) {
                header.flags |= abi::MSG_TRUNC;
            }
            Ok(inet::reported_len(inet, &got, flags))
        }
    }
}

/// Stores who sent a message; the length becomes the real one.
fn store_name(t: &Task, from: Option<Vec<u8>>, header: &mut MsgHdr) -> Result<(), Errno> {
    if header.name == 0 {
        return Ok(());
    }
    let bytes = from.unwrap_or_default();
    let room = usize::try_from(header.name_len).unwrap_or(0);
    t.copy_out(UserAddr(header.name), &bytes[..bytes.len().min(room)])?;
    header.name_len = u32::try_from(bytes.len()).unwrap_or(0);
    Ok(())
}

/// Stores everything but the bytes of a message from a local socket.
fn store_received(
    t: &Arc<Task>,
    unix: &UnixSocket,
    got: &Received,
    header: &mut MsgHdr,
    flags: u32,
) -> Result<(), Errno> {
    let room = if header.control == 0 {
        0
    } else {
        header.control_len
    };
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let mut control = Control {
        bytes: Vec::new(),
        room,
        is_cut: false,
    };
    if let Some(cred) = got.cred.filter(|_| unix.passes_cred()) {
        let cred = Ucred {
            pid: cred.pid,
            uid: cred.uid,
            gid: cred.gid,
        };
        if control.payload_room() >= size_of::<Ucred>() {
            control.push(abi::SCM_CREDENTIALS, cred.as_bytes());
        } else {
            control.is_cut = true;
        }
    }
    install_rights(t, got, &mut control, flags);
    let from = got.from.as_ref().map(|from| encode_address(Some(from)));
    store_name(t, from, header)?;
    t.copy_out(UserAddr(header.control), &control.bytes)?;
    header.control_len = u64::try_from(control.bytes.len()).unwrap_or(0);
    let is_message = unix.kind() != SocketKind::Stream;
    header.flags = 0;
    header.flags |= if is_message && got.total > got.len {
        abi::MSG_TRUNC
    } else {
        0
    };
    header.flags |= if control.is_cut { abi::MSG_CTRUNC } else { 0 };
    let ends_record = unix.kind() == SocketKind::SeqPacket && got.cred.is_some();
    header.flags |= if ends_record { abi::MSG_EOR } else { 0 };
    header.flags |= flags & abi::MSG_CMSG_CLOEXEC;
    Ok(())
}

/// `recvmsg(2)`.
pub(crate) async fn recvmsg(t: &Arc<Task>, fd: Fd, msg: UserPtr<MsgHdr>, flags: u32) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let mut header = msg.read(t)?;
    let len = receive_header(t, &socket, &mut header, flags).await?;
    msg.write(t, &header)?;
    Ok(len)
}

/// `sendmmsg(2)`.
pub(crate) async fn sendmmsg(
    t: &Arc<Task>,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let mut done = 0;
    for index in 0..u64::from(count.min(MAX_MESSAGES)) {
        let slot = messages.at(index);
        let sent = match slot.read(t) {
            Ok(message) => send_header(t, &socket, &message.header, flags).await,
            Err(error) => Err(error.into()),
        };
        match sent {
            Ok(n) => {
                let mut message = slot.read(t)?;
                message.len = u32::try_from(n).unwrap_or(u32::MAX);
                slot.write(t, &message)?;
                done += 1;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// `recvmmsg(2)`: the timeout is looked at after each message, as on Linux.
pub(crate) async fn recvmmsg(
    t: &Arc<Task>,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
) -> SysResult {
    let socket = Socket::get(t, fd)?;
    let deadline = timeout_arg(t, timeout)?;
    let mut flags = flags;
    let mut done = 0;
    for index in 0..u64::from(count.min(MAX_MESSAGES)) {
        let slot = messages.at(index);
        let mut message = slot.read(t)?;
        let got = receive_header(
            t,
            &socket,
            &mut message.header,
            flags & !abi::MSG_WAITFORONE,
        );
        match got.await {
            Ok(n) => {
                message.len = u32::try_from(n).unwrap_or(u32::MAX);
                slot.write(t, &message)?;
                done += 1;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if has(flags, abi::MSG_WAITFORONE) {
            flags |= abi::MSG_DONTWAIT;
        }
        if deadline.is_some_and(|at| t.kernel().clock().is_past(at)) {
            break;
        }
    }
    Ok(done)
}
