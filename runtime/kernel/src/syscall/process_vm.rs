// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of another process (`mm/process_vm_access.c`, Linux 6.12): what is copied
//! goes through a buffer of the kernel, piece by piece, and ends at the first byte that
//! one side does not have.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::CAP_SYS_PTRACE;

use crate::error::SysResult;
use crate::file::{IoSink, IoSource, UserBuf};
use crate::mm::{UserAddr, UserMemory};
use crate::task::Task;

/// Bytes that are copied at once.
const CHUNK: usize = 64 << 10;

/// The memory of a process that the caller may look into (`mm_access`).
fn memory_of(t: &Task, pid: i32) -> Result<UserMemory, Errno> {
    let table = t.kernel().processes().lock();
    let found = table.task(pid).map(Arc::clone);
    drop(table);
    let other = found.ok_or(Errno::ESRCH)?;
    let (mine, theirs) = (t.creds(), other.creds());
    let is_all = |ids: crate::creds::IdSet, id| {
        [ids.real, ids.effective, ids.saved]
            .iter()
            .all(|&theirs| theirs == id)
    };
    let is_same = is_all(theirs.uid, mine.uid.real) && is_all(theirs.gid, mine.gid.real);
    if other.pid() != t.pid() && !is_same && !mine.has_cap(CAP_SYS_PTRACE) {
        return Err(Errno::EPERM);
    }
    // A process without memory is one that is gone.
    other.memory().map_err(|_| Errno::ESRCH)
}

/// Moves bytes until one side is used up or stops.
fn transfer(from: &mut UserBuf, to: &mut UserBuf) -> SysResult {
    let mut chunk = vec![0; CHUNK.min(from.len())];
    let mut done = 0;
    loop {
        let want = from.len().min(to.len()).min(CHUNK);
        let fetched = match want {
            0 => return Ok(done),
            want => from.get(&mut chunk[..want]),
        };
        let moved = fetched.and_then(|fetched| to.put(&chunk[..fetched]));
        match moved {
            Ok(moved) => done += moved,
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => return Ok(done),
        }
        if moved != Ok(want) {
            return Ok(done);
        }
    }
}

/// Both sides: the caller's and the other's; `None` when the caller's is empty.
fn sides(
    t: &Task,
    pid: i32,
    (local, local_count): (UserAddr, usize),
    (remote, remote_count): (UserAddr, usize),
    flags: u64,
) -> Result<Option<(UserBuf, UserBuf)>, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let mine = UserBuf::gather(t.memory()?, local, local_count)?;
    if mine.is_empty() {
        return Ok(None);
    }
    let theirs = UserBuf::gather(t.memory()?, remote, remote_count)?;
    Ok(Some((mine, theirs.in_memory(memory_of(t, pid)?))))
}

pub(super) fn process_vm_readv(
    t: &Arc<Task>,
    pid: i32,
    local: UserAddr,
    local_count: usize,
    remote: UserAddr,
    remote_count: usize,
    flags: u64,
) -> SysResult {
    let sides = sides(t, pid, (local, local_count), (remote, remote_count), flags)?;
    sides.map_or(Ok(0), |(mut mine, mut theirs)| {
        transfer(&mut theirs, &mut mine)
    })
}

pub(super) fn process_vm_writev(
    t: &Arc<Task>,
    pid: i32,
    local: UserAddr,
    local_count: usize,
    remote: UserAddr,
    remote_count: usize,
    flags: u64,
) -> SysResult {
    let sides = sides(t, pid, (local, local_count), (remote, remote_count), flags)?;
    sides.map_or(Ok(0), |(mut mine, mut theirs)| {
        transfer(&mut mine, &mut theirs)
    })
}
