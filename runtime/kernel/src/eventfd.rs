// SPDX-License-Identifier: MIT OR Apache-2.0
//! eventfd: a counter behind a descriptor (`fs/eventfd.c`, Linux 6.12).

use std::sync::{Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;
use linux_abi::poll::PollEvents;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource};
use crate::wait::WaitQueue;

/// A counter that is read and written as 8 bytes.
pub struct EventFd {
    count: Mutex<u64>,
    is_semaphore: bool,
    queue: WaitQueue,
}

impl EventFd {
    /// Starts at `count`; a semaphore is read one at a time.
    #[must_use]
    pub fn new(count: u32, is_semaphore: bool) -> Self {
        Self {
            count: Mutex::new(count.into()),
            is_semaphore,
            queue: WaitQueue::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter, for `/proc/PID/fdinfo`.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.lock()
    }
}

impl File for EventFd {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if dst.remaining() < 8 {
            return Err(Errno::EINVAL.into());
        }
        let mut count = self.lock();
        if *count == 0 {
            return Err(Errno::EAGAIN.into());
        }
        let taken = if self.is_semaphore { 1 } else { *count };
        dst.put(&taken.to_le_bytes())?;
        *count -= taken;
        drop(count);
        self.queue.wake_all();
        Ok(8)
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if src.remaining() < 8 {
            return Err(Errno::EINVAL.into());
        }
        let mut added = [0; 8];
        let mut count = self.lock();
        // Peeking is not possible: a write that has to wait must not have
        // consumed its bytes, so the caller passes a fresh source each time.
        if src.get(&mut added)? != 8 {
            return Err(Errno::EFAULT.into());
        }
        let added = u64::from_le_bytes(added);
        if added == u64::MAX {
            return Err(Errno::EINVAL.into());
        }
        if u64::MAX - *count <= added {
            return Err(Errno::EAGAIN.into());
        }
        *count += added;
        drop(count);
        self.queue.wake_all();
        Ok(8)
    }

    fn readiness(&self) -> PollEvents {
        let count = *self.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::IN, count > 0);
        events.set(PollEvents::ERR, count == u64::MAX);
        events.set(PollEvents::OUT, count < u64::MAX - 1);
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }
}

#[cfg(test)]
mod tests {
    use linux_abi::Errno;

    use super::EventFd;
    use crate::error::SysErr;
    use crate::file::{Caller, File, IoFlags, SliceSource, VecSink};
    use crate::vfs::FsCred;

    fn add(fd: &EventFd, n: u64) -> Result<usize, SysErr> {
        let cred = FsCred::root();
        let bytes = n.to_le_bytes();
        fd.try_write(
            &Caller::kernel(&cred),
            &mut SliceSource(&bytes),
            &mut 0,
            IoFlags::empty(),
        )
    }

    fn take(fd: &EventFd) -> Result<u64, SysErr> {
        let cred = FsCred::root();
        let mut sink = VecSink::new(8);
        fd.try_read(&Caller::kernel(&cred), &mut sink, &mut 0, IoFlags::empty())?;
        Ok(u64::from_le_bytes(sink.into_inner().try_into().unwrap()))
    }

    #[test]
    fn read_takes_everything_or_one() {
        let (plain, semaphore) = (EventFd::new(3, false), EventFd::new(3, true));
        assert_eq!((take(&plain), take(&semaphore)), (Ok(3), Ok(1)));
        assert_eq!(take(&plain), Err(SysErr::Errno(Errno::EAGAIN)));
        assert_eq!(semaphore.count(), 2);
    }

    #[test]
    fn write_that_would_overflow_waits() {
        let fd = EventFd::new(1, false);
        assert_eq!(add(&fd, u64::MAX), Err(SysErr::Errno(Errno::EINVAL)));
        assert_eq!(add(&fd, u64::MAX - 1), Err(SysErr::Errno(Errno::EAGAIN)));
        assert_eq!(add(&fd, u64::MAX - 2), Ok(8));
    }
}
