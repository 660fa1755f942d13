// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks and sleeping (`kernel/time/posix-timers.c`, `hrtimer.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::time::{
    CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE, CLOCK_THREAD_CPUTIME_ID, NSEC_PER_SEC, TIMER_ABSTIME, Timespec, Timeval,
    Tms, USER_HZ,
};

use super::args::UserPtr;
use crate::error::{Restart, RestartBlock, SysErr, SysResult};
use crate::mm::UserAddr;
use crate::task::Task;
use crate::time::Deadline;
use crate::wait::WaitQueue;

/// Nanoseconds of a tick, the resolution of coarse clocks.
const TICK_NS: u64 = 4_000_000;

/// Reads any clock, those of processor time too.
fn read_clock(task: &Task, clock: i32) -> Result<u64, Errno> {
    let cpu = |usage: crate::task::Usage| usage.user_ns + usage.system_ns;
    match clock {
        CLOCK_PROCESS_CPUTIME_ID => Ok(cpu(task.kernel().usage_of(task.pid()))),
        CLOCK_THREAD_CPUTIME_ID => Ok(cpu(task.usage())),
        clock if clock >= 0 => task.kernel().clock().read(clock),
        // Clocks of other processes and threads: the id is in the upper bits.
        clock => {
            let id = !(clock >> 3);
            let is_thread = clock & 4 != 0;
            let table = task.kernel().processes().lock();
            if is_thread {
                let id = if id == 0 { task.tid() } else { id };
                let other = Arc::clone(table.task(id).ok_or(Errno::EINVAL)?);
                drop(table);
                return Ok(cpu(other.usage()));
            }
            let id = if id == 0 { task.pid() } else { id };
            table.get(id).ok_or(Errno::EINVAL)?;
            drop(table);
            Ok(cpu(task.kernel().usage_of(id)))
        }
    }
}

pub(super) fn clock_gettime(task: &Arc<Task>, clock: i32, time: UserPtr<Timespec>) -> SysResult {
    let now = read_clock(task, clock)?;
    time.write(task, &Timespec::from_nanos(now))?;
    Ok(0)
}

pub(super) fn clock_getres(
    task: &Arc<Task>,
    clock: i32,
    resolution: UserPtr<Timespec>,
) -> SysResult {
    read_clock(task, clock)?;
    let is_coarse = matches!(clock, CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE);
    let ns = if is_coarse { TICK_NS } else { 1 };
    resolution.write_if(task, &Timespec::from_nanos(ns))?;
    Ok(0)
}

pub(super) fn clock_settime(task: &Arc<Task>, clock: i32, time: UserPtr<Timespec>) -> SysResult {
    if clock != CLOCK_REALTIME {
        return Err(Errno::EINVAL.into());
    }
    time.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    crate::refuse!(EPERM, "the clocks are the host's");
}

pub(super) fn gettimeofday(
    task: &Arc<Task>,
    time: UserPtr<Timeval>,
    zone: UserPtr<[i32; 2]>,
) -> SysResult {
    time.write_if(
        task,
        &Timeval::from_nanos(task.kernel().clock().realtime_ns()),
    )?;
    zone.write_if(task, &[0, 0])?;
    Ok(0)
}

pub(super) fn settimeofday(
    task: &Arc<Task>,
    time: UserPtr<Timeval>,
    _zone: UserPtr<[i32; 2]>,
) -> SysResult {
    if let Some(time) = time.non_null() {
        time.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    }
    crate::refuse!(EPERM, "the clocks are the host's");
}

pub(super) fn times(task: &Arc<Task>, times: UserPtr<Tms>) -> SysResult {
    let own = task.kernel().usage_of(task.pid());
    let children = {
        let table = task.kernel().processes().lock();
        table
            .get(task.pid())
            .map(|entry| entry.child_usage)
            .unwrap_or_default()
    };
    let ticks = |ns: u64| (ns / (NSEC_PER_SEC / USER_HZ)).cast_signed();
    let value = Tms {
        utime: ticks(own.user_ns),
        stime: ticks(own.system_ns),
        cutime: ticks(children.user_ns),
        cstime: ticks(children.system_ns),
    };
    times.write_if(task, &value)?;
    let uptime = task.kernel().clock().uptime_ns() / (NSEC_PER_SEC / USER_HZ);
    Ok(usize::try_from(uptime).unwrap_or(0))
}

pub(super) async fn nanosleep(
    task: &Arc<Task>,
    request: UserPtr<Timespec>,
    remaining: UserPtr<Timespec>,
) -> SysResult {
    let ns = request.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    let deadline = task.kernel().clock().after(ns);
    sleep_relative(task, deadline, remaining).await
}

pub(super) async fn clock_nanosleep(
    task: &Arc<Task>,
    clock: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    remaining: UserPtr<Timespec>,
) -> SysResult {
    match clock {
        CLOCK_THREAD_CPUTIME_ID => return Err(Errno::EINVAL.into()),
        CLOCK_PROCESS_CPUTIME_ID | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE => {
            return Err(Errno::EOPNOTSUPP.into());
        }
        _ => task.kernel().clock().read(clock)?,
    };
    let ns = request.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    if flags & TIMER_ABSTIME == 0 {
        let deadline = task.kernel().clock().after(ns);
        return sleep_relative(task, deadline, remaining).await;
    }
    let deadline = task.kernel().clock().at(clock, ns)?;
    sleep_until(task, deadline, Restart::NoHand).await
}

/// Sleeps; an interrupted sleep goes on with `restart_syscall`.
async fn sleep_relative(
    task: &Arc<Task>,
    deadline: Deadline,
    remaining: UserPtr<Timespec>,
) -> SysResult {
    let block = RestartBlock::Sleep {
        until_ns: deadline.0,
        remaining: remaining.addr.0,
    };
    let outcome = sleep_until(task, deadline, Restart::Block(block)).await;
    if let Err(SysErr::Interrupted(_)) = outcome {
        let left = deadline
            .0
            .saturating_sub(task.kernel().clock().monotonic_ns());
        remaining.write_if(task, &Timespec::from_nanos(left))?;
    }
    outcome
}

async fn sleep_until(task: &Arc<Task>, deadline: Deadline, restart: Restart) -> SysResult {
    let nobody = WaitQueue::new();
    task.wait_for(&nobody, Some(deadline), restart, || None::<()>)
        .await?;
    Ok(0)
}

/// Goes on with an interrupted sleep.
pub(super) async fn resume_sleep(task: &Arc<Task>, until_ns: u64, remaining: u64) -> SysResult {
    sleep_relative(task, Deadline(until_ns), UserPtr::new(UserAddr(remaining))).await
}

/// The deadline of an optional relative timeout.
pub(super) fn relative(task: &Task, timeout: UserPtr<Timespec>) -> Result<Option<Deadline>, Errno> {
    let Some(timeout) = timeout.non_null() else {
        return Ok(None);
    };
    let ns = timeout.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    Ok(Some(task.kernel().clock().after(ns)))
}

/// The deadline of an optional absolute timeout.
pub(super) fn absolute(
    task: &Task,
    clock: i32,
    timeout: UserPtr<Timespec>,
) -> Result<Option<Deadline>, Errno> {
    let Some(timeout) = timeout.non_null() else {
        return Ok(None);
    };
    let ns = timeout.read(task)?.to_nanos().ok_or(Errno::EINVAL)?;
    let clock = if clock == CLOCK_REALTIME {
        CLOCK_REALTIME
    } else {
        CLOCK_MONOTONIC
    };
    task.kernel().clock().at(clock, ns).map(Some)
}
