// SPDX-License-Identifier: MIT OR Apache-2.0
//! What extraction needs of macOS beyond POSIX.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, XattrFlags, fsetxattr, openat};

use crate::toc::Entry;

/// Linux device numbers mean nothing here, so nothing is made.
pub(super) fn make_node(_dir: BorrowedFd<'_>, _name: &[u8], _entry: &Entry) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "macOS cannot store Linux special files",
    ))
}

/// Sets an extended attribute of a symbolic link, which macOS can open.
pub(super) fn set_xattr_at(
    dir: BorrowedFd<'_>,
    name: &[u8],
    key: &[u8],
    value: &[u8],
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::SYMLINK | OFlags::CLOEXEC;
    let link = openat(dir, name, flags, Mode::empty())?;
    Ok(fsetxattr(link, key, value, XattrFlags::empty())?)
}
