// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changing what is known about files: modes, owners, times, sizes.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{
    AT_FDCWD, AtFlags, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
};
use linux_abi::resource::RLIMIT_FSIZE;
use linux_abi::signal::SIGXFSZ;
use linux_abi::stat::{UTIME_NOW, UTIME_OMIT};

use super::at::{at_flags, follow_unless, locate, path_arg, place_of, walk};
use super::rw::raise;
use crate::error::SysResult;
use crate::file::Fd;
use crate::fs::inotify;
use crate::mm::UserAddr;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{
    Access, Fallocate, Inode, Kind, Location, MAX_FILE_SIZE, SetAttr, SetTime, Timespec, WalkFlags,
    may_access, set_attributes, truncate as truncate_path, truncate_inode, without_set_id,
};

fn change(t: &Arc<Task>, at: &Location, change: &SetAttr) -> SysResult {
    t.as_caller(|caller| set_attributes(caller, at, change))?;
    Ok(0)
}

fn chmod(t: &Arc<Task>, at: &Location, mode: u32) -> SysResult {
    if at.inode().kind() == Kind::Symlink {
        return Err(Errno::EOPNOTSUPP.into());
    }
    change(
        t,
        at,
        &SetAttr {
            perm: Some(mode & 0o7777),
            ..SetAttr::default()
        },
    )
}

/// `fchmod(2)`.
pub(crate) fn fchmod(t: &Arc<Task>, fd: Fd, mode: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    chmod(t, open.location(), mode)
}

/// `fchmodat(2)`.
pub(crate) fn fchmodat(t: &Arc<Task>, dirfd: Fd, path: UserPath, mode: u32) -> SysResult {
    let at = walk(t, dirfd, &path_arg(t, path)?, WalkFlags::FOLLOW)?;
    chmod(t, &at, mode)
}

/// `fchmodat2(2)`.
pub(crate) fn fchmodat2(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    mode: u32,
    flags: u32,
) -> SysResult {
    let flags = at_flags(flags, AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let at = locate(t, dirfd, path, flags)?;
    chmod(t, &at, mode)
}

fn chown(t: &Arc<Task>, at: &Location, uid: u32, gid: u32) -> SysResult {
    let id = |id: u32| (id != u32::MAX).then_some(id);
    let mut set = SetAttr {
        uid: id(uid),
        gid: id(gid),
        ..SetAttr::default()
    };
    // Changing owners takes set-id bits away; that needs no right of its own.
    let perm = without_set_id(&at.inode().attr()?);
    t.as_caller(|caller| set_attributes(caller, at, &set))?;
    if perm.is_some() {
        set = SetAttr {
            perm,
            ..SetAttr::default()
        };
        at.inode().set_attr(&set)?;
    }
    Ok(0)
}

/// `fchown(2)`.
pub(crate) fn fchown(t: &Arc<Task>, fd: Fd, uid: u32, gid: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    chown(t, open.location(), uid, gid)
}

/// `fchownat(2)`.
pub(crate) fn fchownat(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    uid: u32,
    gid: u32,
    flags: u32,
) -> SysResult {
    let flags = at_flags(flags, AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)?;
    let at = locate(t, dirfd, path, flags)?;
    chown(t, &at, uid, gid)
}

/// One time of `utimensat`: seconds and nanoseconds.
fn time_arg([sec, nsec]: [i64; 2]) -> Result<Option<SetTime>, Errno> {
    match nsec {
        UTIME_NOW => Ok(Some(SetTime::Now)),
        UTIME_OMIT => Ok(None),
        0..=999_999_999 => {
            let nsec = u32::try_from(nsec).map_err(|_| Errno::EINVAL)?;
            Ok(Some(SetTime::To(Timespec { sec, nsec })))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `utimensat(2)`; without a path it is `futimens`.
pub(crate) fn utimensat(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    times: UserAddr,
    flags: u32,
) -> SysResult {
    let (atime, mtime) = if times.is_null() {
        (Some(SetTime::Now), Some(SetTime::Now))
    } else {
        let times: [[i64; 2]; 2] = t.read_value(times)?;
        (time_arg(times[0])?, time_arg(times[1])?)
    };
    if atime.is_none() && mtime.is_none() {
        return Ok(0);
    }
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let at = if path.0.is_null() && dirfd.0 != AT_FDCWD {
        at_flags(flags, AtFlags::empty())?;
        t.files()?.get(dirfd)?.location().clone()
    } else {
        locate(t, dirfd, path, at_flags(flags, allowed)?)?
    };
    change(
        t,
        &at,
        &SetAttr {
            atime,
            mtime,
            ..SetAttr::default()
        },
    )
}

/// `faccessat(2)`.
pub(crate) fn faccessat(t: &Arc<Task>, dirfd: Fd, path: UserPath, mode: u32) -> SysResult {
    faccessat2(t, dirfd, path, mode, 0)
}

/// `faccessat2(2)`: with real ids, unless `AT_EACCESS` asks for effective ones.
pub(crate) fn faccessat2(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    mode: u32,
    flags: u32,
) -> SysResult {
    let want = Access::from_bits(mode).ok_or(Errno::EINVAL)?;
    let allowed = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let flags = at_flags(flags, allowed)?;
    let cred = if flags.contains(AtFlags::EACCESS) {
        t.fs_cred()
    } else {
        t.creds().for_access()
    };
    let text = path_arg(t, path)?;
    let at = if text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        place_of(t, dirfd)?
    } else if text.is_empty() {
        return Err(Errno::ENOENT.into());
    } else {
        let start = super::at::start_of(t, dirfd, &text)?;
        let fs = t.fs()?;
        let caller = crate::file::Caller {
            cred: &cred,
            task: Some(t),
        };
        let resolve = linux_abi::fcntl::Resolve::empty();
        let mut walk = crate::vfs::Walk::new(&caller, &fs, start, &text, resolve)?;
        walk.finish(follow_unless(flags))?
    };
    let attr = at.inode().attr()?;
    let is_special = matches!(
        attr.kind,
        Kind::Char | Kind::Block | Kind::Fifo | Kind::Socket
    );
    may_access(&cred, &attr, want)?;
    if want.contains(Access::WRITE) && !is_special {
        at.mount.want_write()?;
    }
    Ok(0)
}

/// A file may grow to `size` if the limit allows; it shrinks to any size (Linux 6.12
/// `inode_newsize_ok`).
fn check_growth(t: &Arc<Task>, inode: &dyn Inode, size: u64) -> SysResult<()> {
    let is_beyond = size > t.process().limits().soft(RLIMIT_FSIZE);
    if is_beyond && size > inode.attr()?.size {
        raise(t, SIGXFSZ);
        return Err(Errno::EFBIG.into());
    }
    Ok(())
}

/// `truncate(2)`.
pub(crate) fn truncate(t: &Arc<Task>, path: UserPath, size: i64) -> SysResult {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let at = walk(t, Fd(AT_FDCWD), &path_arg(t, path)?, WalkFlags::FOLLOW)?;
    if at.inode().kind() == Kind::Regular {
        check_growth(t, &**at.inode(), size)?;
    }
    t.as_caller(|caller| truncate_path(caller, &at, size))?;
    Ok(0)
}

/// `ftruncate(2)`.
pub(crate) fn ftruncate(t: &Arc<Task>, fd: Fd, size: i64) -> SysResult {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let open = t.files()?.get(fd)?;
    let at = open.location();
    if at.inode().kind() != Kind::Regular || !open.flags().is_writable() {
        return Err(Errno::EINVAL.into());
    }
    check_growth(t, &**at.inode(), size)?;
    t.as_caller(|caller| truncate_inode(caller, at.inode(), size))?;
    inotify::modified(at);
    Ok(0)
}

fn allocation(mode: u32) -> Result<Fallocate, Errno> {
    const PUNCH: u32 = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const ZERO_KEEP: u32 = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
    Ok(match mode {
        0 => Fallocate::Extend,
        FALLOC_FL_KEEP_SIZE => Fallocate::Reserve,
        PUNCH => Fallocate::PunchHole,
        FALLOC_FL_ZERO_RANGE => Fallocate::Zero,
        ZERO_KEEP => Fallocate::ZeroKeepSize,
        FALLOC_FL_COLLAPSE_RANGE => Fallocate::Collapse,
        FALLOC_FL_INSERT_RANGE => Fallocate::Insert,
        _ => return Err(Errno::EOPNOTSUPP),
    })
}

/// `fallocate(2)`.
pub(crate) fn fallocate(t: &Arc<Task>, fd: Fd, mode: u32, offset: i64, len: i64) -> SysResult {
    let open = t.files()?.get(fd)?;
    let (start, len) = (u64::try_from(offset), u64::try_from(len));
    let (Ok(start), Ok(len)) = (start, len) else {
        return Err(Errno::EINVAL.into());
    };
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    let how = allocation(mode)?;
    if !open.flags().is_writable() {
        return Err(Errno::EBADF.into());
    }
    let inode = open.location().inode();
    match inode.kind() {
        Kind::Fifo => return Err(Errno::ESPIPE.into()),
        Kind::Directory => return Err(Errno::EISDIR.into()),
        Kind::Regular => {}
        _ => return Err(Errno::ENODEV.into()),
    }
    let end = start
        .checked_add(len)
        .filter(|&end| end <= MAX_FILE_SIZE)
        .ok_or(Errno::EFBIG)?;
    if matches!(how, Fallocate::Extend | Fallocate::Zero) {
        check_growth(t, &**inode, end)?;
    }
    inode
        .as_regular()
        .ok_or(Errno::EOPNOTSUPP)?
        .allocate(how, start, len)?;
    inotify::modified(open.location());
    Ok(0)
}

/// `umask(2)`.
pub(crate) fn umask(t: &Arc<Task>, mask: u32) -> SysResult {
    usize::try_from(t.fs()?.set_umask(mask)).map_err(|_| Errno::EINVAL.into())
}
