// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the system calls about files have in common: paths, places, times.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{AT_FDCWD, AtFlags, Resolve};

use crate::file::{Fd, OpenFile};
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{Location, Walk, WalkFlags};

/// Copies a path in.
pub(super) fn path_arg(t: &Task, path: UserPath) -> Result<Vec<u8>, Errno> {
    path.read(t)
}

/// Where the walk of `path` starts.
pub(super) fn start_of(t: &Task, dirfd: Fd, path: &[u8]) -> Result<Location, Errno> {
    let fs = t.fs()?;
    if path.first() == Some(&b'/') {
        return Ok(fs.root());
    }
    if dirfd.0 == AT_FDCWD {
        return Ok(fs.cwd());
    }
    Ok(t.files()?.get_any(dirfd)?.location().clone())
}

/// Walks `path` from `dirfd`.
pub(super) fn walk(
    t: &Arc<Task>,
    dirfd: Fd,
    path: &[u8],
    flags: WalkFlags,
) -> Result<Location, Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let start = start_of(t, dirfd, path)?;
    let fs = t.fs()?;
    t.as_caller(|caller| Walk::new(caller, &fs, start, path, Resolve::empty())?.finish(flags))
}

/// How the last component of a path is treated by a call with `AT_*` flags.
pub(super) fn follow_unless(flags: AtFlags) -> WalkFlags {
    if flags.contains(AtFlags::SYMLINK_NOFOLLOW) {
        WalkFlags::empty()
    } else {
        WalkFlags::FOLLOW
    }
}

/// The place that descriptor and path name; an empty path (or none) with
/// `AT_EMPTY_PATH` names the descriptor itself.
pub(super) fn locate(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    flags: AtFlags,
) -> Result<Location, Errno> {
    let text = match path_arg(t, path) {
        Err(Errno::EFAULT) if path.0.is_null() && flags.contains(AtFlags::EMPTY_PATH) => Vec::new(),
        text => text?,
    };
    if text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        return place_of(t, dirfd);
    }
    walk(t, dirfd, &text, follow_unless(flags))
}

/// The place of a descriptor, or the working directory.
pub(super) fn place_of(t: &Task, fd: Fd) -> Result<Location, Errno> {
    if fd.0 == AT_FDCWD {
        return Ok(t.fs()?.cwd());
    }
    Ok(t.files()?.get_any(fd)?.location().clone())
}

/// Installs a new description at the lowest free descriptor.
pub(super) fn install(t: &Task, file: Arc<OpenFile>, cloexec: bool) -> Result<usize, Errno> {
    let fd = t
        .files()?
        .install(file, cloexec, 0, t.process().limits().descriptors())?;
    usize::try_from(fd.0).map_err(|_| Errno::EMFILE)
}

/// `AT_*` flags of which only `allowed` may be set.
pub(super) fn at_flags(bits: u32, allowed: AtFlags) -> Result<AtFlags, Errno> {
    let flags = AtFlags::from_bits_retain(bits);
    if (flags - allowed).is_empty() {
        Ok(flags)
    } else {
        Err(Errno::EINVAL)
    }
}
