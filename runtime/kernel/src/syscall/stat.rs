// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known about files: `newfstatat`, `fstat`, `statx`, `statfs`, `fstatfs`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::AtFlags;
use linux_abi::stat::{
    STATX_ATTR_MOUNT_ROOT, STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID, STATX_RESERVED, Stat,
    Statfs, Statx, StatxTimestamp, dev_major, dev_minor,
};

use super::at::{at_flags, follow_unless, locate, path_arg, place_of, walk};
use crate::error::SysResult;
use crate::file::Fd;
use crate::mm::UserAddr;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{Attr, FileSystem, Location, Mount, Timespec, WalkFlags};

/// Longest name of a file, as `statfs` says.
const NAME_LEN: i64 = 255;
/// `statfs` flag: the other flags are valid.
const ST_VALID: i64 = 0x20;

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn encode(attr: &Attr) -> Stat {
    Stat {
        st_dev: attr.dev,
        st_ino: attr.ino,
        st_mode: attr.mode(),
        st_nlink: attr.nlink,
        st_uid: attr.uid,
        st_gid: attr.gid,
        st_rdev: attr.rdev,
        st_size: signed(attr.size),
        st_blksize: i32::try_from(attr.blksize).unwrap_or(4096),
        st_blocks: signed(attr.blocks),
        st_atime: attr.atime.sec,
        st_atime_nsec: attr.atime.nsec.into(),
        st_mtime: attr.mtime.sec,
        st_mtime_nsec: attr.mtime.nsec.into(),
        st_ctime: attr.ctime.sec,
        st_ctime_nsec: attr.ctime.nsec.into(),
        ..Stat::default()
    }
}

/// `newfstatat(2)`.
pub(crate) fn newfstatat(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    buf: UserAddr,
    flags: u32,
) -> SysResult {
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH;
    let at = locate(t, dirfd, path, at_flags(flags, allowed)?)?;
    t.write_value(buf, &encode(&at.inode().attr()?))?;
    Ok(0)
}

/// `fstat(2)`.
pub(crate) fn fstat(t: &Arc<Task>, fd: Fd, buf: UserAddr) -> SysResult {
    let open = t.files()?.get_any(fd)?;
    t.write_value(buf, &encode(&open.location().inode().attr()?))?;
    Ok(0)
}

fn timestamp(time: Timespec) -> StatxTimestamp {
    StatxTimestamp {
        tv_sec: time.sec,
        tv_nsec: time.nsec,
        reserved: 0,
    }
}

fn encode_x(at: &Location, attr: &Attr) -> Statx {
    let birth = attr.btime.map_or(0, |_| STATX_BTIME);
    Statx {
        stx_mask: STATX_BASIC_STATS | STATX_MNT_ID | birth,
        stx_blksize: attr.blksize,
        stx_attributes: if at.is_mount_root() {
            STATX_ATTR_MOUNT_ROOT
        } else {
            0
        },
        stx_attributes_mask: STATX_ATTR_MOUNT_ROOT,
        stx_nlink: attr.nlink,
        stx_uid: attr.uid,
        stx_gid: attr.gid,
        stx_mode: u16::try_from(attr.mode()).unwrap_or(0),
        stx_ino: attr.ino,
        stx_size: attr.size,
        stx_blocks: attr.blocks,
        stx_atime: timestamp(attr.atime),
        stx_btime: attr.btime.map(timestamp).unwrap_or_default(),
        stx_ctime: timestamp(attr.ctime),
        stx_mtime: timestamp(attr.mtime),
        stx_rdev_major: dev_major(attr.rdev),
        stx_rdev_minor: dev_minor(attr.rdev),
        stx_dev_major: dev_major(attr.dev),
        stx_dev_minor: dev_minor(attr.dev),
        stx_mnt_id: at.mount.id().into(),
        ..Statx::default()
    }
}

/// `statx(2)`.
pub(crate) fn statx(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    flags: u32,
    mask: u32,
    buf: UserAddr,
) -> SysResult {
    let sync = AtFlags::STATX_FORCE_SYNC | AtFlags::STATX_DONT_SYNC;
    let allowed = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::EMPTY_PATH | sync;
    let flags = at_flags(flags, allowed)?;
    if mask & STATX_RESERVED != 0 || flags.contains(sync) {
        return Err(Errno::EINVAL.into());
    }
    let at = locate(t, dirfd, path, flags)?;
    let attr = at.inode().attr()?;
    t.write_value(buf, &encode_x(&at, &attr))?;
    Ok(0)
}

fn encode_fs(mount: &Mount) -> Statfs {
    let fs: &dyn FileSystem = &**mount.fs();
    let stat = fs.stat();
    let dev = fs.dev();
    let half = |n: u64| i32::try_from(n & 0x7fff_ffff).unwrap_or(0);
    Statfs {
        f_type: stat.magic.into(),
        f_bsize: stat.block_size.into(),
        f_blocks: stat.blocks,
        f_bfree: stat.free,
        f_bavail: stat.free,
        f_files: stat.files,
        f_ffree: stat.files_free,
        f_fsid: [half(dev), half(dev >> 32)],
        f_namelen: NAME_LEN,
        f_frsize: stat.block_size.into(),
        f_flags: ST_VALID | i64::from(statfs_flags(mount)),
        f_spare: [0; 4],
    }
}

/// Mount flags as `statfs` shows them; the time flags have other numbers there.
fn statfs_flags(mount: &Mount) -> u32 {
    use crate::vfs::MountFlags as M;
    let flags = mount.flags();
    let mut bits = (flags & (M::READ_ONLY | M::NO_SUID | M::NO_DEV | M::NO_EXEC)).bits();
    bits |= if flags.contains(M::NO_ATIME) {
        1 << 10
    } else {
        0
    };
    bits | if flags.contains(M::REL_ATIME) {
        1 << 12
    } else {
        0
    }
}

/// `statfs(2)`.
pub(crate) fn statfs(t: &Arc<Task>, path: UserPath, buf: UserAddr) -> SysResult {
    let path = path_arg(t, path)?;
    let at = walk(t, Fd(linux_abi::fcntl::AT_FDCWD), &path, WalkFlags::FOLLOW)?;
    t.write_value(buf, &encode_fs(&at.mount))?;
    Ok(0)
}

/// `fstatfs(2)`.
pub(crate) fn fstatfs(t: &Arc<Task>, fd: Fd, buf: UserAddr) -> SysResult {
    let open = t.files()?.get_any(fd)?;
    t.write_value(buf, &encode_fs(&open.location().mount))?;
    Ok(0)
}

/// `readlinkat(2)`.
pub(crate) fn readlinkat(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    buf: UserAddr,
    len: i32,
) -> SysResult {
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len > 0)
        .ok_or(Errno::EINVAL)?;
    let path = path_arg(t, path)?;
    let at = if path.is_empty() {
        let at = place_of(t, dirfd)?;
        if at.inode().kind() != crate::vfs::Kind::Symlink {
            return Err(Errno::ENOENT.into());
        }
        at
    } else {
        walk(t, dirfd, &path, follow_unless(AtFlags::SYMLINK_NOFOLLOW))?
    };
    let target = t.as_caller(|caller| at.inode().read_link(caller))?;
    let target = &target[..target.len().min(len)];
    t.copy_out(buf, target)?;
    Ok(target.len())
}
