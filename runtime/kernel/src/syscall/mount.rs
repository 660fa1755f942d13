// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mount` and `umount2`: tmpfs, binds and remounts inside the guest's own tree.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{AT_FDCWD, AtFlags};

use super::at::{follow_unless, walk};
use crate::error::SysResult;
use crate::file::Fd;
use crate::fs::tmpfs::{TmpFs, TmpLimits};
use crate::mm::UserAddr;
use crate::syscall::args::{UserPath, UserStr};
use crate::task::Task;
use crate::vfs::{Capability, FileSystem, Location, MountFlags, WalkFlags};

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_MOVE: u64 = 8192;
const MS_REC: u64 = 16384;
/// Changes of propagation: there is one namespace, so they change nothing.
const MS_PROPAGATION: u64 = 0xf << 17;
const MS_MGC: u64 = 0xC0ED_0000;
const UMOUNT_NOFOLLOW: u32 = 8;
const UMOUNT_FLAGS: u32 = 15;
/// Bytes of options that are read.
const PAGE: usize = 4096;

fn allowed(t: &Task) -> Result<(), Errno> {
    if t.fs_cred().has(Capability::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn place(t: &Arc<Task>, path: UserPath) -> Result<Location, Errno> {
    walk(t, Fd(AT_FDCWD), &path.read(t)?, WalkFlags::FOLLOW)
}

fn restrictions(flags: u64) -> MountFlags {
    let bits = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
    MountFlags::from_bits_truncate(bits)
}

/// A size with a suffix, as tmpfs takes it; percentages are of `memory`.
fn size_option(text: &str, memory: u64) -> Option<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let number: u64 = digits.parse().ok()?;
    let shift = match suffix {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "%" => return Some(memory / 100 * number.min(100)),
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn make_tmpfs(t: &Arc<Task>, options: &str) -> Result<Arc<TmpFs>, Errno> {
    let files = t.kernel().files();
    let memory = files.memory_limit;
    let mut limits = TmpLimits::of(memory / 2);
    let mut perm = 0o1777;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "size" => limits.bytes = size_option(value, memory).ok_or(Errno::EINVAL)?,
            "nr_inodes" => limits.inodes = size_option(value, 0).ok_or(Errno::EINVAL)?,
            "mode" => perm = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777,
            "uid" | "gid" | "nr_blocks" | "huge" | "mpol" | "noswap" | "inode64" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    limits.bytes = limits.bytes.min(memory);
    TmpFs::new(
        files.next_dev(),
        files.clock.clone(),
        limits,
        files.frames.clone(),
        perm,
    )
}

/// `mount(2)`.
pub(crate) fn mount(
    t: &Arc<Task>,
    source: UserStr,
    target: UserPath,
    kind: UserStr,
    flags: u64,
    data: UserAddr,
) -> SysResult {
    let target = place(t, target)?;
    allowed(t)?;
    let flags = if flags & 0xffff_0000 == MS_MGC {
        flags & 0xffff
    } else {
        flags
    };
    let files = t.kernel().files();
    if flags & MS_REMOUNT != 0 {
        if !target.is_mount_root() {
            return Err(Errno::EINVAL.into());
        }
        target.mount.set_flags(restrictions(flags));
        return Ok(0);
    }
    if flags & MS_BIND != 0 {
        let from = place(t, UserPath(source.0))?;
        files.namespace.bind(&from, &target)?;
        return Ok(0);
    }
    if flags & MS_PROPAGATION != 0 && flags & !(MS_PROPAGATION | MS_REC) == 0 {
        return Ok(0);
    }
    if flags & MS_MOVE != 0 {
        return Err(Errno::EINVAL.into());
    }
    let kind = t.read_cstr(kind.0, PAGE)?;
    let options = if data.is_null() {
        Vec::new()
    } else {
        t.read_cstr(data, PAGE)?
    };
    let options = String::from_utf8(options).map_err(|_| Errno::EINVAL)?;
    let fs: Arc<dyn FileSystem> = match kind.as_slice() {
        b"tmpfs" | b"ramfs" => make_tmpfs(t, &options)?,
        b"proc" | b"sysfs" | b"devpts" => files.mounted(&kind).ok_or(Errno::ENODEV)?,
        _ => return Err(Errno::ENODEV.into()),
    };
    let source = if source.0.is_null() {
        b"none".to_vec()
    } else {
        t.read_cstr(source.0, PAGE)?
    };
    let source = String::from_utf8_lossy(&source).into_owned();
    files
        .namespace
        .mount(fs, &source, &target, restrictions(flags))?;
    Ok(0)
}

/// `umount2(2)`.
pub(crate) fn umount2(t: &Arc<Task>, target: UserPath, flags: u32) -> SysResult {
    if flags & !UMOUNT_FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut at = AtFlags::empty();
    at.set(AtFlags::SYMLINK_NOFOLLOW, flags & UMOUNT_NOFOLLOW != 0);
    let target = walk(t, Fd(AT_FDCWD), &target.read(t)?, follow_unless(at))?;
    allowed(t)?;
    t.kernel().files().namespace.unmount(&target)?;
    Ok(0)
}
