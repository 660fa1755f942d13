// SPDX-License-Identifier: MIT OR Apache-2.0
//! Priorities of input and output (`block/ioprio.c`, Linux 6.12).
//!
//! They are kept and read back, as on a disk whose scheduler does not look at them.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::{CAP_SYS_ADMIN, CAP_SYS_NICE};
use linux_abi::resource::{
    IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT,
    IOPRIO_LEVELS, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, PRIO_PROCESS,
};

use super::identity::number;
use super::sched::{affected, may_change};
use crate::error::SysResult;
use crate::task::{Scheduling, Task};

/// `which` as `getpriority` has it: the same three, counted from one.
fn priority_kind(which: i32) -> Result<i32, Errno> {
    if (IOPRIO_WHO_PROCESS..=IOPRIO_WHO_USER).contains(&which) {
        Ok(which - IOPRIO_WHO_PROCESS + PRIO_PROCESS)
    } else {
        Err(Errno::EINVAL)
    }
}

/// Errors: `EINVAL` for an unknown class or level, `EPERM` for the real-time class
/// and for other users' processes, `ESRCH`.
pub(super) fn ioprio_set(task: &Arc<Task>, which: i32, who: i32, priority: i32) -> SysResult {
    let (class, level) = (
        priority >> IOPRIO_CLASS_SHIFT,
        priority & (IOPRIO_LEVELS - 1),
    );
    match class {
        IOPRIO_CLASS_RT => {
            let creds = task.creds();
            if !creds.has_cap(CAP_SYS_ADMIN) && !creds.has_cap(CAP_SYS_NICE) {
                return Err(Errno::EPERM.into());
            }
        }
        IOPRIO_CLASS_BE | IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    for other in affected(task, priority_kind(which)?, who)? {
        if !may_change(task, &other) {
            return Err(Errno::EPERM.into());
        }
        other.scheduling.lock().io_priority = priority;
    }
    Ok(0)
}

/// For one process what was set, for several the best of what is in effect.
pub(super) fn ioprio_get(task: &Arc<Task>, which: i32, who: i32) -> SysResult {
    let tasks = affected(task, priority_kind(which)?, who)?;
    let all = tasks.iter().map(|other| *other.scheduling.lock());
    let best = if which == IOPRIO_WHO_PROCESS {
        all.map(|scheduling| scheduling.io_priority).next()
    } else {
        all.map(effective).min()
    };
    Ok(number(best.unwrap_or(0)))
}

/// Without a priority of its own a task has one that follows from its nice value.
fn effective(scheduling: Scheduling) -> i32 {
    if scheduling.io_priority >> IOPRIO_CLASS_SHIFT == IOPRIO_CLASS_NONE {
        (IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT) | ((scheduling.nice + 20) / 5)
    } else {
        scheduling.io_priority
    }
}
