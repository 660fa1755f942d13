// SPDX-License-Identifier: MIT OR Apache-2.0
//! Barriers on all processors (`kernel/sched/membarrier.c`, Linux 6.12).
//!
//! A processor that comes out of a program and goes back has passed a full barrier,
//! synchronised its instructions and left restartable sequences: all kinds of
//! barriers are this one. Those that a program must announce are kept with its memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;

use crate::error::SysResult;
use crate::mm::Mm;
use crate::task::{Entry, Task};

const QUERY: i32 = 0;
const GLOBAL: i32 = 1;
const GLOBAL_EXPEDITED: i32 = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;
const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
const PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 7;
const REGISTER_PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 8;
const GET_REGISTRATIONS: i32 = 1 << 9;
/// All but the query.
const KNOWN: i32 = (1 << 10) - 1;
/// Only the processor that is named; here, all of them.
const FLAG_CPU: u32 = 1;

/// Synchronises all programs, or those that announced that they want it.
fn synchronize_all(t: &Task, is_wanted: impl Fn(&Mm) -> bool) {
    let table = t.kernel().processes().lock();
    let first = |entry: &Entry| entry.threads.values().next().map(Arc::clone);
    let tasks: Vec<_> = table.iter().filter_map(|(_, entry)| first(entry)).collect();
    drop(table);
    let spaces = tasks.iter().filter_map(|task| task.mm().ok());
    spaces
        .filter(|mm| is_wanted(mm))
        .for_each(|mm| mm.space().synchronize());
}

pub(super) fn membarrier(t: &Arc<Task>, command: i32, flags: u32, _cpu: i32) -> SysResult {
    let is_flagged = command == PRIVATE_EXPEDITED_RSEQ && flags == FLAG_CPU;
    if flags != 0 && !is_flagged {
        return Err(Errno::EINVAL.into());
    }
    let mm = t.mm()?;
    let announced = |command: i32| {
        let all = mm.barriers.load(Ordering::Relaxed);
        all & command.cast_unsigned() != 0
    };
    match command {
        QUERY => return Ok(usize::try_from(KNOWN).unwrap_or(0)),
        GET_REGISTRATIONS => {
            let all = mm.barriers.load(Ordering::Relaxed);
            return Ok(usize::try_from(all).unwrap_or(0));
        }
        GLOBAL => synchronize_all(t, |_| true),
        GLOBAL_EXPEDITED => synchronize_all(t, |mm| {
            let all = mm.barriers.load(Ordering::Relaxed);
            all & REGISTER_GLOBAL_EXPEDITED.cast_unsigned() != 0
        }),
        PRIVATE_EXPEDITED | PRIVATE_EXPEDITED_SYNC_CORE | PRIVATE_EXPEDITED_RSEQ => {
            // The command that announces is the bit above.
            if !announced(command << 1) {
                return Err(Errno::EPERM.into());
            }
            mm.space().synchronize();
        }
        REGISTER_GLOBAL_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | REGISTER_PRIVATE_EXPEDITED_RSEQ => {
            mm.barriers
                .fetch_or(command.cast_unsigned(), Ordering::Relaxed);
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
