// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interval timers and POSIX timers (`kernel/time/itimer.c`,
//! `kernel/time/posix-timers.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::resource::RLIMIT_SIGPENDING;
use linux_abi::signal::SigEvent;
use linux_abi::time::{Itimerspec, Itimerval, TIMER_ABSTIME, Timespec, Timeval};

use super::args::UserPtr;
use super::identity::number;
use crate::error::SysResult;
use crate::task::Task;
use crate::time::process_timers::{Setting, TimerId};

fn interval_id(which: i32) -> Result<TimerId, Errno> {
    if (0..=2).contains(&which) {
        Ok(TimerId::Interval(which))
    } else {
        Err(Errno::EINVAL)
    }
}

fn to_itimerval(setting: Setting) -> Itimerval {
    Itimerval {
        interval: Timeval::from_nanos(setting.interval),
        // Rounded up: a timer that runs never shows 0.
        value: Timeval::from_nanos(setting.value.saturating_add(999)),
    }
}

pub(super) fn getitimer(task: &Arc<Task>, which: i32, value: UserPtr<Itimerval>) -> SysResult {
    let id = interval_id(which)?;
    let setting = task
        .process()
        .timers
        .get(task.kernel(), task.process(), id)
        .unwrap_or_default();
    value.write(task, &to_itimerval(setting))?;
    Ok(0)
}

pub(super) fn setitimer(
    task: &Arc<Task>,
    which: i32,
    new: UserPtr<Itimerval>,
    old: UserPtr<Itimerval>,
) -> SysResult {
    // A null pointer disarms, as Linux still allows.
    let new = if new.is_null() {
        Itimerval::default()
    } else {
        new.read(task)?
    };
    let id = interval_id(which)?;
    let setting = Setting {
        value: new.value.to_nanos().ok_or(Errno::EINVAL)?,
        interval: new.interval.to_nanos().ok_or(Errno::EINVAL)?,
    };
    let before = task
        .process()
        .timers
        .set(task.kernel(), task.process(), id, setting, false)?;
    old.write_if(task, &to_itimerval(before))?;
    Ok(0)
}

fn to_itimerspec(setting: Setting) -> Itimerspec {
    Itimerspec {
        interval: Timespec::from_nanos(setting.interval),
        value: Timespec::from_nanos(setting.value),
    }
}

pub(super) fn timer_create(
    task: &Arc<Task>,
    clock: i32,
    event: UserPtr<SigEvent>,
    id: UserPtr<i32>,
) -> SysResult {
    let event = event.non_null().map(|event| event.read(task)).transpose()?;
    if let Some(event) = &event
        && event.notify == linux_abi::signal::SIGEV_THREAD_ID
    {
        let table = task.kernel().processes().lock();
        let is_own = table
            .task(event.tid)
            .is_some_and(|other| other.pid() == task.pid());
        if !is_own {
            return Err(Errno::EINVAL.into());
        }
    }
    let timers = &task.process().timers;
    let limit = task.process().limits().soft(RLIMIT_SIGPENDING);
    let number = timers.create(task.kernel(), clock, task.tid(), event, limit)?;
    if let Err(errno) = id.write(task, &number) {
        timers.delete(number);
        return Err(errno.into());
    }
    Ok(0)
}

pub(super) fn timer_gettime(task: &Arc<Task>, id: i32, value: UserPtr<Itimerspec>) -> SysResult {
    let setting = task
        .process()
        .timers
        .get(task.kernel(), task.process(), TimerId::Posix(id));
    value.write(task, &to_itimerspec(setting.ok_or(Errno::EINVAL)?))?;
    Ok(0)
}

pub(super) fn timer_getoverrun(task: &Arc<Task>, id: i32) -> SysResult {
    let overrun = task.process().timers.overrun(id).ok_or(Errno::EINVAL)?;
    Ok(number(i32::try_from(overrun).unwrap_or(i32::MAX)))
}

pub(super) fn timer_settime(
    task: &Arc<Task>,
    id: i32,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult {
    if new.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let new = new.read(task)?;
    let setting = Setting {
        value: new.value.to_nanos().ok_or(Errno::EINVAL)?,
        interval: new.interval.to_nanos().ok_or(Errno::EINVAL)?,
    };
    let timers = &task.process().timers;
    if !timers.has(id) {
        return Err(Errno::EINVAL.into());
    }
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let before = timers.set(
        task.kernel(),
        task.process(),
        TimerId::Posix(id),
        setting,
        is_absolute,
    )?;
    old.write_if(task, &to_itimerspec(before))?;
    Ok(0)
}

pub(super) fn timer_delete(task: &Arc<Task>, id: i32) -> SysResult {
    if task.process().timers.delete(id) {
        Ok(0)
    } else {
        Err(Errno::EINVAL.into())
    }
}
