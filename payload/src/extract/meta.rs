// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owners, attributes, modes and times of what was made.
//!
//! The order matters: a change of owner clears setuid bits and capabilities, so
//! owner, extended attributes, mode; anything may change the time, so that last.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RawMode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chmodat, chownat, fchmod, fchown, fsetxattr, futimens, openat, utimensat,
};

use super::{Attribute, ExtractOptions, host};
use crate::toc::{Entry, Kind};

/// Makes a new, empty file that only the owner may use for now.
pub(super) fn create(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?)
}

/// Sets the attributes of an open file or directory.
pub(super) fn apply(
    file: BorrowedFd<'_>,
    entry: &Entry,
    options: &ExtractOptions,
) -> io::Result<()> {
    if options.ownership == Attribute::Apply {
        let (uid, gid) = owner(entry)?;
        fchown(file, Some(uid), Some(gid))?;
    }
    if options.xattrs == Attribute::Apply {
        for (name, value) in &entry.xattrs {
            fsetxattr(file, name.as_slice(), value, XattrFlags::empty())?;
        }
    }
    if options.modes == Attribute::Apply {
        fchmod(file, mode(entry))?;
    }
    Ok(futimens(file, &times(entry))?)
}

/// Sets the attributes of a symbolic link or special file by name.
pub(super) fn apply_at(
    dir: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    options: &ExtractOptions,
) -> io::Result<()> {
    let no_follow = AtFlags::SYMLINK_NOFOLLOW;
    if options.ownership == Attribute::Apply {
        let (uid, gid) = owner(entry)?;
        chownat(dir, name, Some(uid), Some(gid), no_follow)?;
    }
    if options.xattrs == Attribute::Apply {
        for (key, value) in &entry.xattrs {
            host::set_xattr_at(dir, name, key, value)?;
        }
    }
    if options.modes == Attribute::Apply && entry.kind != Kind::Symlink {
        // Made a moment ago in a directory of ours, so no link to follow.
        chmodat(dir, name, mode(entry), AtFlags::empty())?;
    }
    Ok(utimensat(dir, name, &times(entry), no_follow)?)
}

/// The highest id means "leave it" to the host, so no file can belong to it.
fn owner(entry: &Entry) -> io::Result<(Uid, Gid)> {
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "owner 4294967295 cannot be set",
        ));
    }
    Ok((Uid::from_raw(entry.uid), Gid::from_raw(entry.gid)))
}

fn mode(entry: &Entry) -> Mode {
    // Twelve bits by the rules of the table, so they fit any host's type.
    Mode::from_raw_mode(RawMode::try_from(entry.mode).unwrap_or_default())
}

fn times(entry: &Entry) -> Timestamps {
    let nanos = i64::from(entry.mtime.nanos);
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: entry.mtime.secs,
            tv_nsec: nanos,
        },
    }
}
