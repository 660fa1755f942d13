// SPDX-License-Identifier: MIT OR Apache-2.0
//! What extraction needs of Linux beyond POSIX.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use crate::toc::{Entry, Kind};

/// Makes a device or a named pipe that only the owner may use for now.
pub(super) fn make_node(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> io::Result<()> {
    let (major, minor) = entry.device;
    let (kind, device) = match entry.kind {
        Kind::CharDevice => (FileType::CharacterDevice, makedev(major, minor)),
        Kind::BlockDevice => (FileType::BlockDevice, makedev(major, minor)),
        _ => (FileType::Fifo, 0),
    };
    Ok(mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, device)?)
}

/// Sets an extended attribute of what cannot be opened: there is no system call
/// relative to a directory before Linux 6.13, but its entry in `/proc`.
pub(super) fn set_xattr_at(
    dir: BorrowedFd<'_>,
    name: &[u8],
    key: &[u8],
    value: &[u8],
) -> io::Result<()> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    Ok(lsetxattr(path, key, value, XattrFlags::empty())?)
}
