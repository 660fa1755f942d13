// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names: making, linking, moving and removing them.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::AtFlags;
use linux_abi::stat::S_IFMT;

use super::at::{at_flags, path_arg, place_of, start_of, walk};
use crate::error::SysResult;
use crate::file::Fd;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{
    Capability, Kind, NewKind, RenameFlags, WalkFlags, create_node, hard_link, remove_dir,
    remove_file, rename,
};

fn make(t: &Arc<Task>, dirfd: Fd, path: UserPath, kind: NewKind, mode: u32) -> SysResult {
    let path = path_arg(t, path)?;
    let start = start_of(t, dirfd, &path)?;
    let fs = t.fs()?;
    t.as_caller(|caller| create_node(caller, &fs, start, &path, kind, mode))?;
    Ok(0)
}

/// `mkdirat(2)`.
pub(crate) fn mkdirat(t: &Arc<Task>, dirfd: Fd, path: UserPath, mode: u32) -> SysResult {
    make(t, dirfd, path, NewKind::Directory, mode)
}

/// `mknodat(2)`.
pub(crate) fn mknodat(t: &Arc<Task>, dirfd: Fd, path: UserPath, mode: u32, dev: u32) -> SysResult {
    let kind = match Kind::from_mode(mode) {
        None if mode & S_IFMT == 0 => NewKind::Regular,
        Some(Kind::Regular) => NewKind::Regular,
        Some(Kind::Char) => NewKind::Char(dev.into()),
        Some(Kind::Block) => NewKind::Block(dev.into()),
        Some(Kind::Fifo) => NewKind::Fifo,
        Some(Kind::Socket) => NewKind::Socket,
        Some(Kind::Directory) => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    make(t, dirfd, path, kind, mode)
}

/// `symlinkat(2)`.
pub(crate) fn symlinkat(t: &Arc<Task>, target: UserPath, dirfd: Fd, path: UserPath) -> SysResult {
    let target = path_arg(t, target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    make(t, dirfd, path, NewKind::Symlink(target), 0o777)
}

/// `linkat(2)`.
pub(crate) fn linkat(
    t: &Arc<Task>,
    old_fd: Fd,
    old_path: UserPath,
    new_fd: Fd,
    new_path: UserPath,
    flags: u32,
) -> SysResult {
    let flags = at_flags(flags, AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH)?;
    let old_path = path_arg(t, old_path)?;
    let old = if old_path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        if !t.fs_cred().has(Capability::DacReadSearch) {
            return Err(Errno::ENOENT.into());
        }
        place_of(t, old_fd)?
    } else {
        let follows = flags.contains(AtFlags::SYMLINK_FOLLOW);
        let follow = if follows {
            WalkFlags::FOLLOW
        } else {
            WalkFlags::empty()
        };
        walk(t, old_fd, &old_path, follow)?
    };
    let new_path = path_arg(t, new_path)?;
    let start = start_of(t, new_fd, &new_path)?;
    let fs = t.fs()?;
    t.as_caller(|caller| hard_link(caller, &fs, &old, start, &new_path))?;
    Ok(0)
}

/// `unlinkat(2)`.
pub(crate) fn unlinkat(t: &Arc<Task>, dirfd: Fd, path: UserPath, flags: u32) -> SysResult {
    let flags = at_flags(flags, AtFlags::REMOVEDIR)?;
    let path = path_arg(t, path)?;
    let start = start_of(t, dirfd, &path)?;
    let fs = t.fs()?;
    t.as_caller(|caller| {
        if flags.contains(AtFlags::REMOVEDIR) {
            remove_dir(caller, &fs, start, &path)
        } else {
            remove_file(caller, &fs, start, &path)
        }
    })?;
    Ok(0)
}

/// `renameat(2)`.
pub(crate) fn renameat(
    t: &Arc<Task>,
    old_fd: Fd,
    old_path: UserPath,
    new_fd: Fd,
    new_path: UserPath,
) -> SysResult {
    renameat2(t, old_fd, old_path, new_fd, new_path, 0)
}

/// `renameat2(2)`.
pub(crate) fn renameat2(
    t: &Arc<Task>,
    old_fd: Fd,
    old_path: UserPath,
    new_fd: Fd,
    new_path: UserPath,
    flags: u32,
) -> SysResult {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let replaces_not = RenameFlags::NO_REPLACE | RenameFlags::WHITEOUT;
    if flags.contains(RenameFlags::EXCHANGE) && flags.intersects(replaces_not) {
        return Err(Errno::EINVAL.into());
    }
    if flags.contains(RenameFlags::WHITEOUT) {
        // Only an overlay's own upper layer has a use for it.
        let may = t.fs_cred().has(Capability::Mknod);
        return Err(if may { Errno::EINVAL } else { Errno::EPERM }.into());
    }
    let (old_path, new_path) = (path_arg(t, old_path)?, path_arg(t, new_path)?);
    let old = (start_of(t, old_fd, &old_path)?, old_path.as_slice());
    let new = (start_of(t, new_fd, &new_path)?, new_path.as_slice());
    let fs = t.fs()?;
    t.as_caller(|caller| rename(caller, &fs, old, new, flags))?;
    Ok(0)
}
