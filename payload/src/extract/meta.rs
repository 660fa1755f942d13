// SPDX-License-Identifier: MIT OR Apache-2.0
//! Owners, attributes, modes and times of what was made.
//!
//! The order matters: a change of owner clears setuid bits and capabilities, so
//! owner, extended attributes, mode; anything may change the time, so that last.
//! A file system writes each change to its journal, so a new file is made with
//! the mode it will have if nobody but its owner could write to it meanwhile, and
//! what is right by then is left alone.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RawMode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chmodat, chownat, fchmod, fchown, fsetxattr, fstat, futimens, openat, utimensat,
};
use rustix::process::{getegid, geteuid};

use super::{Attribute, ExtractOptions, host};
use crate::toc::{Entry, Kind};

/// Makes a new, empty file. Nobody may do more with it than when it is finished,
/// and nobody but its owner may write to it.
pub(super) fn create(
    dir: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    options: &ExtractOptions,
) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let ours = || (geteuid().as_raw(), getegid().as_raw());
    let stays_ours = options.ownership == Attribute::Skip || (entry.uid, entry.gid) == ours();
    let early = if options.modes == Attribute::Apply && stays_ours {
        mode(entry) & Mode::from_raw_mode(0o755)
    } else {
        Mode::RUSR | Mode::WUSR
    };
    Ok(openat(dir, name, flags, early)?)
}

/// Sets the attributes of an open file or directory.
pub(super) fn apply(
    file: BorrowedFd<'_>,
    entry: &Entry,
    options: &ExtractOptions,
) -> io::Result<()> {
    let now = fstat(file)?;
    let mut has_mode = Mode::from_raw_mode(now.st_mode) == mode(entry);
    if options.ownership == Attribute::Apply {
        let (uid, gid) = owner(entry)?;
        if (now.st_uid, now.st_gid) != (uid.as_raw(), gid.as_raw()) {
            fchown(file, Some(uid), Some(gid))?;
            has_mode = false;
        }
    }
    if options.xattrs == Attribute::Apply {
        for (name, value) in &entry.xattrs {
            fsetxattr(file, name.as_slice(), value, XattrFlags::empty())?;
            // Access control lists hold the mode as well.
            has_mode = false;
        }
    }
    if options.modes == Attribute::Apply && !has_mode {
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
