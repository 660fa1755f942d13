// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies between descriptors inside the kernel: `sendfile`, `copy_file_range`,
//! `splice`, `tee`, `vmsplice`; and making files durable.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::signal::SIGPIPE;

use super::rw::{AGAIN, raise};
use crate::error::{Restart, SysErr, SysResult};
use crate::file::{Fd, IoFlags, OpenFile, SliceSource, UserBuf, VecSink};
use crate::fs::inotify;
use crate::mm::UserAddr;
use crate::pipe::PipeEnd;
use crate::syscall::args::UserPtr;
use crate::task::Task;
use crate::vfs::Kind;

/// Bytes copied at a time.
const CHUNK: usize = 65536;
const SPLICE_F_NONBLOCK: u32 = 2;
const SPLICE_FLAGS: u32 = 15;

/// One side of a copy: a description and an offset of its own, or none.
struct Side {
    open: Arc<OpenFile>,
    offset: Option<u64>,
}

impl Side {
    fn with_pos<R>(&self, step: impl FnOnce(&mut u64) -> R) -> R {
        match self.offset {
            Some(mut pos) => step(&mut pos),
            None if self.open.file().is_seekable() => step(&mut self.open.lock_pos()),
            None => step(&mut 0),
        }
    }

    fn advance(&mut self, n: usize) {
        if let Some(pos) = &mut self.offset {
            *pos += u64::try_from(n).unwrap_or(0);
        }
    }
}

/// Reads a chunk; waits unless `nonblock`.
async fn take(t: &Arc<Task>, from: &mut Side, len: usize, nonblock: bool) -> SysResult<Vec<u8>> {
    let read = || {
        let mut sink = VecSink::new(len);
        let done = t.as_caller(|caller| {
            let how = from.open.io_flags();
            from.with_pos(|pos| from.open.file().try_read(caller, &mut sink, pos, how))
        });
        (done != Err(AGAIN)).then(|| done.map(|_| sink.into_inner()))
    };
    let data = match (read(), from.open.file().wait_queue()) {
        (Some(data), _) => data?,
        (None, Some(queue)) if !nonblock => t
            .wait_for(queue, None, Restart::Sys, read)
            .await?
            .unwrap_or(Err(AGAIN))?,
        _ => return Err(AGAIN),
    };
    from.advance(data.len());
    Ok(data)
}

/// Writes all of `data`; waits unless `nonblock`. Says how much was written when
/// something stops it.
async fn give(t: &Arc<Task>, to: &mut Side, data: &[u8], nonblock: bool) -> (usize, SysResult<()>) {
    let mut done = 0;
    while done < data.len() {
        let write = || {
            let mut source = SliceSource(&data[done..]);
            let written = t.as_caller(|caller| {
                let how = to.open.io_flags() - IoFlags::PACKET;
                to.with_pos(|pos| to.open.file().try_write(caller, &mut source, pos, how))
            });
            (written != Err(AGAIN)).then_some(written)
        };
        let written = match (write(), to.open.file().wait_queue()) {
            (Some(written), _) => written,
            (None, Some(queue)) if !nonblock => {
                match t.wait_for(queue, None, Restart::Sys, write).await {
                    Ok(written) => written.unwrap_or(Err(AGAIN)),
                    Err(interrupted) => Err(interrupted),
                }
            }
            _ => Err(AGAIN),
        };
        match written {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                to.advance(n);
            }
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// Copies up to `len` bytes. What was read and could not be written any more is
/// given back when the source has an offset.
async fn pump(
    t: &Arc<Task>,
    from: &mut Side,
    to: &mut Side,
    len: usize,
    nonblock: bool,
) -> SysResult {
    let mut total = 0;
    while total < len {
        let want = (len - total).min(CHUNK);
        let data = match take(t, from, want, nonblock || total > 0).await {
            Ok(data) => data,
            Err(_) if total > 0 => break,
            Err(error) => return Err(error),
        };
        if data.is_empty() {
            break;
        }
        let (written, outcome) = give(t, to, &data, nonblock).await;
        total += written;
        if written < data.len() {
            give_back(from, data.len() - written);
        }
        if let Err(error) = outcome {
            if error == SysErr::Errno(Errno::EPIPE) {
                raise(t, SIGPIPE);
            }
            return if total > 0 { Ok(total) } else { Err(error) };
        }
        if written < data.len() || data.len() < want {
            break;
        }
    }
    inotify::accessed(from.open.location());
    inotify::modified(to.open.location());
    Ok(total)
}

fn give_back(from: &mut Side, n: usize) {
    let n = u64::try_from(n).unwrap_or(0);
    match &mut from.offset {
        Some(pos) => *pos -= n,
        None if from.open.file().is_seekable() => *from.open.lock_pos() -= n,
        None => {}
    }
}

fn offset_arg(t: &Task, addr: UserPtr<i64>) -> SysResult<Option<u64>> {
    if addr.is_null() {
        return Ok(None);
    }
    u64::try_from(addr.read(t)?)
        .map(Some)
        .map_err(|_| Errno::EINVAL.into())
}

fn store_offset(t: &Task, addr: UserPtr<i64>, side: &Side) -> SysResult<()> {
    if let Some(pos) = side.offset {
        addr.write(t, &i64::try_from(pos).map_err(|_| Errno::EOVERFLOW)?)?;
    }
    Ok(())
}

fn check_modes(from: &OpenFile, to: &OpenFile) -> SysResult<()> {
    let is_valid = from.flags().is_readable() && to.flags().is_writable();
    if is_valid {
        Ok(())
    } else {
        Err(Errno::EBADF.into())
    }
}

/// `sendfile(2)`.
pub(crate) async fn sendfile(
    t: &Arc<Task>,
    out: Fd,
    input: Fd,
    offset: UserPtr<i64>,
    count: usize,
) -> SysResult {
    let files = t.files()?;
    let from = files.get(input)?;
    if !from.flags().is_readable() {
        return Err(Errno::EBADF.into());
    }
    let pos = offset_arg(t, offset)?;
    if pos.is_some() && !from.file().is_seekable() {
        return Err(Errno::ESPIPE.into());
    }
    let to = files.get(out)?;
    if !to.flags().is_writable() {
        return Err(Errno::EBADF.into());
    }
    if to.flags().contains(OpenFlags::APPEND) || from.location().inode().kind() == Kind::Directory {
        return Err(Errno::EINVAL.into());
    }
    let nonblock = to.flags().contains(OpenFlags::NONBLOCK);
    let (mut from, mut to) = (
        Side {
            open: from,
            offset: pos,
        },
        Side {
            open: to,
            offset: None,
        },
    );
    let done = pump(t, &mut from, &mut to, count.min(0x7fff_f000), nonblock).await?;
    store_offset(t, offset, &from)?;
    Ok(done)
}

/// `copy_file_range(2)`.
pub(crate) async fn copy_file_range(
    t: &Arc<Task>,
    input: Fd,
    in_offset: UserPtr<i64>,
    out: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult {
    let files = t.files()?;
    let (from, to) = (files.get(input)?, files.get(out)?);
    let (in_pos, out_pos) = (offset_arg(t, in_offset)?, offset_arg(t, out_offset)?);
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    check_modes(&from, &to)?;
    for open in [&from, &to] {
        match open.location().inode().kind() {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR.into()),
            _ => return Err(Errno::EINVAL.into()),
        }
    }
    if to.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF.into());
    }
    if Arc::ptr_eq(from.location().inode(), to.location().inode()) {
        let start = in_pos.unwrap_or_else(|| *from.lock_pos());
        let target = out_pos.unwrap_or_else(|| *to.lock_pos());
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if start < target.saturating_add(len) && target < start.saturating_add(len) {
            return Err(Errno::EINVAL.into());
        }
    }
    let (mut from, mut to) = (
        Side {
            open: from,
            offset: in_pos,
        },
        Side {
            open: to,
            offset: out_pos,
        },
    );
    let done = pump(t, &mut from, &mut to, len.min(0x7fff_f000), false).await?;
    store_offset(t, in_offset, &from)?;
    store_offset(t, out_offset, &to)?;
    Ok(done)
}

/// `splice(2)`.
pub(crate) async fn splice(
    t: &Arc<Task>,
    input: Fd,
    in_offset: UserPtr<i64>,
    out: Fd,
    out_offset: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult {
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    if len == 0 {
        return Ok(0);
    }
    let files = t.files()?;
    let (from, to) = (files.get(input)?, files.get(out)?);
    check_modes(&from, &to)?;
    let is_pipe = |open: &OpenFile| open.file().downcast::<PipeEnd>().is_some();
    let (from_pipe, to_pipe) = (is_pipe(&from), is_pipe(&to));
    if (from_pipe && !in_offset.is_null()) || (to_pipe && !out_offset.is_null()) {
        return Err(Errno::ESPIPE.into());
    }
    let is_same = Arc::ptr_eq(from.location().inode(), to.location().inode());
    if (!from_pipe && !to_pipe) || (from_pipe && to_pipe && is_same) {
        return Err(Errno::EINVAL.into());
    }
    if to.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL.into());
    }
    let (in_pos, out_pos) = (offset_arg(t, in_offset)?, offset_arg(t, out_offset)?);
    let nonblock = flags & SPLICE_F_NONBLOCK != 0;
    // What leaves a pipe cannot be given back: never take more than fits.
    let room = match to.file().downcast::<PipeEnd>() {
        Some(end) => end.room().max(1),
        None => CHUNK,
    };
    let (mut from, mut to) = (
        Side {
            open: from,
            offset: in_pos,
        },
        Side {
            open: to,
            offset: out_pos,
        },
    );
    let done = pump(t, &mut from, &mut to, len.min(room), nonblock).await?;
    store_offset(t, in_offset, &from)?;
    store_offset(t, out_offset, &to)?;
    Ok(done)
}

/// `tee(2)`.
pub(crate) async fn tee(t: &Arc<Task>, input: Fd, out: Fd, len: usize, flags: u32) -> SysResult {
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let files = t.files()?;
    let (from, to) = (files.get(input)?, files.get(out)?);
    check_modes(&from, &to)?;
    let source = from.file().downcast::<PipeEnd>().ok_or(Errno::EINVAL)?;
    let sink = to.file().downcast::<PipeEnd>().ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(from.location().inode(), to.location().inode()) {
        return Err(Errno::EINVAL.into());
    }
    let nonblock = flags & SPLICE_F_NONBLOCK != 0;
    let peek = || source.peek(len.min(CHUNK)).ok();
    let data = match (peek(), from.file().wait_queue()) {
        (Some(data), _) => data,
        (None, Some(queue)) if !nonblock => t
            .wait_for(queue, None, Restart::Sys, peek)
            .await?
            .unwrap_or_default(),
        _ => return Err(AGAIN),
    };
    let limit = sink.room().max(1).min(data.len());
    let mut to = Side {
        open: to.clone(),
        offset: None,
    };
    let (done, outcome) = give(t, &mut to, &data[..limit], nonblock).await;
    if done == 0 {
        outcome?;
    }
    Ok(done)
}

/// `vmsplice(2)`: copies, which programs cannot tell from gifts.
pub(crate) async fn vmsplice(
    t: &Arc<Task>,
    fd: Fd,
    iov: UserAddr,
    count: usize,
    flags: u32,
) -> SysResult {
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    let open = t.files()?.get(fd)?;
    let end = open.file().downcast::<PipeEnd>().ok_or(Errno::EBADF)?;
    let buf = UserBuf::gather(t.memory()?, iov, count)?;
    let mut how = IoFlags::empty();
    how.set(IoFlags::NONBLOCK, flags & SPLICE_F_NONBLOCK != 0);
    if end.is_reader() {
        super::rw::read_file(t, &open, &buf, super::rw::At::Current, how).await
    } else {
        super::rw::write_file(t, &open, &buf, super::rw::At::Current, how).await
    }
}

fn sync_one(t: &Arc<Task>, fd: Fd) -> SysResult {
    let open = t.files()?.get(fd)?;
    let inode = open.location().inode();
    match inode.as_regular() {
        Some(regular) if inode.kind() == Kind::Regular => regular.sync()?,
        _ if inode.as_dir().is_some() || inode.kind() == Kind::Block => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// `fsync(2)`.
pub(crate) fn fsync(t: &Arc<Task>, fd: Fd) -> SysResult {
    sync_one(t, fd)
}

/// `fdatasync(2)`.
pub(crate) fn fdatasync(t: &Arc<Task>, fd: Fd) -> SysResult {
    sync_one(t, fd)
}

/// `sync(2)`.
pub(crate) fn sync(t: &Arc<Task>) -> SysResult {
    for mount in t.kernel().files().namespace.mounts() {
        // There is nobody to tell: `sync` always succeeds.
        let _ = mount.fs().sync();
    }
    Ok(0)
}

/// `syncfs(2)`.
pub(crate) fn syncfs(t: &Arc<Task>, fd: Fd) -> SysResult {
    let open = t.files()?.get(fd)?;
    open.location().mount.fs().sync()?;
    Ok(0)
}

/// `sync_file_range(2)`.
pub(crate) fn sync_file_range(
    t: &Arc<Task>,
    fd: Fd,
    offset: i64,
    len: i64,
    flags: u32,
) -> SysResult {
    let is_valid = flags & !7 == 0 && offset >= 0 && len >= 0 && offset.checked_add(len).is_some();
    if !is_valid {
        return Err(Errno::EINVAL.into());
    }
    let open = t.files()?.get(fd)?;
    match open.location().inode().kind() {
        Kind::Regular | Kind::Directory | Kind::Block | Kind::Symlink => sync_one(t, fd),
        _ => Err(Errno::ESPIPE.into()),
    }
}

/// `fadvise64(2)`: advice is checked and otherwise not needed.
pub(crate) fn fadvise64(t: &Arc<Task>, fd: Fd, _offset: i64, len: i64, advice: u32) -> SysResult {
    let open = t.files()?.get(fd)?;
    if open.file().downcast::<PipeEnd>().is_some() {
        return Err(Errno::ESPIPE.into());
    }
    if len < 0 || advice > 5 {
        Err(Errno::EINVAL.into())
    } else {
        Ok(0)
    }
}

/// `readahead(2)`.
pub(crate) fn readahead(t: &Arc<Task>, fd: Fd, _offset: i64, _count: usize) -> SysResult {
    let open = t.files()?.get(fd)?;
    if !open.flags().is_readable() {
        return Err(Errno::EBADF.into());
    }
    if open.location().inode().kind() == Kind::Regular {
        Ok(0)
    } else {
        Err(Errno::EINVAL.into())
    }
}
