// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories: reading them, and where a process stands.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::AT_FDCWD;

use super::at::{path_arg, place_of, walk};
use crate::error::SysResult;
use crate::file::Fd;
use crate::mm::UserAddr;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{Access, Capability, DirEntry, DirFile, Location, WalkFlags, may_access};

/// Bytes of a `linux_dirent64` before its name.
const HEADER: usize = 19;

fn encode(entry: &DirEntry, next: u64, out: &mut Vec<u8>, limit: usize) -> bool {
    let len = (HEADER + entry.name.len() + 1).next_multiple_of(8);
    if out.len() + len > limit {
        return false;
    }
    let end = out.len() + len;
    out.extend_from_slice(&entry.ino.to_le_bytes());
    out.extend_from_slice(&next.to_le_bytes());
    out.extend_from_slice(&u16::try_from(len).unwrap_or(0).to_le_bytes());
    out.push(entry.kind.dirent_type());
    out.extend_from_slice(&entry.name);
    out.resize(end, 0);
    true
}

/// `getdents64(2)`.
pub(crate) fn getdents64(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    let dir = open.file().downcast::<DirFile>().ok_or(Errno::ENOTDIR)?;
    let limit = usize::try_from(len).unwrap_or(usize::MAX).min(1 << 20);
    let mut out = Vec::new();
    let mut is_too_small = false;
    let mut pos = open.lock_pos();
    let start = *pos;
    t.as_caller(|caller| {
        dir.read(caller, &mut pos, |entry, next| {
            let fits = encode(entry, next, &mut out, limit);
            is_too_small = !fits && out.is_empty();
            fits
        })
    })?;
    if is_too_small {
        return Err(Errno::EINVAL.into());
    }
    if let Err(error) = t.copy_out(addr, &out) {
        *pos = start;
        return Err(error.into());
    }
    Ok(out.len())
}

/// `getcwd(2)`.
pub(crate) fn getcwd(t: &Arc<Task>, addr: UserAddr, len: usize) -> SysResult {
    let fs = t.fs()?;
    let cwd = fs.cwd();
    if cwd.dentry.is_unlinked() {
        return Err(Errno::ENOENT.into());
    }
    let mut path = cwd.path_from(&fs.root());
    path.push(0);
    if path.len() > super::args::PATH_MAX {
        return Err(Errno::ENAMETOOLONG.into());
    }
    if path.len() > len {
        return Err(Errno::ERANGE.into());
    }
    t.copy_out(addr, &path)?;
    Ok(path.len())
}

fn enter(t: &Arc<Task>, at: &Location) -> Result<(), Errno> {
    if at.inode().as_dir().is_none() {
        return Err(Errno::ENOTDIR);
    }
    may_access(&t.fs_cred(), &at.inode().attr()?, Access::EXEC)
}

/// `chdir(2)`.
pub(crate) fn chdir(t: &Arc<Task>, path: UserPath) -> SysResult {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let at = walk(t, Fd(AT_FDCWD), &path_arg(t, path)?, flags)?;
    enter(t, &at)?;
    t.fs()?.set_cwd(at);
    Ok(0)
}

/// `fchdir(2)`.
pub(crate) fn fchdir(t: &Arc<Task>, fd: Fd) -> SysResult {
    if fd.0 < 0 {
        return Err(Errno::EBADF.into());
    }
    let at = place_of(t, fd)?;
    enter(t, &at)?;
    t.fs()?.set_cwd(at);
    Ok(0)
}

/// `chroot(2)`.
pub(crate) fn chroot(t: &Arc<Task>, path: UserPath) -> SysResult {
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let at = walk(t, Fd(AT_FDCWD), &path_arg(t, path)?, flags)?;
    enter(t, &at)?;
    if !t.fs_cred().has(Capability::SysChroot) {
        return Err(Errno::EPERM.into());
    }
    t.fs()?.set_root(at);
    Ok(0)
}
