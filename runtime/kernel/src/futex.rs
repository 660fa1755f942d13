// SPDX-License-Identifier: MIT OR Apache-2.0
//! Futexes: waiting on a word of user memory.
//!
//! A [`Key`] says which word: the address in one address space for private ones,
//! the physical page otherwise, so that a word is the same through every mapping.
//! Waiters of a key queue in order. A waiter is checked and queued under one lock,
//! and wakers change the word before they take it, so no wake-up is lost.
//! Linux 6.12 `kernel/futex/`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use elfuse_machine::Access;
use linux_abi::Errno;
use linux_abi::futex::{OWNER_DIED, TID_MASK, WAITERS};

use crate::error::{Restart, SysErr, SysResult};
use crate::mm::{PAGE, UserAddr};
use crate::sync::{Rank, Ranked};
use crate::task::Task;
use crate::time::Deadline;
use crate::wait::{WaitQueue, Wakeable};

/// Which word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Address in an address space.
    Private(u64, u64),
    /// Physical page and offset.
    Shared(u64, u64),
}

struct Waiter {
    waker: Arc<dyn Wakeable>,
    bitset: u32,
    is_woken: AtomicBool,
    /// Where it waits; changes when it is requeued.
    key: Ranked<Key>,
    /// The page of a shared word, kept so that its identity stays.
    _page: Option<crate::mm::Page>,
    /// Waits to own a priority-inheriting futex, as this thread.
    pi_tid: Option<u32>,
}

/// All waiters of the kernel.
pub struct Futexes {
    queues: Ranked<HashMap<Key, Vec<Arc<Waiter>>>>,
}

impl Default for Futexes {
    fn default() -> Self {
        Self {
            queues: Ranked::new(Rank::Futex, HashMap::new()),
        }
    }
}

/// What a waiter expects of one word.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// The word.
    pub word: UserAddr,
    /// Its value.
    pub value: u32,
    /// Used within one process only?
    pub is_private: bool,
    /// Who may wake it.
    pub bitset: u32,
}

/// How many to wake at the first word, and to wake or move at the second.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Woken.
    pub wake: usize,
    /// Moved.
    pub requeue: usize,
}

impl Futexes {
    fn key(
        task: &Task,
        word: UserAddr,
        is_private: bool,
    ) -> Result<(Key, Option<crate::mm::Page>), Errno> {
        if !word.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let memory = task.memory()?;
        if word.0 >= crate::mm::TASK_SIZE {
            return Err(Errno::EFAULT);
        }
        if is_private || !memory.mm().is_shared_at(word.0) {
            return Ok((Key::Private(memory.mm().id(), word.0), None));
        }
        let page = memory.page_of(word, Access::Read)?;
        Ok((Key::Shared(page.id(), word.0 % PAGE), Some(page)))
    }

    /// Waits until woken; answers the index of the word that was woken.
    ///
    /// # Errors
    /// `EAGAIN` when a word has another value, `ETIMEDOUT`, `EINVAL`, `EFAULT`.
    pub async fn wait(
        &self,
        task: &Arc<Task>,
        words: &[Expect],
        deadline: Option<Deadline>,
        restart: Restart,
    ) -> SysResult {
        let waiters = self.enqueue(task, words)?;
        // Wake-ups come straight to the task, so the queue to wait on is empty.
        let nobody = WaitQueue::new();
        let woken = || {
            waiters
                .list
                .iter()
                .position(|w| w.is_woken.load(Ordering::SeqCst))
        };
        let outcome = task.wait_for(&nobody, deadline, restart, woken).await;
        // A wake-up that came at the last moment counts.
        drop_waiters(self, &waiters);
        if let Some(index) = woken() {
            return Ok(index);
        }
        match outcome? {
            Some(index) => Ok(index),
            None => Err(Errno::ETIMEDOUT.into()),
        }
    }

    fn enqueue<'a>(&'a self, task: &Task, words: &[Expect]) -> Result<Waiters<'a>, SysErr> {
        let mut keys = Vec::with_capacity(words.len());
        for expect in words {
            keys.push(Self::key(task, expect.word, expect.is_private)?);
        }
        let memory = task.memory()?;
        // Bring the pages in before the lock: under it, the words are only read.
        for expect in words {
            memory.load_u32(expect.word)?;
        }
        let mut list = Vec::with_capacity(words.len());
        let mut queues = self.queues.lock();
        for (expect, (key, page)) in words.iter().zip(keys) {
            let waiter = Arc::new(Waiter {
                waker: task.waker(),
                bitset: expect.bitset,
                is_woken: AtomicBool::new(false),
                key: Ranked::new(Rank::Fields, key),
                _page: page,
                pi_tid: None,
            });
            queues.entry(key).or_default().push(Arc::clone(&waiter));
            list.push(waiter);
        }
        drop(queues);
        // Queued first, read after: a waker that changes the word now finds the waiter.
        let waiters = Waiters {
            futexes: self,
            list,
        };
        for (index, expect) in words.iter().enumerate() {
            if memory.load_u32(expect.word)? != expect.value {
                let is_woken = |w: &Arc<Waiter>| w.is_woken.load(Ordering::SeqCst);
                if waiters.list[..=index].iter().any(is_woken) {
                    break;
                }
                return Err(Errno::EAGAIN.into());
            }
        }
        Ok(waiters)
    }

    /// Wakes up to `count` waiters of a word whose bit set overlaps.
    ///
    /// # Errors
    /// `EINVAL` for a misaligned word, `EFAULT`.
    pub fn wake(
        &self,
        task: &Task,
        word: UserAddr,
        is_private: bool,
        count: usize,
        bitset: u32,
    ) -> Result<usize, Errno> {
        let (key, _page) = Self::key(task, word, is_private)?;
        Ok(self.wake_key(key, count, bitset))
    }

    fn wake_key(&self, key: Key, count: usize, bitset: u32) -> usize {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&key) else {
            return 0;
        };
        let mut woken = Vec::new();
        queue.retain(|waiter| {
            let is_meant =
                woken.len() < count && waiter.bitset & bitset != 0 && waiter.pi_tid.is_none();
            if is_meant {
                woken.push(Arc::clone(waiter));
            }
            !is_meant
        });
        if queue.is_empty() {
            queues.remove(&key);
        }
        drop(queues);
        for waiter in &woken {
            waiter.is_woken.store(true, Ordering::SeqCst);
            waiter.waker.wake();
        }
        woken.len()
    }

    /// Wakes waiters of one word and moves others to a second word.
    ///
    /// # Errors
    /// `EAGAIN` when the first word is not `expected`, `EINVAL`, `EFAULT`.
    pub fn requeue(
        &self,
        task: &Task,
        words: [UserAddr; 2],
        is_private: bool,
        counts: Counts,
        expected: Option<u32>,
    ) -> Result<usize, Errno> {
        let (from, _) = Self::key(task, words[0], is_private)?;
        let (to, _) = Self::key(task, words[1], is_private)?;
        if let Some(expected) = expected
            && task.memory()?.load_u32(words[0])? != expected
        {
            return Err(Errno::EAGAIN);
        }
        let woken = self.wake_key(from, counts.wake, u32::MAX);
        if from == to {
            return Ok(woken);
        }
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&from) else {
            return Ok(woken);
        };
        let moved: Vec<_> = queue.drain(..counts.requeue.min(queue.len())).collect();
        if queue.is_empty() {
            queues.remove(&from);
        }
        moved.iter().for_each(|waiter| *waiter.key.lock() = to);
        let count = moved.len();
        if count > 0 {
            queues.entry(to).or_default().extend(moved);
        }
        Ok(woken + count)
    }

    /// Changes the second word, wakes the first, and the second if its old value
    /// compares.
    ///
    /// # Errors
    /// `ENOSYS` for an unknown operation, `EINVAL`, `EFAULT`.
    pub fn wake_op(
        &self,
        task: &Task,
        words: [UserAddr; 2],
        is_private: bool,
        counts: [usize; 2],
        operation: u32,
    ) -> Result<usize, Errno> {
        let (first, _) = Self::key(task, words[0], is_private)?;
        let (second, _) = Self::key(task, words[1], is_private)?;
        let decoded = WakeOp::decode(operation)?;
        let old = task
            .memory()?
            .update_u32(words[1], |value| decoded.apply(value))?;
        let mut woken = self.wake_key(first, counts[0], u32::MAX);
        if decoded.holds(old) {
            woken += self.wake_key(second, counts[1], u32::MAX);
        }
        Ok(woken)
    }

    /// Takes a priority-inheriting futex, waiting for its owner.
    ///
    /// # Errors
    /// `EDEADLK` when the task owns it, `ESRCH` when its owner is gone,
    /// `EAGAIN` for `try_only`, `ETIMEDOUT`, `EFAULT`.
    pub async fn lock_pi(
        &self,
        task: &Arc<Task>,
        word: UserAddr,
        is_private: bool,
        deadline: Option<Deadline>,
        try_only: bool,
    ) -> SysResult {
        let (key, page) = Self::key(task, word, is_private)?;
        let memory = task.memory()?;
        let mine = task.tid().cast_unsigned();
        let waiter = Arc::new(Waiter {
            waker: task.waker(),
            bitset: u32::MAX,
            is_woken: AtomicBool::new(false),
            key: Ranked::new(Rank::Fields, key),
            _page: page,
            pi_tid: Some(mine),
        });
        loop {
            let value = memory.load_u32(word)?;
            let owner = value & TID_MASK;
            if owner == mine {
                return Err(Errno::EDEADLK.into());
            }
            if owner == 0 {
                let taken = mine | (value & (WAITERS | OWNER_DIED));
                if memory.compare_exchange_u32(word, value, taken)?.is_ok() {
                    return Ok(0);
                }
                continue;
            }
            if try_only {
                return Err(Errno::EAGAIN.into());
            }
            if task
                .kernel()
                .processes()
                .lock()
                .task(owner.cast_signed())
                .is_none()
            {
                return Err(Errno::ESRCH.into());
            }
            // From here on the owner's unlock comes to the kernel and finds us.
            self.queues
                .lock()
                .entry(key)
                .or_default()
                .push(Arc::clone(&waiter));
            if memory
                .compare_exchange_u32(word, value, value | WAITERS)?
                .is_ok()
            {
                break;
            }
            self.remove(&waiter);
        }
        let waiters = Waiters {
            futexes: self,
            list: vec![Arc::clone(&waiter)],
        };
        let nobody = WaitQueue::new();
        let granted = || waiter.is_woken.load(Ordering::SeqCst).then_some(());
        let outcome = task
            .wait_for(&nobody, deadline, Restart::NoIntr, granted)
            .await;
        drop_waiters(self, &waiters);
        if granted().is_some() {
            return Ok(0);
        }
        match outcome? {
            Some(()) => Ok(0),
            None => Err(Errno::ETIMEDOUT.into()),
        }
    }

    /// Gives a priority-inheriting futex to the longest waiter.
    ///
    /// # Errors
    /// `EPERM` when the task does not own it, `EFAULT`.
    pub fn unlock_pi(&self, task: &Task, word: UserAddr, is_private: bool) -> SysResult {
        let (key, _) = Self::key(task, word, is_private)?;
        let memory = task.memory()?;
        if memory.load_u32(word)? & TID_MASK != task.tid().cast_unsigned() {
            return Err(Errno::EPERM.into());
        }
        let mut queues = self.queues.lock();
        let next = queues.get_mut(&key).and_then(|queue| {
            let at = queue.iter().position(|waiter| waiter.pi_tid.is_some())?;
            Some(queue.remove(at))
        });
        let has_more = queues
            .get(&key)
            .is_some_and(|q| q.iter().any(|w| w.pi_tid.is_some()));
        if queues.get(&key).is_some_and(Vec::is_empty) {
            queues.remove(&key);
        }
        drop(queues);
        let owner = next.as_ref().and_then(|waiter| waiter.pi_tid).unwrap_or(0);
        let value = owner | if has_more { WAITERS } else { 0 };
        memory.update_u32(word, |_| value)?;
        if let Some(waiter) = next {
            waiter.is_woken.store(true, Ordering::SeqCst);
            waiter.waker.wake();
        }
        Ok(0)
    }

    fn remove(&self, waiter: &Arc<Waiter>) {
        let mut queues = self.queues.lock();
        let key = *waiter.key.lock();
        let Some(queue) = queues.get_mut(&key) else {
            return;
        };
        queue.retain(|other| !Arc::ptr_eq(other, waiter));
        if queue.is_empty() {
            queues.remove(&key);
        }
    }

    /// Number of waiters, for leak checks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queues.lock().values().map(Vec::len).sum()
    }

    /// Does nobody wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Waiters that leave their queues when they are dropped.
struct Waiters<'a> {
    futexes: &'a Futexes,
    list: Vec<Arc<Waiter>>,
}

impl Drop for Waiters<'_> {
    fn drop(&mut self) {
        drop_waiters(self.futexes, self);
    }
}

fn drop_waiters(futexes: &Futexes, waiters: &Waiters<'_>) {
    waiters
        .list
        .iter()
        .for_each(|waiter| futexes.remove(waiter));
}

/// The operation of `FUTEX_WAKE_OP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WakeOp {
    op: u32,
    cmp: u32,
    op_arg: u32,
    cmp_arg: u32,
}

impl WakeOp {
    fn decode(raw: u32) -> Result<Self, Errno> {
        // Both arguments are signed numbers of 12 bits.
        let signed = |bits: u32| (((bits & 0xfff) << 20).cast_signed() >> 20).cast_unsigned();
        let mut op_arg = signed(raw >> 12);
        if raw & 0x8000_0000 != 0 {
            op_arg = 1u32.wrapping_shl(op_arg & 31);
        }
        let decoded = Self {
            op: (raw >> 28) & 7,
            cmp: (raw >> 24) & 15,
            op_arg,
            cmp_arg: signed(raw),
        };
        if decoded.op > 4 || decoded.cmp > 5 {
            Err(Errno::ENOSYS)
        } else {
            Ok(decoded)
        }
    }

    const fn apply(self, value: u32) -> u32 {
        match self.op {
            0 => self.op_arg,
            1 => value.wrapping_add(self.op_arg),
            2 => value | self.op_arg,
            3 => value & !self.op_arg,
            _ => value ^ self.op_arg,
        }
    }

    const fn holds(self, old: u32) -> bool {
        let (old, arg) = (old.cast_signed(), self.cmp_arg.cast_signed());
        match self.cmp {
            0 => old == arg,
            1 => old != arg,
            2 => old < arg,
            3 => old <= arg,
            4 => old > arg,
            _ => old >= arg,
        }
    }
}

#[cfg(test)]
mod tests {
    use linux_abi::Errno;

    use super::WakeOp;

    #[test]
    fn wake_op_decodes_signed_arguments_and_shifts() {
        let op = WakeOp::decode(1 << 28 | 3 << 24 | 0xfff << 12 | 0xffe).unwrap();
        assert_eq!(
            (op.op, op.op_arg, op.cmp, op.cmp_arg),
            (1, u32::MAX, 3, u32::MAX - 1)
        );
    }

    #[test]
    fn unknown_wake_op_is_refused() {
        assert_eq!(WakeOp::decode(7 << 28), Err(Errno::ENOSYS));
        assert_eq!(WakeOp::decode(6 << 24), Err(Errno::ENOSYS));
    }

    #[test]
    fn wake_op_shift_takes_a_bit_number() {
        let op = WakeOp::decode(0x8000_0000 | 2 << 28 | 4 << 12).unwrap();
        assert_eq!(op.apply(0), 16);
        assert!(op.holds(0));
    }
}
