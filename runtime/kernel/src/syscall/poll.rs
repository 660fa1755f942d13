// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ppoll` and `pselect6` (`fs/select.c`, Linux 6.12), and temporary signal masks.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::poll::{PollEvents, PollFd};
use linux_abi::time::Timespec;
use zerocopy::IntoBytes;

use crate::error::{Restart, SysErr, SysResult};
use crate::file::{Fd, OpenFile};
use crate::mm::UserAddr;
use crate::signal::SigSet;
use crate::syscall::args::UserPtr;
use crate::task::Task;
use crate::time::Deadline;
use crate::wait::WaitQueue;

/// Bytes of the kernel's signal set.
const SIGSET_SIZE: usize = 8;
/// Descriptors in a set of `pselect6` at most.
const MAX_SELECT: usize = 1 << 20;

/// A mask from user space, if there is one.
pub(super) fn mask_arg(t: &Task, mask: UserPtr<u64>, size: usize) -> Result<Option<SigSet>, Errno> {
    if mask.is_null() {
        return Ok(None);
    }
    if size != SIGSET_SIZE {
        return Err(Errno::EINVAL);
    }
    Ok(Some(SigSet(mask.read(t)?)))
}

/// Replaces the signal mask for the length of a wait.
pub(super) fn begin_mask(t: &Task, mask: Option<SigSet>) {
    let Some(mask) = mask else { return };
    t.signals().with_thread(t.tid(), |thread| {
        thread.saved = Some(thread.blocked);
        thread.blocked = mask & !SigSet::UNBLOCKABLE;
    });
}

/// Ends what `begin_mask` began. After an interruption the mask stays until the
/// handler has been set up, which restores it.
pub(super) fn end_mask<T>(t: &Task, outcome: &Result<T, SysErr>) {
    if matches!(outcome, Err(SysErr::Interrupted(_))) {
        return;
    }
    let saved = t
        .signals()
        .with_thread(t.tid(), |thread| thread.saved.take())
        .flatten();
    if let Some(saved) = saved {
        t.signals().set_blocked(t.tid(), saved);
    }
}

/// The deadline that a relative time means; `None` waits for ever.
pub(super) fn timeout_arg(t: &Task, timeout: UserPtr<Timespec>) -> Result<Option<Deadline>, Errno> {
    if timeout.is_null() {
        return Ok(None);
    }
    let ns = timeout.read(t)?.to_nanos().ok_or(Errno::EINVAL)?;
    Ok(Some(t.kernel().clock().after(ns)))
}

/// Stores what is left of the time; programs that cannot be told are not told.
fn store_remaining(t: &Task, timeout: UserPtr<Timespec>, deadline: Option<Deadline>) {
    if let Some(Deadline(end)) = deadline {
        let left = end.saturating_sub(t.kernel().clock().monotonic_ns());
        // Linux ignores a fault here as well.
        let _ = timeout.write(t, &Timespec::from_nanos(left));
    }
}

/// One thing to wait for.
struct Watched {
    file: Option<Arc<OpenFile>>,
    wanted: PollEvents,
}

impl Watched {
    fn look(&self) -> PollEvents {
        match &self.file {
            Some(file) => file.file().readiness() & (self.wanted | PollEvents::ALWAYS),
            None => PollEvents::NVAL,
        }
    }

    fn queue(&self) -> Option<&WaitQueue> {
        self.file.as_ref()?.file().wait_queue()
    }
}

async fn wait_for<T>(
    t: &Arc<Task>,
    watched: &[Watched],
    deadline: Option<Deadline>,
    attempt: impl FnMut() -> Option<T>,
) -> Result<Option<T>, SysErr> {
    let queues: Vec<&WaitQueue> = watched.iter().filter_map(Watched::queue).collect();
    t.wait_for_any(&queues, deadline, Restart::NoHand, attempt)
        .await
}

/// `ppoll(2)`.
pub(crate) async fn ppoll(
    t: &Arc<Task>,
    fds: UserPtr<PollFd>,
    count: u32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    size: usize,
) -> SysResult {
    let deadline = timeout_arg(t, timeout)?;
    let mask = mask_arg(t, mask, size)?;
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if count > t.process().limits().descriptors() {
        return Err(Errno::EINVAL.into());
    }
    let mut entries = vec![PollFd::default(); count];
    t.copy_in(fds.addr, entries.as_mut_bytes())?;
    let files = t.files()?;
    let watch = |entry: &PollFd| Watched {
        file: files.get(Fd(entry.fd)).ok(),
        wanted: PollEvents::from_bits_retain(entry.events.into()),
    };
    // Negative descriptors are skipped: nothing to watch, nothing to report.
    let index: Vec<usize> = (0..count).filter(|&i| entries[i].fd >= 0).collect();
    let watched: Vec<Watched> = index.iter().map(|&i| watch(&entries[i])).collect();
    begin_mask(t, mask);
    let attempt = || {
        let found: Vec<PollEvents> = watched.iter().map(Watched::look).collect();
        found
            .iter()
            .any(|events| !events.is_empty())
            .then_some(found)
    };
    let outcome = wait_for(t, &watched, deadline, attempt).await;
    end_mask(t, &outcome);
    store_remaining(t, timeout, deadline);
    let found = outcome?;
    entries.iter_mut().for_each(|entry| entry.revents = 0);
    let mut ready = 0;
    for (at, events) in index.iter().zip(found.unwrap_or_default()) {
        entries[*at].revents = u16::try_from(events.bits() & 0xffff).unwrap_or(0);
        ready += usize::from(!events.is_empty());
    }
    t.copy_out(fds.addr, entries.as_bytes())?;
    Ok(ready)
}

/// What each of the three sets of `pselect6` means.
const SELECT_SETS: [(PollEvents, PollEvents); 3] = [
    (PollEvents::READABLE, SELECT_IN),
    (PollEvents::WRITABLE, SELECT_OUT),
    (PollEvents::PRI, PollEvents::PRI),
];
const SELECT_IN: PollEvents = PollEvents::READABLE
    .union(PollEvents::RDBAND)
    .union(PollEvents::HUP)
    .union(PollEvents::ERR);
const SELECT_OUT: PollEvents = PollEvents::WRITABLE
    .union(PollEvents::WRBAND)
    .union(PollEvents::ERR);

/// A set of descriptors, of which the words in use are transferred.
struct FdSet {
    addr: UserAddr,
    words: Vec<u64>,
}

impl FdSet {
    fn read(t: &Task, addr: UserAddr, count: usize) -> Result<Self, Errno> {
        let mut words = vec![0u64; count.div_ceil(64)];
        if !addr.is_null() {
            t.copy_in(addr, words.as_mut_bytes())?;
        }
        Ok(Self { addr, words })
    }

    fn has(&self, fd: usize) -> bool {
        self.words[fd / 64] & (1 << (fd % 64)) != 0
    }

    fn write(&self, t: &Task, ready: &[usize]) -> Result<(), Errno> {
        if self.addr.is_null() {
            return Ok(());
        }
        let mut words = vec![0u64; self.words.len()];
        for &fd in ready {
            words[fd / 64] |= 1 << (fd % 64);
        }
        t.copy_out(self.addr, words.as_bytes())
    }
}

/// The last argument of `pselect6`: mask and its size.
fn select_mask(t: &Task, arg: UserPtr<[u64; 2]>) -> Result<Option<SigSet>, Errno> {
    if arg.is_null() {
        return Ok(None);
    }
    let [mask, size] = arg.read(t)?;
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    mask_arg(t, UserPtr::new(UserAddr(mask)), size)
}

/// `pselect6(2)`.
pub(crate) async fn pselect6(
    t: &Arc<Task>,
    count: i32,
    reads: UserAddr,
    writes: UserAddr,
    excepts: UserAddr,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<[u64; 2]>,
) -> SysResult {
    let deadline = timeout_arg(t, timeout)?;
    let mask = select_mask(t, mask)?;
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let files = t.files()?;
    let count = count.min(files.capacity()).min(MAX_SELECT);
    let mut sets = Vec::with_capacity(3);
    for addr in [reads, writes, excepts] {
        sets.push(FdSet::read(t, addr, count)?);
    }
    // (descriptor, set, what to watch)
    let mut watched = Vec::new();
    let mut origin = Vec::new();
    for fd in 0..count {
        for (which, set) in sets.iter().enumerate() {
            if !set.has(fd) {
                continue;
            }
            let number = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
            let file = Some(files.get(Fd(number))?);
            watched.push(Watched {
                file,
                wanted: SELECT_SETS[which].0 | SELECT_SETS[which].1,
            });
            origin.push((fd, which));
        }
    }
    begin_mask(t, mask);
    let attempt = || {
        let hits: Vec<(usize, usize)> = watched
            .iter()
            .zip(&origin)
            .filter(|(w, (_, which))| w.look().intersects(SELECT_SETS[*which].1))
            .map(|(_, hit)| *hit)
            .collect();
        (!hits.is_empty()).then_some(hits)
    };
    let outcome = wait_for(t, &watched, deadline, attempt).await;
    end_mask(t, &outcome);
    store_remaining(t, timeout, deadline);
    let hits = outcome?.unwrap_or_default();
    for (which, set) in sets.iter().enumerate() {
        let ready: Vec<usize> = hits
            .iter()
            .filter(|(_, w)| *w == which)
            .map(|(fd, _)| *fd)
            .collect();
        set.write(t, &ready)?;
    }
    Ok(hits.len())
}
