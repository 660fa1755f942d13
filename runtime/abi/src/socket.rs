// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/socket.h`, `asm-generic/socket.h` and `linux/un.h`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// No address: dissolves a datagram association.
pub const AF_UNSPEC: u16 = 0;
/// Local sockets.
pub const AF_UNIX: u16 = 1;

/// Bytes in order.
pub const SOCK_STREAM: u32 = 1;
/// Single messages.
pub const SOCK_DGRAM: u32 = 2;
/// Raw; the same as datagrams for local sockets.
pub const SOCK_RAW: u32 = 3;
/// Messages in order.
pub const SOCK_SEQPACKET: u32 = 5;
/// The bits of a type that are one.
pub const SOCK_TYPE_MASK: u32 = 0xf;

/// Out-of-band data.
pub const MSG_OOB: u32 = 0x1;
/// Leave the message where it is.
pub const MSG_PEEK: u32 = 0x2;
/// Ancillary data was cut.
pub const MSG_CTRUNC: u32 = 0x8;
/// The message was cut; as a request: report its real length.
pub const MSG_TRUNC: u32 = 0x20;
/// Do not wait.
pub const MSG_DONTWAIT: u32 = 0x40;
/// More follows at once.
pub const MSG_MORE: u32 = 0x8000;
/// Errors that were queued apart.
pub const MSG_ERRQUEUE: u32 = 0x2000;
/// Connect and send.
pub const MSG_FASTOPEN: u32 = 0x2000_0000;
/// End of a record.
pub const MSG_EOR: u32 = 0x80;
/// Wait until everything asked for is there.
pub const MSG_WAITALL: u32 = 0x100;
/// No `SIGPIPE`.
pub const MSG_NOSIGNAL: u32 = 0x4000;
/// `recvmmsg`: wait for the first message only.
pub const MSG_WAITFORONE: u32 = 0x10000;
/// Received descriptors are close-on-exec.
pub const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

/// Options of the socket itself.
pub const SOL_SOCKET: i32 = 1;
/// Take an address that was in use just now.
pub const SO_REUSEADDR: i32 = 2;
/// Broadcasts may be sent.
pub const SO_BROADCAST: i32 = 6;
/// The peer is asked whether it lives.
pub const SO_KEEPALIVE: i32 = 9;
/// Urgent data stays in the stream.
pub const SO_OOBINLINE: i32 = 10;
/// How long closing waits.
pub const SO_LINGER: i32 = 13;
/// Several may bind one address.
pub const SO_REUSEPORT: i32 = 15;
/// Bytes that wake a receiver.
pub const SO_RCVLOWAT: i32 = 18;
/// Its type.
pub const SO_TYPE: i32 = 3;
/// The pending error.
pub const SO_ERROR: i32 = 4;
/// Size of the send buffer.
pub const SO_SNDBUF: i32 = 7;
/// Size of the receive buffer.
pub const SO_RCVBUF: i32 = 8;
/// Deliver credentials.
pub const SO_PASSCRED: i32 = 16;
/// Who is at the other side.
pub const SO_PEERCRED: i32 = 17;
/// Longest wait of a receive.
pub const SO_RCVTIMEO: i32 = 20;
/// Longest wait of a send.
pub const SO_SNDTIMEO: i32 = 21;
/// Is it listening?
pub const SO_ACCEPTCONN: i32 = 30;
/// Its protocol.
pub const SO_PROTOCOL: i32 = 38;
/// Its family.
pub const SO_DOMAIN: i32 = 39;

/// Descriptors.
pub const SCM_RIGHTS: i32 = 1;
/// Credentials.
pub const SCM_CREDENTIALS: i32 = 2;
/// The most descriptors in one message.
pub const SCM_MAX_FD: usize = 253;

/// The header of `sendmsg` and `recvmsg`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct MsgHdr {
    /// Address of the peer's address.
    pub name: u64,
    /// Its length.
    pub name_len: u32,
    /// Padding.
    pub pad1: u32,
    /// Address of the buffers.
    pub iov: u64,
    /// Their number.
    pub iov_len: u64,
    /// Address of ancillary data.
    pub control: u64,
    /// Its length.
    pub control_len: u64,
    /// `MSG_*` of what was received.
    pub flags: u32,
    /// Padding.
    pub pad2: u32,
}
const _: () = assert!(size_of::<MsgHdr>() == 56);

/// One message of `sendmmsg` and `recvmmsg`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct MMsgHdr {
    /// The message.
    pub header: MsgHdr,
    /// Bytes transferred.
    pub len: u32,
    /// Padding.
    pub pad: u32,
}

/// The header of one piece of ancillary data.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct CmsgHdr {
    /// Length with this header.
    pub len: u64,
    /// `SOL_SOCKET`.
    pub level: i32,
    /// `SCM_*`.
    pub kind: i32,
}

/// Credentials (`struct ucred`).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Ucred {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}
