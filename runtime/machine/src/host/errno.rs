// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the host's error numbers to Linux's. The one place where they meet.

use linux_abi::Errno;
use rustix::io::Errno as Host;

/// The Linux number of a host error. What has none becomes `EIO`.
#[must_use]
pub fn from_host(error: Host) -> Errno {
    TABLE
        .iter()
        .find(|(host, _)| *host == error)
        .map_or(Errno::EIO, |(_, linux)| *linux)
}

/// Names that both systems have; the numbers differ on Darwin.
const TABLE: &[(Host, Errno)] = &[
    (Host::PERM, Errno::EPERM),
    (Host::NOENT, Errno::ENOENT),
    (Host::SRCH, Errno::ESRCH),
    (Host::INTR, Errno::EINTR),
    (Host::IO, Errno::EIO),
    (Host::NXIO, Errno::ENXIO),
    (Host::TOOBIG, Errno::E2BIG),
    (Host::NOEXEC, Errno::ENOEXEC),
    (Host::BADF, Errno::EBADF),
    (Host::AGAIN, Errno::EAGAIN),
    (Host::NOMEM, Errno::ENOMEM),
    (Host::ACCESS, Errno::EACCES),
    (Host::FAULT, Errno::EFAULT),
    (Host::BUSY, Errno::EBUSY),
    (Host::EXIST, Errno::EEXIST),
    (Host::XDEV, Errno::EXDEV),
    (Host::NODEV, Errno::ENODEV),
    (Host::NOTDIR, Errno::ENOTDIR),
    (Host::ISDIR, Errno::EISDIR),
    (Host::INVAL, Errno::EINVAL),
    (Host::NFILE, Errno::ENFILE),
    (Host::MFILE, Errno::EMFILE),
    (Host::NOTTY, Errno::ENOTTY),
    (Host::TXTBSY, Errno::ETXTBSY),
    (Host::FBIG, Errno::EFBIG),
    (Host::NOSPC, Errno::ENOSPC),
    (Host::SPIPE, Errno::ESPIPE),
    (Host::ROFS, Errno::EROFS),
    (Host::MLINK, Errno::EMLINK),
    (Host::PIPE, Errno::EPIPE),
    (Host::DOM, Errno::EDOM),
    (Host::RANGE, Errno::ERANGE),
    (Host::DEADLK, Errno::EDEADLK),
    (Host::NAMETOOLONG, Errno::ENAMETOOLONG),
    (Host::NOLCK, Errno::ENOLCK),
    (Host::NOSYS, Errno::ENOSYS),
    (Host::NOTEMPTY, Errno::ENOTEMPTY),
    (Host::LOOP, Errno::ELOOP),
    (Host::OVERFLOW, Errno::EOVERFLOW),
    // A name that the host's file system cannot store.
    (Host::ILSEQ, Errno::EINVAL),
    (Host::OPNOTSUPP, Errno::EOPNOTSUPP),
    (Host::NOTSUP, Errno::EOPNOTSUPP),
    (Host::DQUOT, Errno::EDQUOT),
    (Host::STALE, Errno::ESTALE),
    (Host::TIMEDOUT, Errno::ETIMEDOUT),
    (Host::NOTCONN, Errno::ENOTCONN),
    (Host::ADDRINUSE, Errno::EADDRINUSE),
    (Host::CONNREFUSED, Errno::ECONNREFUSED),
    (Host::CONNRESET, Errno::ECONNRESET),
    (Host::NOTSOCK, Errno::ENOTSOCK),
    (Host::DESTADDRREQ, Errno::EDESTADDRREQ),
    (Host::MSGSIZE, Errno::EMSGSIZE),
    (Host::PROTOTYPE, Errno::EPROTOTYPE),
    (Host::NOPROTOOPT, Errno::ENOPROTOOPT),
    (Host::PROTONOSUPPORT, Errno::EPROTONOSUPPORT),
    (Host::SOCKTNOSUPPORT, Errno::ESOCKTNOSUPPORT),
    (Host::PFNOSUPPORT, Errno::EPFNOSUPPORT),
    (Host::AFNOSUPPORT, Errno::EAFNOSUPPORT),
    (Host::ADDRNOTAVAIL, Errno::EADDRNOTAVAIL),
    (Host::NETDOWN, Errno::ENETDOWN),
    (Host::NETUNREACH, Errno::ENETUNREACH),
    (Host::NETRESET, Errno::ENETRESET),
    (Host::CONNABORTED, Errno::ECONNABORTED),
    (Host::NOBUFS, Errno::ENOBUFS),
    (Host::ISCONN, Errno::EISCONN),
    (Host::SHUTDOWN, Errno::EPIPE),
    (Host::HOSTDOWN, Errno::EHOSTDOWN),
    (Host::HOSTUNREACH, Errno::EHOSTUNREACH),
    (Host::ALREADY, Errno::EALREADY),
    (Host::INPROGRESS, Errno::EINPROGRESS),
    (Host::PROTO, Errno::EPROTO),
];
