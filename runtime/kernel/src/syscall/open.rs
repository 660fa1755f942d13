// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening and closing: `openat`, `openat2`, `close`, `close_range`, `pipe2`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, OpenHow, Resolve};
use zerocopy::{FromZeros, IntoBytes};

use super::at::{install, path_arg, start_of};
use crate::error::{Restart, SysResult};
use crate::file::{Fd, OpenFile};
use crate::mm::UserAddr;
use crate::pipe::PipeEnd;
use crate::syscall::args::UserPath;
use crate::task::Task;
use crate::vfs::{OpenRequest, open as open_path};

/// What `openat2` accepts; `openat` ignores the rest.
const KNOWN: OpenFlags = OpenFlags::all();
/// What `O_PATH` leaves of the flags.
const WITH_PATH: OpenFlags = OpenFlags::PATH
    .union(OpenFlags::DIRECTORY)
    .union(OpenFlags::NOFOLLOW)
    .union(OpenFlags::CLOEXEC);
const CLOSE_RANGE_UNSHARE: u32 = 2;
const CLOSE_RANGE_CLOEXEC: u32 = 4;

fn check_flags(flags: OpenFlags) -> Result<(), Errno> {
    if flags.contains(OpenFlags::TMPFILE_BIT)
        && (!flags.contains(OpenFlags::TMPFILE) || !flags.is_writable())
    {
        return Err(Errno::EINVAL);
    }
    if flags.contains(OpenFlags::DIRECTORY | OpenFlags::CREAT)
        && !flags.contains(OpenFlags::TMPFILE_BIT)
    {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

async fn do_open(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    flags: OpenFlags,
    mode: u32,
    resolve: Resolve,
) -> SysResult {
    check_flags(flags)?;
    let path = path_arg(t, path)?;
    if path.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    // With RESOLVE_IN_ROOT an absolute path starts at the descriptor, too.
    let relative = resolve.intersects(Resolve::IN_ROOT | Resolve::BENEATH);
    let start = start_of(t, dirfd, if relative { b"." } else { &path })?;
    let req = OpenRequest {
        flags,
        mode,
        resolve,
    };
    let fs = t.fs()?;
    let files = t.kernel().files();
    let open = t.as_caller(|caller| open_path(caller, &fs, &files.devices, start, &path, &req))?;
    wait_for_partner(t, &open).await?;
    Ok(install(t, open, flags.contains(OpenFlags::CLOEXEC))?)
}

/// A fifo's open waits until the other side is open, too.
async fn wait_for_partner(t: &Arc<Task>, open: &Arc<OpenFile>) -> SysResult<()> {
    let Some(end) = open.file().downcast::<PipeEnd>() else {
        return Ok(());
    };
    if open.flags().contains(OpenFlags::NONBLOCK) {
        return Ok(());
    }
    let Some(queue) = open.file().wait_queue() else {
        return Ok(());
    };
    let met = || end.has_met_partner().then_some(());
    t.wait_for(queue, None, Restart::Sys, met).await.map(drop)
}

/// `openat(2)`.
pub(crate) async fn openat(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    flags: u32,
    mode: u32,
) -> SysResult {
    let mut flags = OpenFlags::from_bits_truncate(flags);
    if flags.contains(OpenFlags::PATH) {
        flags &= WITH_PATH;
    }
    do_open(t, dirfd, path, flags, mode & 0o7777, Resolve::empty()).await
}

/// `openat2(2)`.
pub(crate) async fn openat2(
    t: &Arc<Task>,
    dirfd: Fd,
    path: UserPath,
    how: UserAddr,
    size: usize,
) -> SysResult {
    let how = read_how(t, how, size)?;
    let bits = u32::try_from(how.flags).map_err(|_| Errno::EINVAL)?;
    let flags = OpenFlags::from_bits_retain(bits);
    let resolve = Resolve::from_bits(how.resolve).ok_or(Errno::EINVAL)?;
    let is_path = flags.contains(OpenFlags::PATH);
    let creates = flags.intersects(OpenFlags::CREAT | OpenFlags::TMPFILE_BIT);
    let is_valid = (flags - KNOWN).is_empty()
        && how.mode & !0o7777 == 0
        && (creates || how.mode == 0)
        && (!is_path || (flags - WITH_PATH).is_empty())
        && !resolve.contains(Resolve::BENEATH | Resolve::IN_ROOT);
    if !is_valid {
        return Err(Errno::EINVAL.into());
    }
    if resolve.contains(Resolve::CACHED) {
        // Nothing promises that a walk needs no file system.
        return Err(Errno::EAGAIN.into());
    }
    let mode = u32::try_from(how.mode).map_err(|_| Errno::EINVAL)?;
    do_open(t, dirfd, path, flags, mode, resolve).await
}

/// The extensible argument: larger ones may only have zeros behind what is known.
fn read_how(t: &Task, addr: UserAddr, size: usize) -> SysResult<OpenHow> {
    let known = size_of::<OpenHow>();
    if size < known {
        return Err(Errno::EINVAL.into());
    }
    if size > 4096 {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = vec![0; size];
    t.copy_in(addr, &mut bytes)?;
    if bytes[known..].iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG.into());
    }
    let mut how = OpenHow::new_zeroed();
    how.as_mut_bytes().copy_from_slice(&bytes[..known]);
    Ok(how)
}

/// What `close` does with a description that left the table (`filp_close`).
pub(crate) fn flush_closed(t: &Arc<Task>, table: u64, open: &Arc<OpenFile>) {
    t.as_caller(|caller| open.file().on_close(caller));
    if let Some(locks) = open.location().inode().attachments().locks_if_any() {
        locks.release_process(table);
    }
}

/// `close(2)`.
pub(crate) fn close(t: &Arc<Task>, fd: Fd) -> SysResult {
    let files = t.files()?;
    let open = files.remove(fd)?;
    flush_closed(t, files.id(), &open);
    Ok(0)
}

/// `close_range(2)`.
pub(crate) fn close_range(t: &Arc<Task>, first: u32, last: u32, flags: u32) -> SysResult {
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL.into());
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        t.unshare_files()?;
    }
    let files = t.files()?;
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        files.set_cloexec_range(first, last);
        return Ok(0);
    }
    for open in files.remove_range(first, last) {
        flush_closed(t, files.id(), &open);
    }
    Ok(0)
}

/// `pipe2(2)`.
pub(crate) fn pipe2(t: &Arc<Task>, fds: UserAddr, flags: u32) -> SysResult {
    let allowed = OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - allowed).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let cloexec = flags.contains(OpenFlags::CLOEXEC);
    let (reader, writer) = t.kernel().files().open_pipe(flags - OpenFlags::CLOEXEC);
    install_pair(t, fds, [reader, writer], cloexec)
}

/// Installs two descriptions and stores their numbers; neither stays when
/// anything fails.
pub(super) fn install_pair(
    t: &Arc<Task>,
    addr: UserAddr,
    pair: [Arc<OpenFile>; 2],
    cloexec: bool,
) -> SysResult {
    let files = t.files()?;
    let limit = t.process().limits().descriptors();
    let [first, second] = pair;
    let a = files.install(first, cloexec, 0, limit)?;
    let stored = files.install(second, cloexec, 0, limit).and_then(|b| {
        let numbers = [a.0, b.0];
        t.copy_out(addr, numbers.as_bytes())
            .inspect_err(|_| drop(files.remove(b)))
    });
    if let Err(error) = stored {
        drop(files.remove(a));
        return Err(error.into());
    }
    Ok(0)
}
