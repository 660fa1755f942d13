// SPDX-License-Identifier: MIT OR Apache-2.0
//! `fcntl`, `dup`, `dup3`, `flock` and the generic part of `ioctl`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{self as abi, Flock, OpenFlags};
use linux_abi::ioctl;

use crate::error::{Restart, SysResult};
use crate::file::locks::{LockKind, LockOwner, RecordLock};
use crate::file::{Fd, Ioctl, OpenFile};
use crate::fs::tmpfs::TmpNode;
use crate::mm::UserAddr;
use crate::pipe::PipeEnd;
use crate::syscall::args::UserPtr;
use crate::syscall::open::flush_closed;
use crate::task::Task;

fn number(fd: Fd) -> SysResult {
    usize::try_from(fd.0).map_err(|_| Errno::EBADF.into())
}

/// `dup(2)`.
pub(crate) fn dup(t: &Arc<Task>, fd: Fd) -> SysResult {
    let files = t.files()?;
    let open = files.get_any(fd)?;
    number(files.install(open, false, 0, t.process().limits().descriptors())?)
}

/// `dup3(2)`.
pub(crate) fn dup3(t: &Arc<Task>, old: Fd, new: Fd, flags: u32) -> SysResult {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - OpenFlags::CLOEXEC).is_empty() || old == new {
        return Err(Errno::EINVAL.into());
    }
    let files = t.files()?;
    let limit = t.process().limits().descriptors();
    if usize::try_from(new.0).map_or(true, |n| n >= limit) {
        return Err(Errno::EBADF.into());
    }
    let open = files.get_any(old)?;
    let cloexec = flags.contains(OpenFlags::CLOEXEC);
    if let Some(closed) = files.replace(new, open, cloexec, limit)? {
        flush_closed(t, files.id(), &closed);
    }
    number(new)
}

/// `fcntl(2)`.
pub(crate) async fn fcntl(t: &Arc<Task>, fd: Fd, command: u32, arg: u64) -> SysResult {
    let files = t.files()?;
    let entry = files.entry(fd)?;
    match command {
        abi::F_DUPFD | abi::F_DUPFD_CLOEXEC => {
            let limit = t.process().limits().descriptors();
            let from = usize::try_from(arg).ok().filter(|&from| from < limit);
            let from = from.ok_or(Errno::EINVAL)?;
            let cloexec = command == abi::F_DUPFD_CLOEXEC;
            return number(files.install(entry.file, cloexec, from, limit)?);
        }
        abi::F_GETFD => return Ok(usize::from(entry.cloexec)),
        abi::F_SETFD => {
            files.set_cloexec(fd, arg & u64::from(abi::FD_CLOEXEC) != 0)?;
            return Ok(0);
        }
        abi::F_GETFL => return bits(entry.file.flags().bits()),
        _ if entry.file.is_path() => return Err(Errno::EBADF.into()),
        _ => {}
    }
    let open = entry.file;
    match command {
        abi::F_SETFL => set_flags(t, &open, arg),
        abi::F_GETLK | abi::F_OFD_GETLK => test_lock(t, &open, command, UserAddr(arg)),
        abi::F_SETLK | abi::F_SETLKW | abi::F_OFD_SETLK | abi::F_OFD_SETLKW => {
            set_lock(t, &open, command, UserAddr(arg)).await
        }
        abi::F_GETOWN => {
            let owner = open.sigio_owner();
            Ok(usize::from_ne_bytes(i64::from(owner).to_ne_bytes()))
        }
        abi::F_SETOWN => {
            let owner = i32::from_ne_bytes(low_half(arg));
            open.set_sigio_owner(owner);
            Ok(0)
        }
        abi::F_GETPIPE_SZ => {
            let end = open.file().downcast::<PipeEnd>().ok_or(Errno::EBADF)?;
            Ok(end.capacity())
        }
        abi::F_SETPIPE_SZ => {
            let end = open.file().downcast::<PipeEnd>().ok_or(Errno::EBADF)?;
            let wanted = usize::try_from(u32::from_ne_bytes(low_half(arg)));
            let privileged = t.creds().has_cap(linux_abi::capability::CAP_SYS_RESOURCE);
            Ok(end.set_capacity(wanted.map_err(|_| Errno::EINVAL)?, privileged)?)
        }
        abi::F_GET_SEALS => bits(sealable(&open)?.seals()),
        abi::F_ADD_SEALS => {
            if !open.flags().is_writable() {
                return Err(Errno::EPERM.into());
            }
            let seals = u32::from_ne_bytes(low_half(arg));
            if seals & !0x3f != 0 {
                return Err(Errno::EINVAL.into());
            }
            sealable(&open)?.add_seals(seals)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

fn low_half(arg: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = arg.to_le_bytes();
    [a, b, c, d]
}

fn bits(bits: u32) -> SysResult {
    usize::try_from(bits).map_err(|_| Errno::EINVAL.into())
}

fn sealable(open: &OpenFile) -> Result<&TmpNode, Errno> {
    open.location()
        .inode()
        .downcast::<TmpNode>()
        .ok_or(Errno::EINVAL)
}

fn set_flags(t: &Arc<Task>, open: &OpenFile, arg: u64) -> SysResult {
    let new = OpenFlags::from_bits_truncate(u32::from_ne_bytes(low_half(arg)));
    let gains_noatime =
        new.contains(OpenFlags::NOATIME) && !open.flags().contains(OpenFlags::NOATIME);
    if gains_noatime && !t.fs_cred().owns(&open.location().inode().attr()?) {
        return Err(Errno::EPERM.into());
    }
    open.set_flags(new);
    Ok(0)
}

/// The bytes that a `struct flock` means, first and last.
fn range_of(open: &OpenFile, flock: &Flock) -> SysResult<(u64, u64)> {
    let base = match flock.l_whence {
        0 => 0,
        1 => *open.lock_pos(),
        2 => open.location().inode().attr()?.size,
        _ => return Err(Errno::EINVAL.into()),
    };
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    let at = base.checked_add(flock.l_start).ok_or(Errno::EOVERFLOW)?;
    let (start, end) = match flock.l_len {
        0 => (at, None),
        len if len > 0 => (at, Some(at.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?)),
        len => (at.checked_add(len).ok_or(Errno::EINVAL)?, Some(at - 1)),
    };
    let start = u64::try_from(start).map_err(|_| Errno::EINVAL)?;
    let end = end
        .map_or(Ok(u64::MAX), u64::try_from)
        .map_err(|_| Errno::EINVAL)?;
    Ok((start, end))
}

fn owner_of(t: &Task, open: &OpenFile, command: u32) -> SysResult<LockOwner> {
    let is_ofd = matches!(
        command,
        abi::F_OFD_GETLK | abi::F_OFD_SETLK | abi::F_OFD_SETLKW
    );
    Ok(if is_ofd {
        LockOwner::Description(open.id())
    } else {
        LockOwner::Process {
            table: t.files()?.id(),
            pid: t.pid(),
        }
    })
}

fn kind_of(l_type: i16) -> SysResult<Option<LockKind>> {
    Ok(match l_type {
        abi::F_RDLCK => Some(LockKind::Shared),
        abi::F_WRLCK => Some(LockKind::Exclusive),
        abi::F_UNLCK => None,
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn flock_arg(t: &Task, command: u32, addr: UserAddr) -> SysResult<Flock> {
    let flock: Flock = t.read_value(addr)?;
    let is_ofd = matches!(
        command,
        abi::F_OFD_GETLK | abi::F_OFD_SETLK | abi::F_OFD_SETLKW
    );
    if is_ofd && flock.l_pid != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(flock)
}

fn test_lock(t: &Arc<Task>, open: &OpenFile, command: u32, addr: UserAddr) -> SysResult {
    let mut flock = flock_arg(t, command, addr)?;
    let kind = kind_of(flock.l_type)?.ok_or(Errno::EINVAL)?;
    let (start, end) = range_of(open, &flock)?;
    let wanted = RecordLock {
        owner: owner_of(t, open, command)?,
        kind,
        start,
        end,
    };
    match open
        .location()
        .inode()
        .attachments()
        .locks()
        .conflict(&wanted)
    {
        None => flock.l_type = abi::F_UNLCK,
        Some(found) => {
            let is_exclusive = found.kind == LockKind::Exclusive;
            flock.l_type = if is_exclusive {
                abi::F_WRLCK
            } else {
                abi::F_RDLCK
            };
            flock.l_whence = 0;
            flock.l_start = i64::try_from(found.start).unwrap_or(i64::MAX);
            let len = if found.end == u64::MAX {
                0
            } else {
                found.end - found.start + 1
            };
            flock.l_len = i64::try_from(len).unwrap_or(0);
            flock.l_pid = match found.owner {
                LockOwner::Process { pid, .. } => pid,
                LockOwner::Description(_) => -1,
            };
        }
    }
    t.write_value(addr, &flock)?;
    Ok(0)
}

async fn set_lock(t: &Arc<Task>, open: &Arc<OpenFile>, command: u32, addr: UserAddr) -> SysResult {
    let flock = flock_arg(t, command, addr)?;
    let (start, end) = range_of(open, &flock)?;
    let owner = owner_of(t, open, command)?;
    let locks = open.location().inode().attachments().locks().clone();
    let Some(kind) = kind_of(flock.l_type)? else {
        locks.unlock(owner, start, end);
        return Ok(0);
    };
    let needed = match kind {
        LockKind::Shared => open.flags().is_readable(),
        LockKind::Exclusive => open.flags().is_writable(),
    };
    if !needed {
        return Err(Errno::EBADF.into());
    }
    let wanted = RecordLock {
        owner,
        kind,
        start,
        end,
    };
    if !matches!(command, abi::F_SETLKW | abi::F_OFD_SETLKW) {
        locks.try_lock(wanted)?;
        return Ok(0);
    }
    let graph = &t.kernel().files().lock_graph;
    let _waiting = graph.enter(owner);
    let attempt = || match locks.try_lock(wanted) {
        Ok(()) => Some(Ok(())),
        Err(_) => {
            let holder = locks.conflict(&wanted)?;
            graph
                .would_deadlock(owner, holder.owner)
                .then_some(Err(Errno::EDEADLK))
        }
    };
    match t
        .wait_for(locks.queue(), None, Restart::Sys, attempt)
        .await?
    {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(0),
    }
}

/// `flock(2)`.
pub(crate) async fn flock(t: &Arc<Task>, fd: Fd, operation: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    let locks = open.location().inode().attachments().locks().clone();
    let kind = match operation & !abi::LOCK_NB {
        abi::LOCK_SH => LockKind::Shared,
        abi::LOCK_EX => LockKind::Exclusive,
        abi::LOCK_UN => {
            locks.funlock(open.id());
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    if operation & abi::LOCK_NB != 0 {
        locks.try_flock(open.id(), kind)?;
        return Ok(0);
    }
    let attempt = || locks.try_flock(open.id(), kind).ok();
    t.wait_for(locks.queue(), None, Restart::Sys, attempt)
        .await?;
    Ok(0)
}

/// `ioctl(2)`: what every file knows, then what this one does.
pub(crate) fn ioctl(t: &Arc<Task>, fd: Fd, request: u32, arg: u64) -> SysResult {
    let files = t.files()?;
    let open = files.get(fd)?;
    match request {
        ioctl::FIOCLEX | ioctl::FIONCLEX => {
            files.set_cloexec(fd, request == ioctl::FIOCLEX)?;
            Ok(0)
        }
        ioctl::FIONBIO => {
            let on = UserPtr::<i32>::new(UserAddr(arg)).read(t)?;
            open.set_nonblocking(on != 0);
            Ok(0)
        }
        ioctl::FIOASYNC => {
            let on = UserPtr::<i32>::new(UserAddr(arg)).read(t)?;
            let mut flags = open.flags();
            flags.set(OpenFlags::ASYNC, on != 0);
            open.set_flags(flags);
            Ok(0)
        }
        ioctl::FIONREAD if open.file().is_seekable() && open.file().wait_queue().is_none() => {
            let size = open.location().inode().attr()?.size;
            let left = size.saturating_sub(*open.lock_pos());
            let left = i32::try_from(left).unwrap_or(i32::MAX);
            UserPtr::<i32>::new(UserAddr(arg)).write(t, &left)?;
            Ok(0)
        }
        ioctl::TIOCGPTPEER => open_peer(t, &open, arg),
        _ => t.as_caller(|caller| open.file().ioctl(caller, &open, Ioctl { request, arg })),
    }
}

fn open_peer(t: &Arc<Task>, open: &Arc<OpenFile>, arg: u64) -> SysResult {
    let master = open
        .file()
        .downcast::<crate::tty::pty::Master>()
        .ok_or(Errno::ENOTTY)?;
    let flags = OpenFlags::from_bits_truncate(u32::from_ne_bytes(low_half(arg)));
    let files = t.kernel().files();
    let slave = t.as_caller(|caller| master.pty().open_slave(caller, flags))?;
    let place = files.pty_place(master.pty().tty().name());
    let cloexec = flags.contains(OpenFlags::CLOEXEC);
    Ok(super::at::install(
        t,
        OpenFile::new(slave, place, flags),
        cloexec,
    )?)
}
