// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that are events: `eventfd2`, `timerfd_*`, `signalfd4`, `inotify_*`,
//! and `memfd_create`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{AT_FDCWD, OpenFlags};
use linux_abi::inotify::InotifyMask;
use linux_abi::time::Itimerspec;

use super::at::{install, path_arg, walk};
use crate::error::SysResult;
use crate::eventfd::EventFd;
use crate::file::{Fd, File};
use crate::fs::inotify::Inotify;
use crate::signal::SigSet;
use crate::signalfd::SignalFd;
use crate::syscall::args::{UserPath, UserPtr, UserStr};
use crate::task::Task;
use crate::timerfd::TimerFd;
use crate::vfs::{Access, RegularFile, WalkFlags, may_access};

const EFD_SEMAPHORE: u32 = 1;
const MFD_CLOEXEC: u32 = 1;
const MFD_ALLOW_SEALING: u32 = 2;
const MFD_NOEXEC_SEAL: u32 = 8;
const MFD_EXEC: u32 = 16;
/// Longest name of a memfd.
const MFD_NAME_MAX: usize = 249;

/// Status flags that these calls take, and whether the descriptor is close-on-exec.
fn flags_arg(bits: u32) -> SysResult<(OpenFlags, bool)> {
    let flags = OpenFlags::from_bits_retain(bits);
    if !(flags - (OpenFlags::CLOEXEC | OpenFlags::NONBLOCK)).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    Ok((
        flags - OpenFlags::CLOEXEC,
        flags.contains(OpenFlags::CLOEXEC),
    ))
}

fn open(
    t: &Arc<Task>,
    name: &str,
    file: Arc<dyn File>,
    (flags, cloexec): (OpenFlags, bool),
) -> SysResult {
    let open = t.kernel().files().open_anonymous(name, file, flags);
    Ok(install(t, open, cloexec)?)
}

/// `eventfd2(2)`.
pub(crate) fn eventfd2(t: &Arc<Task>, count: u32, flags: u32) -> SysResult {
    let (status, cloexec) = flags_arg(flags & !EFD_SEMAPHORE)?;
    let file = EventFd::new(count, flags & EFD_SEMAPHORE != 0);
    open(
        t,
        "[eventfd]",
        Arc::new(file),
        (status | OpenFlags::RDWR, cloexec),
    )
}

/// `timerfd_create(2)`.
pub(crate) fn timerfd_create(t: &Arc<Task>, clock: i32, flags: u32) -> SysResult {
    let (status, cloexec) = flags_arg(flags)?;
    let timer = TimerFd::new(clock)?;
    open(t, "[timerfd]", timer, (status | OpenFlags::RDWR, cloexec))
}

/// `timerfd_settime(2)`.
pub(crate) fn timerfd_settime(
    t: &Arc<Task>,
    fd: Fd,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult {
    let new = new.read(t)?;
    if flags & !3 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = t.files()?.get(fd)?;
    let timer = file.file().downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let before = timer.set(t.kernel(), flags & 1 != 0, &new)?;
    old.write_if(t, &before)?;
    Ok(0)
}

/// `timerfd_gettime(2)`.
pub(crate) fn timerfd_gettime(t: &Arc<Task>, fd: Fd, now: UserPtr<Itimerspec>) -> SysResult {
    let file = t.files()?.get(fd)?;
    let timer = file.file().downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    now.write(t, &timer.get(t.kernel()))?;
    Ok(0)
}

/// `signalfd4(2)`: a new descriptor, or another mask for an old one.
pub(crate) fn signalfd4(
    t: &Arc<Task>,
    fd: Fd,
    mask: UserPtr<u64>,
    size: usize,
    flags: u32,
) -> SysResult {
    if size != 8 {
        return Err(Errno::EINVAL.into());
    }
    let mask = SigSet(mask.read(t)?);
    let (status, cloexec) = flags_arg(flags)?;
    if fd.0 == -1 {
        let file = SignalFd::new(mask, t);
        return open(
            t,
            "[signalfd]",
            Arc::new(file),
            (status | OpenFlags::RDWR, cloexec),
        );
    }
    let file = t.files()?.get(fd)?;
    file.file()
        .downcast::<SignalFd>()
        .ok_or(Errno::EINVAL)?
        .set_mask(mask);
    usize::try_from(fd.0).map_err(|_| Errno::EBADF.into())
}

/// `inotify_init1(2)`.
pub(crate) fn inotify_init1(t: &Arc<Task>, flags: u32) -> SysResult {
    open(t, "inotify", Inotify::new(), flags_arg(flags)?)
}

/// `inotify_add_watch(2)`.
pub(crate) fn inotify_add_watch(t: &Arc<Task>, fd: Fd, path: UserPath, mask: u32) -> SysResult {
    let mask = InotifyMask::from_bits_retain(mask);
    let both = InotifyMask::MASK_ADD | InotifyMask::MASK_CREATE;
    if mask.contains(both) || !mask.intersects(InotifyMask::ALL_EVENTS) {
        return Err(Errno::EINVAL.into());
    }
    let file = t.files()?.get(fd)?;
    let inotify = file.file().downcast::<Inotify>().ok_or(Errno::EINVAL)?;
    let mut flags = WalkFlags::empty();
    flags.set(WalkFlags::FOLLOW, !mask.contains(InotifyMask::DONT_FOLLOW));
    flags.set(WalkFlags::DIRECTORY, mask.contains(InotifyMask::ONLYDIR));
    let at = walk(t, Fd(AT_FDCWD), &path_arg(t, path)?, flags)?;
    may_access(&t.fs_cred(), &at.inode().attr()?, Access::READ)?;
    let wd = inotify.add_watch(at.inode(), mask)?;
    usize::try_from(wd).map_err(|_| Errno::ENOSPC.into())
}

/// `inotify_rm_watch(2)`.
pub(crate) fn inotify_rm_watch(t: &Arc<Task>, fd: Fd, wd: i32) -> SysResult {
    let file = t.files()?.get(fd)?;
    file.file()
        .downcast::<Inotify>()
        .ok_or(Errno::EINVAL)?
        .remove_watch(wd)?;
    Ok(0)
}

/// `memfd_create(2)`.
pub(crate) fn memfd_create(t: &Arc<Task>, name: UserStr, flags: u32) -> SysResult {
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !known != 0 || flags & (MFD_EXEC | MFD_NOEXEC_SEAL) == MFD_EXEC | MFD_NOEXEC_SEAL {
        return Err(Errno::EINVAL.into());
    }
    let name = t.read_cstr(name.0, MFD_NAME_MAX + 1);
    let name = name.map_err(|e| {
        if e == Errno::ENAMETOOLONG {
            Errno::EINVAL
        } else {
            e
        }
    })?;
    let files = t.kernel().files();
    let cred = t.fs_cred();
    let is_noexec = flags & MFD_NOEXEC_SEAL != 0;
    let perm = if is_noexec { 0o666 } else { 0o777 };
    let node = files.shm.unnamed_file(perm, cred.uid, cred.gid)?;
    if is_noexec {
        node.add_seals(linux_abi::fcntl::F_SEAL_EXEC)?;
    } else if flags & MFD_ALLOW_SEALING == 0 {
        node.set_unsealable();
    }
    let file = RegularFile::new(node.clone())?;
    let shown = [b"/memfd:", name.as_slice()].concat();
    let place = files.namespace.anonymous(node, &shown);
    place.dentry.mark_deleted();
    let flags_open = OpenFlags::RDWR | OpenFlags::LARGEFILE;
    let open = crate::file::OpenFile::new(Arc::new(file), place, flags_open);
    Ok(install(t, open, flags & MFD_CLOEXEC != 0)?)
}
