// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and writing: the one place where a file that is not ready is waited for.
//!
//! Files answer `EAGAIN`; here a task waits on their queue, is interrupted, gets
//! `SIGPIPE`, and writes on until everything is written. Linux 6.12
//! `fs/read_write.c`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::resource::RLIMIT_FSIZE;
use linux_abi::signal::{SI_USER, SIGPIPE, SIGXFSZ, SigInfo};

use crate::error::{Restart, SysErr, SysResult};
use crate::file::{Fd, IoFlags, OpenFile, UserBuf, Whence};
use crate::fs::inotify;
use crate::mm::UserAddr;
use crate::signal::Target;
use crate::task::Task;
use crate::vfs::{Kind, drop_set_id};

/// At which offset a transfer happens.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// At the description's offset, which moves.
    Current,
    /// At a given one.
    Offset(u64),
}

/// `RWF_*` flags.
const RWF_HIPRI: u32 = 1;
const RWF_DSYNC: u32 = 2;
const RWF_SYNC: u32 = 4;
const RWF_NOWAIT: u32 = 8;
const RWF_APPEND: u32 = 16;

pub(super) const AGAIN: SysErr = SysErr::Errno(Errno::EAGAIN);

/// Sends a signal to the task itself, as `send_sig` does.
pub(super) fn raise(t: &Arc<Task>, signal: i32) {
    let info = SigInfo::new(signal, SI_USER).with_sender(t.pid(), 0);
    // A thread that is gone needs no signal.
    let _ = t.signals().send(info, Target::Thread(t.tid()), u64::MAX);
}

/// Runs `step` with the offset that `at` means.
fn at_offset<R>(open: &OpenFile, at: At, step: impl FnOnce(&mut u64) -> R) -> R {
    match at {
        At::Offset(mut pos) => step(&mut pos),
        At::Current if open.file().is_seekable() => step(&mut open.lock_pos()),
        At::Current => step(&mut 0),
    }
}

/// Reads into `buf`, waiting as the description says.
pub(super) async fn read_file(
    t: &Arc<Task>,
    open: &Arc<OpenFile>,
    buf: &UserBuf,
    at: At,
    extra: IoFlags,
) -> SysResult {
    if !open.flags().is_readable() {
        return Err(Errno::EBADF.into());
    }
    let file = open.file();
    let how = open.io_flags() | extra;
    let attempt = |more: IoFlags| {
        let read = t.as_caller(|caller| {
            let mut sink = buf.clone();
            at_offset(open, at, |pos| {
                file.try_read(caller, &mut sink, pos, how | more)
            })
        });
        (read != Err(AGAIN)).then_some(read)
    };
    let first = attempt(IoFlags::empty());
    let done = match (first, file.wait_queue()) {
        (Some(done), _) => done,
        (None, Some(queue)) if !how.contains(IoFlags::NONBLOCK) => {
            let nanos = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
            let deadline = file
                .read_timeout()
                .map(|d| t.kernel().clock().after(nanos(d)));
            let waited = t
                .wait_for(queue, deadline, Restart::Sys, || attempt(IoFlags::empty()))
                .await?;
            waited
                .or_else(|| attempt(IoFlags::EXPIRED))
                .unwrap_or(Err(AGAIN))
        }
        _ => Err(AGAIN),
    }?;
    if done > 0 {
        inotify::accessed(open.location());
    }
    Ok(done)
}

/// How much of `len` bytes at `pos` the file size limit allows.
fn within_size_limit(t: &Arc<Task>, pos: u64, len: usize) -> SysResult<usize> {
    let limit = t.process().limits().soft(RLIMIT_FSIZE);
    if limit == u64::MAX || len == 0 {
        return Ok(len);
    }
    if pos >= limit {
        raise(t, SIGXFSZ);
        return Err(Errno::EFBIG.into());
    }
    Ok(usize::try_from(limit - pos).unwrap_or(usize::MAX).min(len))
}

/// What a call has still to write.
struct Rest {
    buf: UserBuf,
    /// Bytes beyond the limit of file sizes, which are not in `buf` any more.
    cut: usize,
}

fn write_once(t: &Arc<Task>, open: &OpenFile, rest: &mut Rest, at: At, how: IoFlags) -> SysResult {
    let is_regular = open.location().inode().kind() == Kind::Regular && open.file().is_seekable();
    t.as_caller(|caller| {
        at_offset(open, at, |pos| {
            // The file takes from a copy: an attempt that has to be repeated must
            // find its bytes again.
            let mut source = rest.buf.clone();
            if is_regular {
                let append = how.contains(IoFlags::APPEND);
                let end = if append {
                    open.location().inode().attr()?.size
                } else {
                    *pos
                };
                source.limit(within_size_limit(t, end, source.len())?);
            }
            let cut = rest.buf.len() - source.len();
            let n = open.file().try_write(caller, &mut source, pos, how)?;
            rest.buf = source;
            rest.cut += cut;
            if is_regular {
                drop_set_id(caller, open.location().inode())?;
            }
            Ok(n)
        })
    })
}

/// Writes all of `buf`, waiting as the description says.
pub(super) async fn write_file(
    t: &Arc<Task>,
    open: &Arc<OpenFile>,
    buf: &UserBuf,
    at: At,
    extra: IoFlags,
) -> SysResult {
    if !open.flags().is_writable() {
        return Err(Errno::EBADF.into());
    }
    let how = open.io_flags() | extra;
    let total = buf.len();
    let mut rest = Rest {
        buf: buf.clone(),
        cut: 0,
    };
    let mut offset = at;
    let outcome = loop {
        let before = rest.buf.len();
        let written = match write_once(t, open, &mut rest, offset, how) {
            Err(AGAIN) if !how.contains(IoFlags::NONBLOCK) => {
                let Some(queue) = open.file().wait_queue() else {
                    break Err(AGAIN);
                };
                let attempt = || {
                    let written = write_once(t, open, &mut rest, offset, how);
                    (written != Err(AGAIN)).then_some(written)
                };
                match t.wait_for(queue, None, Restart::Sys, attempt).await {
                    Ok(written) => written.unwrap_or(Ok(0)),
                    Err(interrupted) => Err(interrupted),
                }
            }
            written => written,
        };
        let count = match written {
            Ok(count) => count,
            Err(error) => break Err(error),
        };
        // Files may count what they did not fetch (`/dev/null`).
        if rest.buf.len() == before || rest.buf.is_empty() || count == 0 {
            let is_fetched = rest.buf.len() != before;
            break Ok(if is_fetched { 0 } else { count });
        }
        if how.contains(IoFlags::NONBLOCK) && open.file().wait_queue().is_some() {
            break Ok(0);
        }
        if let At::Offset(pos) = &mut offset {
            *pos += u64::try_from(count).unwrap_or(0);
        }
    };
    let moved = total - rest.cut - rest.buf.len();
    let done = match outcome {
        Ok(unfetched) => Ok(moved + unfetched),
        Err(_) if moved > 0 => Ok(moved),
        Err(error) => Err(error),
    };
    if done == Err(SysErr::Errno(Errno::EPIPE)) {
        raise(t, SIGPIPE);
    }
    if done.is_ok_and(|n| n > 0) {
        inotify::modified(open.location());
    }
    done
}

fn one(t: &Task, addr: UserAddr, len: usize) -> SysResult<UserBuf> {
    // Linux checks the sign of the whole length first.
    if isize::try_from(len).is_err() {
        return Err(Errno::EINVAL.into());
    }
    Ok(UserBuf::single(t.memory()?, addr, len))
}

fn offset_arg(open: &OpenFile, offset: i64) -> SysResult<At> {
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    if open.file().is_seekable() {
        Ok(At::Offset(offset))
    } else {
        Err(Errno::ESPIPE.into())
    }
}

fn rwf_arg(flags: u32) -> SysResult<IoFlags> {
    if flags & !(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let mut how = IoFlags::empty();
    how.set(IoFlags::NONBLOCK, flags & RWF_NOWAIT != 0);
    how.set(IoFlags::APPEND, flags & RWF_APPEND != 0);
    Ok(how)
}

/// `read(2)`.
pub(crate) async fn read(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize) -> SysResult {
    let open = t.files()?.get(fd)?;
    read_file(t, &open, &one(t, addr, len)?, At::Current, IoFlags::empty()).await
}

/// `write(2)`.
pub(crate) async fn write(t: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize) -> SysResult {
    let open = t.files()?.get(fd)?;
    write_file(t, &open, &one(t, addr, len)?, At::Current, IoFlags::empty()).await
}

/// `pread64(2)`.
pub(crate) async fn pread64(
    t: &Arc<Task>,
    fd: Fd,
    addr: UserAddr,
    len: usize,
    offset: i64,
) -> SysResult {
    if offset < 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = t.files()?.get(fd)?;
    let at = offset_arg(&open, offset)?;
    read_file(t, &open, &one(t, addr, len)?, at, IoFlags::empty()).await
}

/// `pwrite64(2)`.
pub(crate) async fn pwrite64(
    t: &Arc<Task>,
    fd: Fd,
    addr: UserAddr,
    len: usize,
    offset: i64,
) -> SysResult {
    if offset < 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = t.files()?.get(fd)?;
    let at = offset_arg(&open, offset)?;
    write_file(t, &open, &one(t, addr, len)?, at, IoFlags::empty()).await
}

/// `readv(2)`.
pub(crate) async fn readv(t: &Arc<Task>, fd: Fd, iov: UserAddr, count: usize) -> SysResult {
    let open = t.files()?.get(fd)?;
    let buf = UserBuf::gather(t.memory()?, iov, count)?;
    read_file(t, &open, &buf, At::Current, IoFlags::empty()).await
}

/// `writev(2)`.
pub(crate) async fn writev(t: &Arc<Task>, fd: Fd, iov: UserAddr, count: usize) -> SysResult {
    let open = t.files()?.get(fd)?;
    let buf = UserBuf::gather(t.memory()?, iov, count)?;
    write_file(t, &open, &buf, At::Current, IoFlags::empty()).await
}

/// `preadv(2)`; on 64 bit the high half of the offset is ignored.
pub(crate) async fn preadv(
    t: &Arc<Task>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
) -> SysResult {
    preadv2(t, fd, iov, count, offset.max(-2), 0, 0).await
}

/// `pwritev(2)`.
pub(crate) async fn pwritev(
    t: &Arc<Task>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
) -> SysResult {
    pwritev2(t, fd, iov, count, offset.max(-2), 0, 0).await
}

/// `preadv2(2)`: offset -1 means the description's own.
pub(crate) async fn preadv2(
    t: &Arc<Task>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
    _high: u64,
    flags: u32,
) -> SysResult {
    let (open, at, how) = vectored(t, fd, offset, flags)?;
    let buf = UserBuf::gather(t.memory()?, iov, count)?;
    read_file(t, &open, &buf, at, how).await
}

/// `pwritev2(2)`.
pub(crate) async fn pwritev2(
    t: &Arc<Task>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    offset: i64,
    _high: u64,
    flags: u32,
) -> SysResult {
    let (open, at, how) = vectored(t, fd, offset, flags)?;
    let buf = UserBuf::gather(t.memory()?, iov, count)?;
    write_file(t, &open, &buf, at, how).await
}

fn vectored(
    t: &Arc<Task>,
    fd: Fd,
    offset: i64,
    flags: u32,
) -> SysResult<(Arc<OpenFile>, At, IoFlags)> {
    if offset < -1 {
        return Err(Errno::EINVAL.into());
    }
    let open = t.files()?.get(fd)?;
    let at = if offset == -1 {
        At::Current
    } else {
        offset_arg(&open, offset)?
    };
    Ok((open, at, rwf_arg(flags)?))
}

/// `lseek(2)`.
pub(crate) fn lseek(t: &Arc<Task>, fd: Fd, offset: i64, whence: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    let whence = match whence {
        0 => Whence::Set,
        1 => Whence::Current,
        2 => Whence::End,
        3 => Whence::Data,
        4 => Whence::Hole,
        _ => return Err(Errno::EINVAL.into()),
    };
    let mut pos = open.lock_pos();
    *pos = open.file().seek(*pos, offset, whence)?;
    usize::try_from(*pos).map_err(|_| Errno::EOVERFLOW.into())
}
