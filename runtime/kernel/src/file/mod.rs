// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open files: what a descriptor refers to.
//!
//! [`File`] is one opened object: it never blocks. "Not ready" is `EAGAIN`, and
//! the syscall layer (`syscall/rw.rs`) waits on [`File::wait_queue`], restarts,
//! honours `O_NONBLOCK` and raises `SIGPIPE`. [`OpenFile`] is the open file
//! description (offset, status flags, owner of locks), [`FdTable`] the numbers
//! of a process, [`FsContext`] its root, working directory and umask.
//! Locks: a `File` may take its own locks; it must not hold one while it calls
//! `wake_all`. Linux 6.12.

mod fd_table;
mod fs_context;
mod io;
mod ioctl;
pub mod locks;
mod open_file;
mod user_io;

pub use fd_table::{Fd, FdEntry, FdTable};
pub use fs_context::FsContext;
pub use io::{IoSink, IoSource, SliceSource, VecSink};
pub use ioctl::{get_ioctl, put_ioctl};
pub use open_file::OpenFile;
pub use user_io::{MAX_PIECES, UserBuf};

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::PollEvents;

use crate::error::SysResult;
use crate::mm::Mappable;
use crate::task::Task;
use crate::tty::Job;
use crate::vfs::FsCred;
use crate::wait::WaitQueue;

/// On whose behalf something happens to a file.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Identity for permission checks.
    pub cred: &'a FsCred,
    /// The task, when a guest program asks; the kernel itself has none.
    pub task: Option<&'a Arc<Task>>,
}

impl<'a> Caller<'a> {
    /// The kernel's own access with `cred`, on behalf of no task.
    #[must_use]
    pub const fn kernel(cred: &'a FsCred) -> Self {
        Self { cred, task: None }
    }

    /// The caller's process id; 0 for the kernel itself.
    #[must_use]
    pub fn process_id(&self) -> i32 {
        self.task.map_or(0, |task| task.pid())
    }

    /// The caller's place in job control.
    #[must_use]
    pub fn job(&self) -> Option<&'a dyn Job> {
        self.task.map(|task| &**task as &dyn Job)
    }
}

/// How `lseek` moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// From the start.
    Set,
    /// From the current offset.
    Current,
    /// From the end.
    End,
    /// To the next data.
    Data,
    /// To the next hole.
    Hole,
}

bitflags::bitflags! {
    /// How one read or write is done.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct IoFlags: u32 {
        /// Write at the end, whatever the offset.
        const APPEND = 1;
        /// The caller will not wait (a terminal decides on it, others ignore it).
        const NONBLOCK = 2;
        /// Pipe packets (`O_DIRECT`).
        const PACKET = 4;
        /// The time given by `read_timeout` passed: what is there is enough.
        const EXPIRED = 8;
    }
}

/// An `ioctl` request with its undecoded argument.
///
/// The argument's memory is reached through the caller's task.
#[derive(Clone, Copy, Debug)]
pub struct Ioctl {
    /// The request number.
    pub request: u32,
    /// Number or address, as the request defines.
    pub arg: u64,
}

/// One opened object. Implementations never block.
pub trait File: Any + Send + Sync {
    /// Reads at `*pos` and advances it; streams ignore `pos`.
    ///
    /// # Errors
    /// `EAGAIN` when nothing is there yet; what Linux answers otherwise.
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        _dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        Err(Errno::EINVAL.into())
    }

    /// Writes at `*pos` and advances it; streams ignore `pos`.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room (the caller tries again with a fresh
    /// source); `EPIPE` without raising the signal.
    fn try_write(
        &self,
        _caller: &Caller<'_>,
        _src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        Err(Errno::EINVAL.into())
    }

    /// What the file is ready for now.
    fn readiness(&self) -> PollEvents {
        PollEvents::READABLE | PollEvents::WRITABLE
    }

    /// The queue that is woken when readiness may have changed; `None` for
    /// files that are always ready.
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// How long a read that has nothing yet waits at most, when the file itself
    /// limits it (`VTIME` of terminals).
    fn read_timeout(&self) -> Option<Duration> {
        None
    }

    /// Does the file have an offset (`pread` and `lseek` work)?
    fn is_seekable(&self) -> bool {
        false
    }

    /// Where `whence`/`offset` leads from `pos`.
    ///
    /// # Errors
    /// `ESPIPE` without an offset, `EINVAL` for a negative result, `ENXIO`
    /// beyond the end for data and holes.
    fn seek(&self, _pos: u64, _offset: i64, _whence: Whence) -> SysResult<u64> {
        Err(Errno::ESPIPE.into())
    }

    /// Device and file specific requests.
    ///
    /// # Errors
    /// `ENOTTY` for requests that the file does not know.
    fn ioctl(&self, _caller: &Caller<'_>, _open: &OpenFile, _req: Ioctl) -> SysResult<usize> {
        Err(Errno::ENOTTY.into())
    }

    /// The memory of the file, when it can be mapped.
    fn as_mappable(&self) -> Option<Arc<dyn Mappable>> {
        None
    }

    /// Called when one descriptor of the description is closed (`flush`).
    fn on_close(&self, _caller: &Caller<'_>) {}

    /// Called when the status flags changed through `F_SETFL`.
    fn on_flags(&self, _flags: OpenFlags) {}
}

impl dyn File {
    /// The concrete type behind the trait object.
    #[must_use]
    pub fn downcast<T: File>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
