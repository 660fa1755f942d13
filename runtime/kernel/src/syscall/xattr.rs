// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extended attributes (`fs/xattr.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{AT_FDCWD, AtFlags};
use linux_abi::stat::S_ISVTX;

use super::at::{follow_unless, path_arg, walk};
use crate::error::SysResult;
use crate::file::Fd;
use crate::fs::inotify;
use crate::mm::UserAddr;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{Access, Attr, Capability, FsCred, Kind, Location, XattrSet, Xattrs, may_access};

/// Longest name without its terminator.
const NAME_MAX: usize = 255;
/// Longest value.
const SIZE_MAX: usize = 65536;
/// Longest list of names.
const LIST_MAX: usize = 65536;

fn name_arg(t: &Task, addr: UserAddr) -> Result<Vec<u8>, Errno> {
    let name = t.read_cstr(addr, NAME_MAX + 1);
    let name = name.map_err(|e| {
        if e == Errno::ENAMETOOLONG {
            Errno::ERANGE
        } else {
            e
        }
    })?;
    if name.is_empty() {
        Err(Errno::ERANGE)
    } else {
        Ok(name)
    }
}

fn path_place(t: &Arc<Task>, path: UserPath, follows: bool) -> Result<Location, Errno> {
    let flags = if follows {
        AtFlags::empty()
    } else {
        AtFlags::SYMLINK_NOFOLLOW
    };
    walk(t, Fd(AT_FDCWD), &path_arg(t, path)?, follow_unless(flags))
}

fn fd_place(t: &Arc<Task>, fd: Fd) -> Result<Location, Errno> {
    Ok(t.files()?.get(fd)?.location().clone())
}

/// `xattr_permission`: may this attribute be read or written?
fn check(cred: &FsCred, attr: &Attr, name: &[u8], is_write: bool) -> Result<(), Errno> {
    let denied = if is_write {
        Errno::EPERM
    } else {
        Errno::ENODATA
    };
    if name.starts_with(b"trusted.") {
        return if cred.has(Capability::SysAdmin) {
            Ok(())
        } else {
            Err(denied)
        };
    }
    if name.starts_with(b"security.") {
        let may = !is_write
            || cred.has(Capability::SysAdmin)
            || (name == b"security.capability" && cred.has(Capability::Setfcap));
        return if may { Ok(()) } else { Err(Errno::EPERM) };
    }
    if name.starts_with(b"system.") {
        return Err(Errno::EOPNOTSUPP);
    }
    if !name.starts_with(b"user.") || name.len() == 5 {
        return Err(if name.starts_with(b"user.") {
            Errno::EINVAL
        } else {
            Errno::EOPNOTSUPP
        });
    }
    if !matches!(attr.kind, Kind::Regular | Kind::Directory) {
        return Err(denied);
    }
    let is_sticky = attr.kind == Kind::Directory && attr.perm & S_ISVTX != 0;
    if is_sticky && is_write && !cred.owns(attr) {
        return Err(Errno::EPERM);
    }
    may_access(
        cred,
        attr,
        if is_write {
            Access::WRITE
        } else {
            Access::READ
        },
    )
}

fn xattrs(at: &Location) -> Result<&dyn Xattrs, Errno> {
    at.inode().as_xattrs().ok_or(Errno::EOPNOTSUPP)
}

fn set(
    t: &Arc<Task>,
    at: &Location,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult {
    let how = match flags {
        0 => XattrSet::Any,
        1 => XattrSet::Create,
        2 => XattrSet::Replace,
        _ => return Err(Errno::EINVAL.into()),
    };
    let name = name_arg(t, name)?;
    if size > SIZE_MAX {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = vec![0; size];
    t.copy_in(value, &mut bytes)?;
    at.mount.want_write()?;
    check(&t.fs_cred(), &at.inode().attr()?, &name, true)?;
    xattrs(at)?.set(&name, &bytes, how)?;
    inotify::attributes(at);
    Ok(0)
}

/// Stores `bytes` at a buffer of `size`; size 0 only asks for the length.
fn answer(t: &Arc<Task>, bytes: &[u8], addr: UserAddr, size: usize) -> SysResult {
    if size > 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE.into());
        }
        t.copy_out(addr, bytes)?;
    }
    Ok(bytes.len())
}

fn get(t: &Arc<Task>, at: &Location, name: UserAddr, value: UserAddr, size: usize) -> SysResult {
    let name = name_arg(t, name)?;
    check(&t.fs_cred(), &at.inode().attr()?, &name, false)?;
    let bytes = xattrs(at)?.get(&name)?;
    answer(t, &bytes, value, size.min(SIZE_MAX))
}

fn list(t: &Arc<Task>, at: &Location, addr: UserAddr, size: usize) -> SysResult {
    let sees_trusted = t.fs_cred().has(Capability::SysAdmin);
    let mut bytes = Vec::new();
    let names = at
        .inode()
        .as_xattrs()
        .map_or(Ok(Vec::new()), Xattrs::list)?;
    for name in names {
        if sees_trusted || !name.starts_with(b"trusted.") {
            bytes.extend_from_slice(&name);
            bytes.push(0);
        }
    }
    if bytes.len() > LIST_MAX {
        return Err(Errno::E2BIG.into());
    }
    answer(t, &bytes, addr, size)
}

fn remove(t: &Arc<Task>, at: &Location, name: UserAddr) -> SysResult {
    let name = name_arg(t, name)?;
    at.mount.want_write()?;
    check(&t.fs_cred(), &at.inode().attr()?, &name, true)?;
    xattrs(at)?.remove(&name)?;
    inotify::attributes(at);
    Ok(0)
}

/// `setxattr(2)`.
pub(crate) fn setxattr(
    t: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult {
    set(t, &path_place(t, path, true)?, name, value, size, flags)
}

/// `lsetxattr(2)`.
pub(crate) fn lsetxattr(
    t: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult {
    set(t, &path_place(t, path, false)?, name, value, size, flags)
}

/// `fsetxattr(2)`.
pub(crate) fn fsetxattr(
    t: &Arc<Task>,
    fd: Fd,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult {
    set(t, &fd_place(t, fd)?, name, value, size, flags)
}

/// `getxattr(2)`.
pub(crate) fn getxattr(
    t: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
) -> SysResult {
    get(t, &path_place(t, path, true)?, name, value, size)
}

/// `lgetxattr(2)`.
pub(crate) fn lgetxattr(
    t: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
) -> SysResult {
    get(t, &path_place(t, path, false)?, name, value, size)
}

/// `fgetxattr(2)`.
pub(crate) fn fgetxattr(
    t: &Arc<Task>,
    fd: Fd,
    name: UserAddr,
    value: UserAddr,
    size: usize,
) -> SysResult {
    get(t, &fd_place(t, fd)?, name, value, size)
}

/// `listxattr(2)`.
pub(crate) fn listxattr(t: &Arc<Task>, path: UserPath, names: UserAddr, size: usize) -> SysResult {
    list(t, &path_place(t, path, true)?, names, size)
}

/// `llistxattr(2)`.
pub(crate) fn llistxattr(t: &Arc<Task>, path: UserPath, names: UserAddr, size: usize) -> SysResult {
    list(t, &path_place(t, path, false)?, names, size)
}

/// `flistxattr(2)`.
pub(crate) fn flistxattr(t: &Arc<Task>, fd: Fd, names: UserAddr, size: usize) -> SysResult {
    list(t, &fd_place(t, fd)?, names, size)
}

/// `removexattr(2)`.
pub(crate) fn removexattr(t: &Arc<Task>, path: UserPath, name: UserAddr) -> SysResult {
    remove(t, &path_place(t, path, true)?, name)
}

/// `lremovexattr(2)`.
pub(crate) fn lremovexattr(t: &Arc<Task>, path: UserPath, name: UserAddr) -> SysResult {
    remove(t, &path_place(t, path, false)?, name)
}

/// `fremovexattr(2)`.
pub(crate) fn fremovexattr(t: &Arc<Task>, fd: Fd, name: UserAddr) -> SysResult {
    remove(t, &fd_place(t, fd)?, name)
}
