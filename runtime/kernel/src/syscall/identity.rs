// SPDX-License-Identifier: MIT OR Apache-2.0
//! Process ids, groups and sessions (`kernel/sys.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;

use super::args::low_word;
use crate::error::SysResult;
use crate::task::{Session, Task};

/// A number that is never negative as a result.
#[must_use]
pub(super) fn number(n: i32) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// An unsigned 32-bit number as a result.
#[must_use]
pub(super) fn unsigned(n: u32) -> usize {
    usize::try_from(n).unwrap_or(0)
}

pub(super) fn getpid(task: &Arc<Task>) -> SysResult {
    Ok(number(task.pid()))
}

pub(super) fn gettid(task: &Arc<Task>) -> SysResult {
    Ok(number(task.tid()))
}

pub(super) fn getppid(task: &Arc<Task>) -> SysResult {
    Ok(number(
        task.kernel().processes().lock().parent_of(task.pid()),
    ))
}

/// The process that `pid` means for `task`: 0 is itself, a thread id its process.
pub(super) fn process_of(task: &Task, pid: i32) -> Result<i32, Errno> {
    if pid == 0 {
        return Ok(task.pid());
    }
    let table = task.kernel().processes().lock();
    if table.get(pid).is_some() {
        return Ok(pid);
    }
    table.task(pid).map(|other| other.pid()).ok_or(Errno::ESRCH)
}

pub(super) fn getpgid(task: &Arc<Task>, pid: i32) -> SysResult {
    let pid = process_of(task, pid)?;
    let table = task.kernel().processes().lock();
    Ok(number(table.get(pid).ok_or(Errno::ESRCH)?.pgid))
}

pub(super) fn getsid(task: &Arc<Task>, pid: i32) -> SysResult {
    let pid = process_of(task, pid)?;
    let table = task.kernel().processes().lock();
    Ok(number(table.get(pid).ok_or(Errno::ESRCH)?.session.sid()))
}

/// Moves a process into a group. Errors in Linux's order: `EINVAL`, `ESRCH`,
/// `EPERM`, `EACCES`.
pub(super) fn setpgid(task: &Arc<Task>, pid: i32, pgid: i32) -> SysResult {
    let me = task.pid();
    let pid = if pid == 0 { me } else { pid };
    let pgid = if pgid == 0 { pid } else { pgid };
    if pgid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut table = task.kernel().processes().lock();
    let my_session = table.get(me).ok_or(Errno::ESRCH)?.session.sid();
    let target = table.get(pid).ok_or(Errno::ESRCH)?;
    if target.parent == me && pid != me {
        if target.session.sid() != my_session {
            return Err(Errno::EPERM.into());
        }
        if target.did_exec {
            return Err(Errno::EACCES.into());
        }
    } else if pid != me {
        return Err(Errno::ESRCH.into());
    }
    if target.session.sid() == pid {
        return Err(Errno::EPERM.into());
    }
    if pgid != pid && !table.is_group_in_session(pgid, my_session) {
        return Err(Errno::EPERM.into());
    }
    if let Some(entry) = table.get_mut(pid) {
        entry.pgid = pgid;
    }
    Ok(0)
}

/// Starts a session.
pub(super) fn setsid(task: &Arc<Task>) -> SysResult {
    let pid = task.pid();
    let mut table = task.kernel().processes().lock();
    if table.has_group(pid) {
        return Err(Errno::EPERM.into());
    }
    let entry = table.get_mut(pid).ok_or(Errno::ESRCH)?;
    entry.pgid = pid;
    let old = std::mem::replace(&mut entry.session, Session::new(pid));
    drop(table);
    drop(old);
    Ok(number(pid))
}

/// An id argument of the `setre*id` calls: -1 leaves it alone.
#[must_use]
pub(super) fn optional_id(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

/// The low half of a number, as `int` arguments of `prctl` are.
#[must_use]
pub(super) fn int(raw: u64) -> i32 {
    low_word(raw).cast_signed()
}
