// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scheduling parameters (`kernel/sched/syscalls.c`, Linux 6.12).
//!
//! They are kept and read back. The scheduler is fair and does not look at them.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::CAP_SYS_NICE;
use linux_abi::resource::{PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT_NICE, RLIMIT_RTPRIO};
use linux_abi::sched::{
    SCHED_BATCH, SCHED_DEADLINE, SCHED_FIFO, SCHED_IDLE, SCHED_OTHER, SCHED_RESET_ON_FORK, SCHED_RR,
};
use linux_abi::time::Timespec;

use super::args::UserPtr;
use super::identity::number;
use crate::error::SysResult;
use crate::mm::UserAddr;
use crate::task::Task;

/// Length of a round-robin turn, nanoseconds.
const RR_NS: u64 = 100_000_000;

fn find(task: &Arc<Task>, tid: i32) -> Result<Arc<Task>, Errno> {
    if tid < 0 {
        return Err(Errno::EINVAL);
    }
    if tid == 0 {
        return Ok(Arc::clone(task));
    }
    let table = task.kernel().processes().lock();
    table.task(tid).map(Arc::clone).ok_or(Errno::ESRCH)
}

pub(super) fn may_change(task: &Task, other: &Task) -> bool {
    let (mine, theirs) = (task.creds(), other.creds());
    let uid = mine.uid.effective;
    uid == theirs.uid.effective || uid == theirs.uid.real || mine.has_cap(CAP_SYS_NICE)
}

fn priorities(policy: i32) -> Result<(i32, i32), Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok((1, 99)),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn sched_get_priority_max(_: &Arc<Task>, policy: i32) -> SysResult {
    Ok(number(priorities(policy)?.1))
}

pub(super) fn sched_get_priority_min(_: &Arc<Task>, policy: i32) -> SysResult {
    Ok(number(priorities(policy)?.0))
}

fn set(task: &Arc<Task>, tid: i32, policy: Option<i32>, param: UserPtr<i32>) -> SysResult {
    if param.is_null() || tid < 0 || policy.is_some_and(|policy| policy < 0) {
        return Err(Errno::EINVAL.into());
    }
    let priority = param.read(task)?;
    let other = find(task, tid)?;
    let current = *other.scheduling.lock();
    let plain = policy.map_or(current.policy, |policy| policy & !SCHED_RESET_ON_FORK);
    let (low, high) = priorities(plain)?;
    if plain == SCHED_DEADLINE || !(low..=high).contains(&priority) {
        return Err(Errno::EINVAL.into());
    }
    let may = task.creds().has_cap(CAP_SYS_NICE);
    let ceiling = other.process().limits().soft(RLIMIT_RTPRIO);
    let is_raised = high > 0 && u64::from(priority.cast_unsigned()) > ceiling;
    if !may && (is_raised || !may_change(task, &other)) {
        return Err(Errno::EPERM.into());
    }
    let mut scheduling = other.scheduling.lock();
    scheduling.policy = plain;
    scheduling.priority = priority;
    if let Some(policy) = policy {
        scheduling.resets_on_fork = policy & SCHED_RESET_ON_FORK != 0;
    }
    Ok(0)
}

pub(super) fn sched_setparam(task: &Arc<Task>, tid: i32, param: UserPtr<i32>) -> SysResult {
    set(task, tid, None, param)
}

pub(super) fn sched_setscheduler(
    task: &Arc<Task>,
    tid: i32,
    policy: i32,
    param: UserPtr<i32>,
) -> SysResult {
    set(task, tid, Some(policy), param)
}

pub(super) fn sched_getscheduler(task: &Arc<Task>, tid: i32) -> SysResult {
    let scheduling = *find(task, tid)?.scheduling.lock();
    let reset = if scheduling.resets_on_fork {
        SCHED_RESET_ON_FORK
    } else {
        0
    };
    Ok(number(scheduling.policy | reset))
}

pub(super) fn sched_getparam(task: &Arc<Task>, tid: i32, param: UserPtr<i32>) -> SysResult {
    if param.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let priority = find(task, tid)?.scheduling.lock().priority;
    param.write(task, &priority)?;
    Ok(0)
}

/// The processors that exist, as a mask.
fn all_cpus(task: &Task) -> u64 {
    let cpus = u32::try_from(task.kernel().options().cpus)
        .unwrap_or(64)
        .clamp(1, 64);
    u64::MAX >> (64 - cpus)
}

pub(super) fn sched_setaffinity(
    task: &Arc<Task>,
    tid: i32,
    len: usize,
    mask: UserAddr,
) -> SysResult {
    let mut bytes = [0; 8];
    task.copy_in(mask, &mut bytes[..len.min(8)])?;
    let other = find(task, tid)?;
    if !may_change(task, &other) {
        return Err(Errno::EPERM.into());
    }
    let wanted = u64::from_le_bytes(bytes) & all_cpus(task);
    if wanted == 0 {
        return Err(Errno::EINVAL.into());
    }
    other.scheduling.lock().affinity = wanted;
    Ok(0)
}

pub(super) fn sched_getaffinity(
    task: &Arc<Task>,
    tid: i32,
    len: usize,
    mask: UserAddr,
) -> SysResult {
    if len < 8 || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let affinity = find(task, tid)?.scheduling.lock().affinity & all_cpus(task);
    task.write_value(mask, &affinity)?;
    Ok(8)
}

pub(super) async fn sched_yield(task: &Arc<Task>) -> SysResult {
    task.yield_now().await;
    Ok(0)
}

pub(super) fn sched_rr_get_interval(
    task: &Arc<Task>,
    tid: i32,
    interval: UserPtr<Timespec>,
) -> SysResult {
    let policy = find(task, tid)?.scheduling.lock().policy;
    let ns = if policy == SCHED_FIFO { 0 } else { RR_NS };
    interval.write(task, &Timespec::from_nanos(ns))?;
    Ok(0)
}

pub(super) fn getcpu(
    task: &Arc<Task>,
    cpu: UserPtr<u32>,
    node: UserPtr<u32>,
    _unused: u64,
) -> SysResult {
    cpu.write_if(task, &0)?;
    node.write_if(task, &0)?;
    Ok(0)
}

/// The tasks that `which` and `who` mean for priorities.
pub(super) fn affected(task: &Arc<Task>, which: i32, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    if which == PRIO_PROCESS {
        return find(task, who).map(|one| vec![one]);
    }
    let table = task.kernel().processes().lock();
    let group = if who == 0 {
        table.get(task.pid()).map_or(0, |e| e.pgid)
    } else {
        who
    };
    let uid = if who == 0 {
        task.creds().uid.real
    } else {
        who.cast_unsigned()
    };
    let is_meant = |entry: &crate::task::Entry| match which {
        PRIO_PGRP => entry.pgid == group,
        _ => entry.uid == uid,
    };
    let tasks: Vec<_> = table
        .iter()
        .filter(|(_, entry)| is_meant(entry))
        .flat_map(|(_, entry)| entry.threads.values().cloned())
        .collect();
    if tasks.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(tasks)
    }
}

pub(super) fn setpriority(task: &Arc<Task>, which: i32, who: i32, nice: i32) -> SysResult {
    if !(PRIO_PROCESS..=PRIO_USER).contains(&which) {
        return Err(Errno::EINVAL.into());
    }
    let nice = nice.clamp(-20, 19);
    let may_raise = task.creds().has_cap(CAP_SYS_NICE);
    for other in affected(task, which, who)? {
        if !may_change(task, &other) {
            return Err(Errno::EPERM.into());
        }
        let limit = other.process().limits().soft(RLIMIT_NICE);
        let lowest = 20 - i64::try_from(limit).unwrap_or(40).min(40);
        let mut scheduling = other.scheduling.lock();
        let is_raise = nice < scheduling.nice && i64::from(nice) < lowest;
        if is_raise && !may_raise {
            return Err(Errno::EACCES.into());
        }
        scheduling.nice = nice;
    }
    Ok(0)
}

pub(super) fn getpriority(task: &Arc<Task>, which: i32, who: i32) -> SysResult {
    if !(PRIO_PROCESS..=PRIO_USER).contains(&which) {
        return Err(Errno::EINVAL.into());
    }
    let tasks = affected(task, which, who)?;
    let best = tasks
        .iter()
        .map(|other| 20 - other.scheduling.lock().nice)
        .max();
    Ok(number(best.unwrap_or(20)))
}
