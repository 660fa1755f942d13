// SPDX-License-Identifier: MIT OR Apache-2.0
//! `epoll_create1`, `epoll_ctl`, `epoll_pwait`, `epoll_pwait2`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EpollEvent, PollEvents};
use linux_abi::time::Timespec;
use zerocopy::IntoBytes;

use super::at::install;
use super::poll::{begin_mask, end_mask, mask_arg, timeout_arg};
use crate::epoll::Epoll;
use crate::error::{Restart, SysResult};
use crate::file::{Fd, OpenFile};
use crate::syscall::args::UserPtr;
use crate::task::Task;
use crate::time::Deadline;

/// The most events of one call (`EP_MAX_EVENTS`).
const MAX_EVENTS: usize = 0x7fff_ffff / size_of::<EpollEvent>();
/// What may be asked for together with `EPOLLEXCLUSIVE`.
const WITH_EXCLUSIVE: PollEvents = PollEvents::IN
    .union(PollEvents::OUT)
    .union(PollEvents::ALWAYS)
    .union(PollEvents::WAKEUP)
    .union(PollEvents::ET)
    .union(PollEvents::EXCLUSIVE);

/// `epoll_create1(2)`.
pub(crate) fn epoll_create1(t: &Arc<Task>, flags: u32) -> SysResult {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - OpenFlags::CLOEXEC).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let open = t
        .kernel()
        .files()
        .open_anonymous("[eventpoll]", Epoll::new(), OpenFlags::RDWR);
    Ok(install(t, open, flags.contains(OpenFlags::CLOEXEC))?)
}

/// `epoll_ctl(2)`.
pub(crate) fn epoll_ctl(
    t: &Arc<Task>,
    epfd: Fd,
    op: u32,
    fd: Fd,
    event: UserPtr<EpollEvent>,
) -> SysResult {
    let event = if op == EPOLL_CTL_DEL {
        EpollEvent::default()
    } else {
        event.read(t)?
    };
    let files = t.files()?;
    let (set_file, target) = (files.get(epfd)?, files.get(fd)?);
    if target.file().wait_queue().is_none() {
        return Err(Errno::EPERM.into());
    }
    let set = set_file.file().downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(set_file.file(), target.file()) {
        return Err(Errno::EINVAL.into());
    }
    let events = PollEvents::from_bits_retain(event.events);
    if events.contains(PollEvents::EXCLUSIVE) {
        let is_set = target.file().downcast::<Epoll>().is_some();
        let is_wrong = op == EPOLL_CTL_MOD || is_set || !(events - WITH_EXCLUSIVE).is_empty();
        if op != EPOLL_CTL_DEL && is_wrong {
            return Err(Errno::EINVAL.into());
        }
    }
    match op {
        EPOLL_CTL_ADD => set.add(fd, &target, &event)?,
        EPOLL_CTL_MOD => set.modify(fd, &target, &event)?,
        EPOLL_CTL_DEL => set.remove(fd, &target)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

async fn wait(
    t: &Arc<Task>,
    open: &Arc<OpenFile>,
    events: UserPtr<EpollEvent>,
    max: i32,
    deadline: Option<Deadline>,
) -> SysResult {
    let set = open.file().downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    let max = usize::try_from(max)
        .ok()
        .filter(|&n| n > 0 && n <= MAX_EVENTS);
    let max = max.ok_or(Errno::EINVAL)?;
    let queue = open.file().wait_queue().ok_or(Errno::EINVAL)?;
    let attempt = || {
        let found = set.collect(max);
        (!found.is_empty()).then_some(found)
    };
    let found = t
        .wait_for(queue, deadline, Restart::Never, attempt)
        .await?
        .unwrap_or_default();
    t.copy_out(events.addr, found.as_bytes())?;
    Ok(found.len())
}

/// `epoll_pwait(2)`: milliseconds, negative for ever.
pub(crate) async fn epoll_pwait(
    t: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: i32,
    mask: UserPtr<u64>,
    size: usize,
) -> SysResult {
    let mask = mask_arg(t, mask, size)?;
    let millis = u64::try_from(timeout).ok();
    let deadline = millis.map(|ms| t.kernel().clock().after(ms * 1_000_000));
    let open = t.files()?.get(epfd)?;
    begin_mask(t, mask);
    let outcome = wait(t, &open, events, max, deadline).await;
    end_mask(t, &outcome);
    outcome
}

/// `epoll_pwait2(2)`: as `epoll_pwait`, in nanoseconds.
pub(crate) async fn epoll_pwait2(
    t: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    size: usize,
) -> SysResult {
    let deadline = timeout_arg(t, timeout)?;
    let mask = mask_arg(t, mask, size)?;
    let open = t.files()?.get(epfd)?;
    begin_mask(t, mask);
    let outcome = wait(t, &open, events, max, deadline).await;
    end_mask(t, &outcome);
    outcome
}
