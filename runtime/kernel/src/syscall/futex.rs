// SPDX-License-Identifier: MIT OR Apache-2.0
//! `futex` and its relatives (`kernel/futex/syscalls.c`, Linux 6.12).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::capability::CAP_SYS_PTRACE;
use linux_abi::futex as abi;
use linux_abi::time::{CLOCK_MONOTONIC, CLOCK_REALTIME, Timespec};

use super::args::{UserPtr, low_word};
use crate::error::{Restart, RestartBlock, SysResult};
use crate::futex::{Counts, Expect};
use crate::mm::UserAddr;
use crate::task::{RseqState, Task};
use crate::time::Deadline;

fn count(n: u32) -> usize {
    // A negative count means one, as Linux has it.
    if n.cast_signed() < 0 {
        1
    } else {
        usize::try_from(n).unwrap_or(usize::MAX)
    }
}

/// Decodes the operation and calls the futex table.
pub(super) async fn futex(
    task: &Arc<Task>,
    word: UserAddr,
    op: u32,
    val: u32,
    timeout: u64,
    word2: UserAddr,
    val3: u32,
) -> SysResult {
    let is_private = op & abi::PRIVATE_FLAG != 0;
    let is_realtime = op & abi::CLOCK_REALTIME != 0;
    let command = op & !(abi::PRIVATE_FLAG | abi::CLOCK_REALTIME);
    let allows_clock = matches!(
        command,
        abi::WAIT | abi::WAIT_BITSET | abi::WAIT_REQUEUE_PI | abi::LOCK_PI2
    );
    if is_realtime && !allows_clock {
        return Err(Errno::ENOSYS.into());
    }
    let clock = if is_realtime {
        CLOCK_REALTIME
    } else {
        CLOCK_MONOTONIC
    };
    let time = UserPtr::<Timespec>::new(UserAddr(timeout));
    let futexes = task.kernel().futexes();
    let second = low_word(timeout);
    let counts = Counts {
        wake: count(val),
        requeue: count(second),
    };
    match command {
        abi::WAIT => {
            let deadline = super::time::relative(task, time)?;
            wait(task, word, val, u32::MAX, is_private, deadline).await
        }
        abi::WAIT_BITSET => {
            let deadline = super::time::absolute(task, clock, time)?;
            if val3 == 0 {
                return Err(Errno::EINVAL.into());
            }
            let expect = Expect {
                word,
                value: val,
                is_private,
                bitset: val3,
            };
            // An absolute deadline needs no restart block: the call starts again.
            futexes.wait(task, &[expect], deadline, Restart::Sys).await
        }
        abi::WAKE => Ok(futexes.wake(task, word, is_private, count(val), u32::MAX)?),
        abi::WAKE_BITSET if val3 == 0 => Err(Errno::EINVAL.into()),
        abi::WAKE_BITSET => Ok(futexes.wake(task, word, is_private, count(val), val3)?),
        abi::REQUEUE => requeue(task, [word, word2], is_private, counts, (val, second), None),
        abi::CMP_REQUEUE => requeue(
            task,
            [word, word2],
            is_private,
            counts,
            (val, second),
            Some(val3),
        ),
        abi::WAKE_OP => {
            let both = [count(val), count(second)];
            Ok(futexes.wake_op(task, [word, word2], is_private, both, val3)?)
        }
        abi::LOCK_PI | abi::LOCK_PI2 => {
            let clock = if command == abi::LOCK_PI {
                CLOCK_REALTIME
            } else {
                clock
            };
            let deadline = super::time::absolute(task, clock, time)?;
            futexes
                .lock_pi(task, word, is_private, deadline, false)
                .await
        }
        abi::TRYLOCK_PI => futexes.lock_pi(task, word, is_private, None, true).await,
        abi::UNLOCK_PI => futexes.unlock_pi(task, word, is_private),
        _ => Err(Errno::ENOSYS.into()),
    }
}

async fn wait(
    task: &Arc<Task>,
    word: UserAddr,
    value: u32,
    bitset: u32,
    is_private: bool,
    deadline: Option<Deadline>,
) -> SysResult {
    let restart = deadline.map_or(Restart::Sys, |deadline| {
        Restart::Block(RestartBlock::Futex {
            uaddr: word.0,
            val: value,
            bitset,
            is_private,
            until_ns: deadline.0,
        })
    });
    let expect = Expect {
        word,
        value,
        is_private,
        bitset,
    };
    task.kernel()
        .futexes()
        .wait(task, &[expect], deadline, restart)
        .await
}

/// Goes on with an interrupted wait.
pub(super) async fn resume_wait(
    task: &Arc<Task>,
    word: UserAddr,
    value: u32,
    bitset: u32,
    is_private: bool,
    until_ns: u64,
) -> SysResult {
    wait(
        task,
        word,
        value,
        bitset,
        is_private,
        Some(Deadline(until_ns)),
    )
    .await
}

fn requeue(
    task: &Task,
    words: [UserAddr; 2],
    is_private: bool,
    counts: Counts,
    raw: (u32, u32),
    expected: Option<u32>,
) -> SysResult {
    if raw.0.cast_signed() < 0 || raw.1.cast_signed() < 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(task
        .kernel()
        .futexes()
        .requeue(task, words, is_private, counts, expected)?)
}

pub(super) async fn futex_waitv(
    task: &Arc<Task>,
    waiters: UserPtr<abi::WaitV>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> SysResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if flags != 0 || count == 0 || count > abi::WAITV_MAX || waiters.is_null() {
        return Err(Errno::EINVAL.into());
    }
    if !timeout.is_null() && !matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC) {
        return Err(Errno::EINVAL.into());
    }
    let deadline = super::time::absolute(task, clock, timeout)?;
    let mut words = Vec::with_capacity(count);
    for index in 0..u64::try_from(count).unwrap_or(0) {
        let entry = waiters.at(index).read(task)?;
        let known = abi::FUTEX2_SIZE_MASK | abi::FUTEX2_PRIVATE;
        let is_valid = entry.flags & !known == 0
            && entry.reserved == 0
            && entry.flags & abi::FUTEX2_SIZE_MASK == abi::FUTEX2_SIZE_U32;
        let value = u32::try_from(entry.val)
            .ok()
            .filter(|_| is_valid)
            .ok_or(Errno::EINVAL)?;
        words.push(Expect {
            word: UserAddr(entry.uaddr),
            value,
            is_private: entry.flags & abi::FUTEX2_PRIVATE != 0,
            bitset: abi::BITSET_MATCH_ANY,
        });
    }
    task.kernel()
        .futexes()
        .wait(task, &words, deadline, Restart::Sys)
        .await
}

pub(super) fn set_robust_list(task: &Arc<Task>, head: u64, len: usize) -> SysResult {
    if len != size_of::<abi::RobustListHead>() {
        return Err(Errno::EINVAL.into());
    }
    task.robust_list.store(head, Ordering::Relaxed);
    Ok(0)
}

pub(super) fn get_robust_list(
    task: &Arc<Task>,
    tid: i32,
    head: UserPtr<u64>,
    len: UserPtr<u64>,
) -> SysResult {
    let other = if tid == 0 {
        Arc::clone(task)
    } else {
        let table = task.kernel().processes().lock();
        Arc::clone(table.task(tid).ok_or(Errno::ESRCH)?)
    };
    if other.pid() != task.pid() && !task.creds().controls(&other.creds(), CAP_SYS_PTRACE) {
        return Err(Errno::EPERM.into());
    }
    len.write(task, &24)?;
    head.write(task, &other.robust_list.load(Ordering::Relaxed))?;
    Ok(0)
}

pub(super) fn rseq(task: &Arc<Task>, area: u64, len: u32, flags: i32, signature: u32) -> SysResult {
    let mut current = task.rseq.lock();
    if flags.cast_unsigned() & linux_abi::rseq::FLAG_UNREGISTER != 0 {
        if flags.cast_unsigned() & !linux_abi::rseq::FLAG_UNREGISTER != 0
            || current.addr == 0
            || current.addr != area
            || current.len != len
        {
            return Err(Errno::EINVAL.into());
        }
        if current.signature != signature {
            return Err(Errno::EPERM.into());
        }
        *current = RseqState::default();
        return Ok(0);
    }
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    if current.addr != 0 {
        if current.addr != area || current.len != len {
            return Err(Errno::EINVAL.into());
        }
        return Err(if current.signature == signature {
            Errno::EBUSY
        } else {
            Errno::EPERM
        }
        .into());
    }
    if len < linux_abi::rseq::ORIG_SIZE || !area.is_multiple_of(32) {
        return Err(Errno::EINVAL.into());
    }
    drop(current);
    // cpu_id_start, cpu_id, rseq_cs, flags, node_id, mm_cid: the guest sees one
    // processor number, so sequences are never moved between processors.
    let fields: [u32; 7] = [0, 0, 0, 0, 0, 0, 0];
    task.write_value(UserAddr(area), &fields)?;
    *task.rseq.lock() = RseqState {
        addr: area,
        len,
        signature,
    };
    Ok(0)
}
