// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending, masking, waiting for signals (`kernel/signal.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::CAP_KILL;
use linux_abi::signal::{
    SI_KERNEL, SI_TKILL, SI_USER, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGCONT, SIGKILL, SIGSEGV,
    SIGSTOP, SigAction, SigInfo, SigStack,
};
use linux_abi::time::Timespec;

use super::args::UserPtr;
use crate::error::{Restart, SysResult};
use crate::signal::{SigSet, Target, frame, is_signal};
use crate::task::{Process, Task};
use crate::wait::WaitQueue;

/// Size of the kernel's `sigset_t`.
const SIGSET_LEN: usize = 8;

fn check_size(size: usize) -> Result<(), Errno> {
    if size == SIGSET_LEN {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// May `task` send `signal` to the process?
fn may_send(task: &Task, process: &Process, signal: i32) -> bool {
    if process.pid() == task.pid() {
        return true;
    }
    let table = task.kernel().processes().lock();
    let Some(entry) = table.get(process.pid()) else {
        return true;
    };
    let is_same_session = signal == SIGCONT
        && table
            .get(task.pid())
            .is_some_and(|me| me.session.sid() == entry.session.sid());
    let other = entry.threads.values().next().cloned();
    drop(table);
    is_same_session || other.is_none_or(|other| task.creds().controls(&other.creds(), CAP_KILL))
}

fn send(task: &Task, process: &Arc<Process>, info: SigInfo, target: Target) -> Result<(), Errno> {
    if !may_send(task, process, info.signo) {
        return Err(Errno::EPERM);
    }
    if info.signo == 0 {
        return Ok(());
    }
    task.kernel().send_signal(process, info, target, u64::MAX)
}

fn user_info(task: &Task, signal: i32, code: i32) -> SigInfo {
    SigInfo::new(signal, code).with_sender(task.pid(), task.creds().uid.real)
}

pub(super) fn kill(task: &Arc<Task>, pid: i32, signal: i32) -> SysResult {
    if signal != 0 && !is_signal(signal) {
        return Err(Errno::EINVAL.into());
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    let info = user_info(task, signal, SI_USER);
    if pid > 0 {
        let process = find_process(task, pid)?;
        send(task, &process, info, Target::Process)?;
        return Ok(0);
    }
    let table = task.kernel().processes().lock();
    let own_group = table.get(task.pid()).map_or(0, |entry| entry.pgid);
    let targets: Vec<Arc<Process>> = table
        .iter()
        .filter(|(other, entry)| match pid {
            -1 => **other > 1 && **other != task.pid(),
            0 => entry.pgid == own_group,
            group => entry.pgid == -group,
        })
        .map(|(_, entry)| Arc::clone(&entry.process))
        .collect();
    drop(table);
    if targets.is_empty() {
        return Err(Errno::ESRCH.into());
    }
    let results: Vec<_> = targets
        .iter()
        .map(|p| send(task, p, info, Target::Process))
        .collect();
    // One success is a success; with -1, EPERM alone is not reported either.
    if results.iter().any(Result::is_ok)
        || pid == -1 && results.iter().all(|r| *r == Err(Errno::EPERM))
    {
        return Ok(0);
    }
    results.into_iter().next().unwrap_or(Err(Errno::ESRCH))?;
    Ok(0)
}

fn find_process(task: &Task, pid: i32) -> Result<Arc<Process>, Errno> {
    let table = task.kernel().processes().lock();
    if let Some(entry) = table.get(pid) {
        return Ok(Arc::clone(&entry.process));
    }
    table
        .task(pid)
        .map(|other| Arc::clone(other.process()))
        .ok_or(Errno::ESRCH)
}

/// Sends to the thread `tid` of process `pid` (any process when `pid` is `None`).
fn send_to_thread(task: &Task, pid: Option<i32>, tid: i32, info: SigInfo) -> SysResult {
    if tid <= 0 || pid.is_some_and(|pid| pid <= 0) || (info.signo != 0 && !is_signal(info.signo)) {
        return Err(Errno::EINVAL.into());
    }
    let table = task.kernel().processes().lock();
    let process = table.task(tid).map(|other| Arc::clone(other.process()));
    // A leader that has ended before its threads, or a zombie, can still be named.
    let process = process.or_else(|| table.get(tid).map(|entry| Arc::clone(&entry.process)));
    let is_gone = table.task(tid).is_none();
    drop(table);
    let process = process.ok_or(Errno::ESRCH)?;
    if pid.is_some_and(|pid| pid != process.pid()) {
        return Err(Errno::ESRCH.into());
    }
    if is_gone {
        return if may_send(task, &process, info.signo) {
            Ok(0)
        } else {
            Err(Errno::EPERM.into())
        };
    }
    send(task, &process, info, Target::Thread(tid))?;
    Ok(0)
}

pub(super) fn tkill(task: &Arc<Task>, tid: i32, signal: i32) -> SysResult {
    send_to_thread(task, None, tid, user_info(task, signal, SI_TKILL))
}

pub(super) fn tgkill(task: &Arc<Task>, pid: i32, tid: i32, signal: i32) -> SysResult {
    send_to_thread(task, Some(pid), tid, user_info(task, signal, SI_TKILL))
}

/// Reads a `siginfo` that a program made up: it may not claim to be the kernel's.
fn read_info(
    task: &Task,
    signal: i32,
    info: UserPtr<SigInfo>,
    is_self: bool,
) -> Result<SigInfo, Errno> {
    let mut info = info.read(task)?;
    info.signo = signal;
    let is_forged = info.code >= 0 || info.code == SI_TKILL;
    if is_forged && !is_self {
        Err(Errno::EPERM)
    } else {
        Ok(info)
    }
}

pub(super) fn rt_sigqueueinfo(
    task: &Arc<Task>,
    pid: i32,
    signal: i32,
    info: UserPtr<SigInfo>,
) -> SysResult {
    let info = read_info(task, signal, info, pid == task.pid())?;
    if signal != 0 && !is_signal(signal) {
        return Err(Errno::EINVAL.into());
    }
    let process = find_process(task, pid)?;
    send(task, &process, info, Target::Process)?;
    Ok(0)
}

pub(super) fn rt_tgsigqueueinfo(
    task: &Arc<Task>,
    pid: i32,
    tid: i32,
    signal: i32,
    info: UserPtr<SigInfo>,
) -> SysResult {
    let info = read_info(task, signal, info, tid == task.tid())?;
    send_to_thread(task, Some(pid), tid, info)
}

pub(super) fn rt_sigaction(
    task: &Arc<Task>,
    signal: i32,
    new: UserPtr<SigAction>,
    old: UserPtr<SigAction>,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let new = new.non_null().map(|new| new.read(task)).transpose()?;
    if !is_signal(signal) || (new.is_some() && matches!(signal, SIGKILL | SIGSTOP)) {
        return Err(Errno::EINVAL.into());
    }
    let before = match new {
        Some(new) => task.signals().set_action(signal, new),
        None => task.signals().actions().get(signal),
    };
    old.write_if(task, &before)?;
    Ok(0)
}

pub(super) fn rt_sigprocmask(
    task: &Arc<Task>,
    how: i32,
    new: UserPtr<u64>,
    old: UserPtr<u64>,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let (signals, tid) = (task.signals(), task.tid());
    let before = signals
        .with_thread(tid, |thread| thread.blocked)
        .unwrap_or_default();
    if let Some(new) = new.non_null() {
        let set = SigSet(new.read(task)?);
        let mask = match how {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        signals.set_blocked(tid, mask);
    }
    old.write_if(task, &before.0)?;
    Ok(0)
}

pub(super) fn rt_sigpending(task: &Arc<Task>, set: UserPtr<u64>, size: usize) -> SysResult {
    if size > SIGSET_LEN {
        return Err(Errno::EINVAL.into());
    }
    let (signals, tid) = (task.signals(), task.tid());
    let blocked = signals
        .with_thread(tid, |thread| thread.blocked)
        .unwrap_or_default();
    let pending = signals.pending_for(tid) & blocked;
    task.copy_out(set.addr, &pending.0.to_le_bytes()[..size])?;
    Ok(0)
}

pub(super) async fn rt_sigsuspend(task: &Arc<Task>, mask: UserPtr<u64>, size: usize) -> SysResult {
    check_size(size)?;
    let mask = SigSet(mask.read(task)?);
    replace_mask(task, mask);
    let nobody = WaitQueue::new();
    task.wait_for(&nobody, None, Restart::NoHand, || None::<()>)
        .await?;
    Ok(0)
}

/// Blocks `mask` until the next signal is delivered or the call ends; the mask
/// before is then put back (`sigsuspend`, `ppoll`, `pselect`, `epoll_pwait`).
fn replace_mask(task: &Task, mask: SigSet) {
    let (signals, tid) = (task.signals(), task.tid());
    let before = signals.set_blocked(tid, mask);
    signals.with_thread(tid, |thread| thread.saved.get_or_insert(before).0);
}

pub(super) async fn rt_sigtimedwait(
    task: &Arc<Task>,
    set: UserPtr<u64>,
    info: UserPtr<SigInfo>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> SysResult {
    check_size(size)?;
    let wanted = SigSet(set.read(task)?) & !SigSet::UNBLOCKABLE;
    let deadline = super::time::relative(task, timeout)?;
    let (signals, tid) = (task.signals(), task.tid());
    signals.with_thread(tid, |thread| thread.awaited = wanted);
    let nobody = WaitQueue::new();
    let outcome = task
        .wait_for(&nobody, deadline, Restart::Never, || {
            signals.take(tid, wanted)
        })
        .await;
    signals.with_thread(tid, |thread| thread.awaited = SigSet::EMPTY);
    let taken = match outcome? {
        Some(taken) => taken,
        None => return Err(Errno::EAGAIN.into()),
    };
    info.write_if(task, &taken)?;
    Ok(super::identity::number(taken.signo))
}

pub(super) fn sigaltstack(
    task: &Arc<Task>,
    new: UserPtr<SigStack>,
    old: UserPtr<SigStack>,
) -> SysResult {
    let new = new.non_null().map(|new| new.read(task)).transpose()?;
    let sp = task.registers().sp();
    let before = task
        .signals()
        .with_thread(task.tid(), |thread| thread.altstack);
    if let Some(new) = new {
        frame::set_altstack(task, new, sp)?;
    }
    old.write_if(task, &frame::reported(&before.unwrap_or_default(), sp))?;
    Ok(0)
}

pub(super) fn rt_sigreturn(task: &Arc<Task>) -> SysResult {
    match frame::pop(task) {
        Ok(value) => Ok(usize::try_from(value).unwrap_or(0)),
        Err(_) => {
            let sp = task.registers().sp();
            task.force_signal(SigInfo::new(SIGSEGV, SI_KERNEL).with_addr(sp));
            Ok(0)
        }
    }
}

/// Sends a signal to a process, if `task` may.
///
/// # Errors
/// `EPERM`, `EAGAIN`.
pub(super) fn send_to_process(
    task: &Task,
    process: &Arc<Process>,
    info: SigInfo,
) -> Result<(), Errno> {
    send(task, process, info, Target::Process)
}
