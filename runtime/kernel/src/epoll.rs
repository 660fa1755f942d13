// SPDX-License-Identifier: MIT OR Apache-2.0
//! epoll: a set of descriptors and the list of those that are ready.
//!
//! An [`Item`] subscribes to its file's queue and puts itself on the ready list
//! when woken; [`Epoll::collect`] looks at the files on the list only. Level
//! triggered items stay on the list until they are found not ready. A file that
//! was closed everywhere leaves the set by itself: items hold it weakly. Locks: the
//! set's mutex is never held while a file is asked. Linux 6.12 `fs/eventpoll.c`.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::poll::{EpollEvent, PollEvents};

use crate::file::{Fd, File, OpenFile};
use crate::wait::{Subscription, WaitQueue, Wakeable};

/// How deep sets may contain sets.
const MAX_NESTING: usize = 5;

type Key = (Fd, u64);

#[derive(Clone, Copy)]
struct Interest {
    events: PollEvents,
    data: u64,
}

struct Item {
    epoll: Weak<Epoll>,
    file: Weak<OpenFile>,
    interest: Mutex<Interest>,
    is_queued: AtomicBool,
    me: Weak<Item>,
}

impl Item {
    fn interest(&self) -> Interest {
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file is ready for of what was asked.
    fn ready_events(&self) -> PollEvents {
        let Some(file) = self.file.upgrade() else {
            return PollEvents::empty();
        };
        file.file().readiness() & (self.interest().events | PollEvents::ALWAYS)
    }

    fn is_disabled(&self) -> bool {
        (self.interest().events - (PRIVATE | PollEvents::ALWAYS)).is_empty()
            && self.interest().events.contains(PollEvents::ONESHOT)
    }
}

/// Bits that steer reports and are no events.
const PRIVATE: PollEvents = PollEvents::EXCLUSIVE
    .union(PollEvents::WAKEUP)
    .union(PollEvents::ONESHOT)
    .union(PollEvents::ET);

impl Wakeable for Item {
    fn wake(&self) {
        let (Some(epoll), Some(me)) = (self.epoll.upgrade(), self.me.upgrade()) else {
            return;
        };
        epoll.enqueue(me);
    }
}

#[derive(Default)]
struct State {
    items: HashMap<Key, (Arc<Item>, Option<Subscription>)>,
    ready: VecDeque<Arc<Item>>,
}

/// A set of descriptors.
pub struct Epoll {
    me: Weak<Self>,
    state: Mutex<State>,
    queue: WaitQueue,
}

impl Epoll {
    /// An empty set.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            state: Mutex::default(),
            queue: WaitQueue::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, item: Arc<Item>) {
        if item.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        self.lock().ready.push_back(item);
        self.queue.wake_all();
    }

    /// Adds `file`, known as `fd`.
    ///
    /// # Errors
    /// `EPERM` for files that cannot be polled, `ELOOP` for a set that would
    /// contain itself or nest too deep, `EEXIST`.
    pub fn add(&self, fd: Fd, file: &Arc<OpenFile>, event: &EpollEvent) -> Result<(), Errno> {
        let queue = file.file().wait_queue().ok_or(Errno::EPERM)?;
        if let Some(inner) = file.file().downcast::<Self>()
            && (inner.contains(self, 0)? || inner.depth(0)? >= MAX_NESTING)
        {
            return Err(Errno::ELOOP);
        }
        let events = PollEvents::from_bits_retain(event.events);
        let item = Arc::new_cyclic(|me| Item {
            epoll: self.me.clone(),
            file: Arc::downgrade(file),
            interest: Mutex::new(Interest {
                events,
                data: event.data,
            }),
            is_queued: AtomicBool::new(false),
            me: me.clone(),
        });
        {
            let mut state = self.lock();
            if state.items.contains_key(&(fd, file.id())) {
                return Err(Errno::EEXIST);
            }
            state
                .items
                .retain(|_, (item, _)| item.file.strong_count() > 0);
            state.items.insert((fd, file.id()), (item.clone(), None));
        }
        let subscription = queue.subscribe(item.clone());
        if let Some(entry) = self.lock().items.get_mut(&(fd, file.id())) {
            entry.1 = Some(subscription);
        }
        if !item.ready_events().is_empty() {
            self.enqueue(item);
        }
        Ok(())
    }

    /// Changes what is reported about `file`.
    ///
    /// # Errors
    /// `ENOENT` when it is not in the set, `EINVAL` for exclusive items.
    pub fn modify(&self, fd: Fd, file: &Arc<OpenFile>, event: &EpollEvent) -> Result<(), Errno> {
        let item = {
            let state = self.lock();
            let (item, _) = state.items.get(&(fd, file.id())).ok_or(Errno::ENOENT)?;
            item.clone()
        };
        let events = PollEvents::from_bits_retain(event.events);
        {
            let mut interest = item.interest.lock().unwrap_or_else(PoisonError::into_inner);
            if interest.events.contains(PollEvents::EXCLUSIVE) {
                return Err(Errno::EINVAL);
            }
            *interest = Interest {
                events,
                data: event.data,
            };
        }
        if !item.ready_events().is_empty() {
            self.enqueue(item);
        }
        Ok(())
    }

    /// Takes `file` out of the set.
    ///
    /// # Errors
    /// `ENOENT` when it is not in the set.
    pub fn remove(&self, fd: Fd, file: &Arc<OpenFile>) -> Result<(), Errno> {
        let removed = {
            let mut state = self.lock();
            let removed = state.items.remove(&(fd, file.id())).ok_or(Errno::ENOENT)?;
            state.ready.retain(|item| !Arc::ptr_eq(item, &removed.0));
            removed
        };
        drop(removed);
        Ok(())
    }

    /// Up to `max` events that are there now.
    #[must_use]
    pub fn collect(&self, max: usize) -> Vec<EpollEvent> {
        let mut found = Vec::new();
        let mut again = Vec::new();
        let mut rounds = self.lock().ready.len();
        while found.len() < max && rounds > 0 {
            rounds -= 1;
            let Some(item) = self.lock().ready.pop_front() else {
                break;
            };
            // Cleared before the look: a change after it queues the item again.
            item.is_queued.store(false, Ordering::Release);
            if item.is_disabled() {
                continue;
            }
            let events = item.ready_events();
            if events.is_empty() {
                continue;
            }
            let interest = item.interest();
            found.push(EpollEvent {
                events: events.bits(),
                pad: 0,
                data: interest.data,
            });
            if interest.events.contains(PollEvents::ONESHOT) {
                let mut interest = item.interest.lock().unwrap_or_else(PoisonError::into_inner);
                interest.events &= PRIVATE;
            } else if !interest.events.contains(PollEvents::ET) {
                again.push(item);
            }
        }
        let mut state = self.lock();
        for item in again {
            if !item.is_queued.swap(true, Ordering::AcqRel) {
                state.ready.push_back(item);
            }
        }
        found
    }

    fn inner_sets(&self) -> Vec<Arc<OpenFile>> {
        let state = self.lock();
        let files = state
            .items
            .values()
            .filter_map(|(item, _)| item.file.upgrade());
        files
            .filter(|file| file.file().downcast::<Self>().is_some())
            .collect()
    }

    fn contains(&self, other: &Self, level: usize) -> Result<bool, Errno> {
        if std::ptr::eq(self, other) {
            return Ok(true);
        }
        if level > MAX_NESTING {
            return Err(Errno::ELOOP);
        }
        for file in self.inner_sets() {
            let inner = file.file().downcast::<Self>();
            if inner.is_some_and(|set| set.contains(other, level + 1).unwrap_or(true)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn depth(&self, level: usize) -> Result<usize, Errno> {
        if level > MAX_NESTING {
            return Err(Errno::ELOOP);
        }
        let mut deepest = 1;
        for file in self.inner_sets() {
            if let Some(set) = file.file().downcast::<Self>() {
                deepest = deepest.max(1 + set.depth(level + 1)?);
            }
        }
        Ok(deepest)
    }

    /// One line for each item, for `/proc/PID/fdinfo`.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = self.lock();
        let mut text = String::new();
        for ((fd, _), (item, _)) in &state.items {
            let interest = item.interest();
            let (events, data) = (interest.events.bits(), interest.data);
            text += &format!("tfd: {:8} events: {events:8x} data: {data:16x}\n", fd.0);
        }
        text
    }
}

impl File for Epoll {
    fn readiness(&self) -> PollEvents {
        let ready: Vec<_> = self.lock().ready.iter().cloned().collect();
        let is_ready = ready
            .iter()
            .any(|i| !i.is_disabled() && !i.ready_events().is_empty());
        if is_ready {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }
}

#[cfg(test)]
#[path = "epoll_tests.rs"]
mod tests;
