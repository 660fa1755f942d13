// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks on files: POSIX and open-file-description record locks, and `flock`.
//!
//! [`FileLocks`] hangs on the inode. Record locks of both families conflict with
//! each other and not with `flock` (Linux `fs/locks.c`, 6.12). Nothing here
//! waits: the syscall layer waits on [`FileLocks::queue`]. One leaf mutex; the
//! queue is woken after it is released.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;

use crate::wait::WaitQueue;

/// Who holds a record lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOwner {
    /// A process: its descriptor table, and its pid for `F_GETLK`.
    Process {
        /// Identity of the descriptor table.
        table: u64,
        /// Process id.
        pid: i32,
    },
    /// An open file description, by its number.
    Description(u64),
}

impl LockOwner {
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Process { table: a, .. }, Self::Process { table: b, .. }) => a == b,
            (Self::Description(a), Self::Description(b)) => a == b,
            _ => false,
        }
    }
}

/// What a lock allows others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Others may share it.
    Shared,
    /// Nobody else has it.
    Exclusive,
}

/// A locked range; `end` is the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLock {
    /// Holder.
    pub owner: LockOwner,
    /// What it allows others.
    pub kind: LockKind,
    /// First byte.
    pub start: u64,
    /// Last byte; `u64::MAX` means to the end, however far.
    pub end: u64,
}

#[derive(Default)]
struct State {
    records: Vec<RecordLock>,
    whole: Vec<(u64, LockKind)>,
}

/// All locks on one file.
#[derive(Default)]
pub struct FileLocks {
    state: Mutex<State>,
    queue: WaitQueue,
}

impl FileLocks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Woken when a lock goes away.
    #[must_use]
    pub fn queue(&self) -> &WaitQueue {
        &self.queue
    }

    /// The first lock that keeps `wanted` from being granted.
    #[must_use]
    pub fn conflict(&self, wanted: &RecordLock) -> Option<RecordLock> {
        find_conflict(&self.lock().records, wanted)
    }

    /// Grants `wanted`, replacing what its owner has in the range.
    ///
    /// # Errors
    /// `EAGAIN` when another owner's lock is in the way.
    pub fn try_lock(&self, wanted: RecordLock) -> Result<(), Errno> {
        let mut state = self.lock();
        if find_conflict(&state.records, &wanted).is_some() {
            return Err(Errno::EAGAIN);
        }
        let was_weakened = carve(&mut state.records, &wanted);
        let mut merged = wanted;
        state.records.retain(|have| !absorb(&mut merged, have));
        state.records.push(merged);
        drop(state);
        if was_weakened {
            self.queue.wake_all();
        }
        Ok(())
    }

    /// Releases what `owner` has in `start..=end`.
    pub fn unlock(&self, owner: LockOwner, start: u64, end: u64) {
        let range = RecordLock {
            owner,
            kind: LockKind::Shared,
            start,
            end,
        };
        let changed = carve(&mut self.lock().records, &range);
        if changed {
            self.queue.wake_all();
        }
    }

    /// A descriptor of the file was closed in the process of `table`: its POSIX
    /// locks go, all of them.
    pub fn release_process(&self, table: u64) {
        self.unlock(LockOwner::Process { table, pid: 0 }, 0, u64::MAX);
    }

    /// An open file description is gone: so are its locks.
    pub fn release_description(&self, id: u64) {
        self.unlock(LockOwner::Description(id), 0, u64::MAX);
        self.funlock(id);
    }

    /// `flock`: grants the whole file to description `id`. Converting a lock
    /// releases the old one first, as on Linux, even when the new one is refused.
    ///
    /// # Errors
    /// `EAGAIN` when another description's lock is in the way.
    pub fn try_flock(&self, id: u64, kind: LockKind) -> Result<(), Errno> {
        let mut state = self.lock();
        if state.whole.contains(&(id, kind)) {
            return Ok(());
        }
        let before = state.whole.len();
        state.whole.retain(|(owner, _)| *owner != id);
        let was_released = state.whole.len() != before;
        let is_blocked = state
            .whole
            .iter()
            .any(|(_, have)| kind == LockKind::Exclusive || *have == LockKind::Exclusive);
        if !is_blocked {
            state.whole.push((id, kind));
        }
        drop(state);
        if was_released {
            self.queue.wake_all();
        }
        if is_blocked {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    /// `flock`: releases the lock of description `id`.
    pub fn funlock(&self, id: u64) {
        let mut state = self.lock();
        let before = state.whole.len();
        state.whole.retain(|(owner, _)| *owner != id);
        let changed = state.whole.len() != before;
        drop(state);
        if changed {
            self.queue.wake_all();
        }
    }
}

/// Which processes wait for record locks of which others, to refuse a wait that
/// could never end (`EDEADLK`). Descriptions are not followed, as on Linux.
#[derive(Default)]
pub struct LockGraph {
    /// Waiter and the holder it found last.
    waits: Mutex<HashMap<u64, u64>>,
}

/// Steps that the search for a circle takes at most (Linux `MAX_DEADLK_ITERATIONS`).
const MAX_STEPS: usize = 10;

/// A wait under way; it ends when this is dropped.
pub struct Waiting<'a> {
    graph: &'a LockGraph,
    owner: Option<u64>,
}

impl LockGraph {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `owner` is going to wait.
    pub fn enter(&self, owner: LockOwner) -> Waiting<'_> {
        let owner = match owner {
            LockOwner::Process { table, .. } => Some(table),
            LockOwner::Description(_) => None,
        };
        Waiting { graph: self, owner }
    }

    /// Would `waiter`, waiting for `holder`, wait for itself? If not, it is
    /// recorded as waiting.
    pub fn would_deadlock(&self, waiter: LockOwner, holder: LockOwner) -> bool {
        let (LockOwner::Process { table: waiter, .. }, LockOwner::Process { table: holder, .. }) =
            (waiter, holder)
        else {
            return false;
        };
        let mut waits = self.lock();
        let mut at = holder;
        for _ in 0..MAX_STEPS {
            match waits.get(&at) {
                Some(&next) if next == waiter => return true,
                Some(&next) => at = next,
                None => break,
            }
        }
        waits.insert(waiter, holder);
        false
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(owner) = self.owner {
            self.graph.lock().remove(&owner);
        }
    }
}

fn overlaps(a: &RecordLock, b: &RecordLock) -> bool {
    a.start <= b.end && b.start <= a.end
}

fn find_conflict(records: &[RecordLock], wanted: &RecordLock) -> Option<RecordLock> {
    let is_exclusive = |lock: &RecordLock| lock.kind == LockKind::Exclusive;
    let conflicts = |have: &&RecordLock| {
        !have.owner.is_same(wanted.owner)
            && overlaps(have, wanted)
            && (is_exclusive(have) || is_exclusive(wanted))
    };
    records
        .iter()
        .filter(conflicts)
        .min_by_key(|have| have.start)
        .copied()
}

/// Cuts `range` out of what its owner holds; says whether there was anything.
fn carve(records: &mut Vec<RecordLock>, range: &RecordLock) -> bool {
    let mut rest = Vec::new();
    let mut changed = false;
    records.retain(|have| {
        if !have.owner.is_same(range.owner) || !overlaps(have, range) {
            return true;
        }
        changed = true;
        if have.start < range.start {
            rest.push(RecordLock {
                end: range.start - 1,
                ..*have
            });
        }
        if have.end > range.end {
            rest.push(RecordLock {
                start: range.end + 1,
                ..*have
            });
        }
        false
    });
    records.append(&mut rest);
    changed
}

/// Merges `have` into `lock` when they belong together and touch.
fn absorb(lock: &mut RecordLock, have: &RecordLock) -> bool {
    let touches =
        have.start <= lock.end.saturating_add(1) && lock.start <= have.end.saturating_add(1);
    if !have.owner.is_same(lock.owner) || have.kind != lock.kind || !touches {
        return false;
    }
    lock.start = lock.start.min(have.start);
    lock.end = lock.end.max(have.end);
    true
}

#[cfg(test)]
#[path = "locks_tests.rs"]
mod tests;
