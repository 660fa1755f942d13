// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wait queues: who wants to hear that something changed.
//!
//! A [`WaitQueue`] belongs to the object that changes (a pipe, a process, a
//! timer). Whoever waits subscribes a [`Wakeable`], looks at the object, and sleeps
//! only if it is not ready: because the subscription stands before the look, no
//! change is missed. The object changes its state, releases its own lock, and then
//! calls [`WaitQueue::wake_all`]. Wake-ups may be spurious: every waiter looks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::gauge::{self, Counted};
use crate::sync::{Rank, Ranked};

/// Something that can be told to look again. Must not block and must not call
/// back into the object whose queue woke it.
pub trait Wakeable: Send + Sync {
    /// Something may have changed.
    fn wake(&self);
}

struct Shared {
    /// Length of `subscribers`, read without the lock.
    len: AtomicUsize,
    subscribers: Ranked<Subscribers>,
}

#[derive(Default)]
struct Subscribers {
    next_id: u64,
    list: Vec<(u64, Arc<dyn Wakeable>)>,
}

/// The waiters of one object. A clone is the same queue: whoever waits for the end of
/// the object must not keep it alive.
#[derive(Clone)]
pub struct WaitQueue {
    shared: Arc<Shared>,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitQueue({})", self.len())
    }
}

impl WaitQueue {
    /// A queue without waiters.
    #[must_use]
    pub fn new() -> Self {
        let subscribers = Ranked::new(Rank::WaitQueue, Subscribers::default());
        Self {
            shared: Arc::new(Shared {
                len: AtomicUsize::new(0),
                subscribers,
            }),
        }
    }

    /// Number of subscriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len.load(Ordering::SeqCst)
    }

    /// Does nobody wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wakes everybody. The caller has changed the object and holds no lock of it.
    pub fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    /// Wakes the `count` oldest subscriptions.
    pub fn wake(&self, count: usize) {
        if self.is_empty() {
            return;
        }
        let woken: Vec<_> = {
            let subscribers = self.shared.subscribers.lock();
            subscribers
                .list
                .iter()
                .take(count)
                .map(|(_, who)| Arc::clone(who))
                .collect()
        };
        woken.iter().for_each(|who| who.wake());
    }

    /// From now on `who` is woken, until the subscription is dropped.
    #[must_use]
    pub fn subscribe(&self, who: Arc<dyn Wakeable>) -> Subscription {
        let mut subscribers = self.shared.subscribers.lock();
        let id = subscribers.next_id;
        subscribers.next_id += 1;
        subscribers.list.push((id, who));
        self.shared
            .len
            .store(subscribers.list.len(), Ordering::SeqCst);
        drop(subscribers);
        Subscription {
            shared: Arc::clone(&self.shared),
            id,
            _counted: gauge::WAITS.count(),
        }
    }
}

/// A place in a queue; dropping it leaves the queue.
pub struct Subscription {
    shared: Arc<Shared>,
    id: u64,
    _counted: Counted,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.shared.subscribers.lock();
        let removed = subscribers
            .list
            .iter()
            .position(|(id, _)| *id == self.id)
            .map(|at| subscribers.list.remove(at));
        self.shared
            .len
            .store(subscribers.list.len(), Ordering::SeqCst);
        drop(subscribers);
        drop(removed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{WaitQueue, Wakeable};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wakeable for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn dropped_subscription_is_not_woken() {
        let (queue, who) = (WaitQueue::new(), Arc::new(Count::default()));
        let subscription = queue.subscribe(who.clone());
        queue.wake_all();
        drop(subscription);
        queue.wake_all();
        assert_eq!(who.0.load(Ordering::SeqCst), 1);
        assert!(queue.is_empty());
    }

    #[test]
    fn wake_takes_the_oldest_first() {
        let queue = WaitQueue::new();
        let who: Vec<_> = (0..3).map(|_| Arc::new(Count::default())).collect();
        let _subscriptions: Vec<_> = who.iter().map(|w| queue.subscribe(w.clone())).collect();
        queue.wake(2);
        let counts: Vec<_> = who.iter().map(|w| w.0.load(Ordering::SeqCst)).collect();
        assert_eq!(counts, [1, 1, 0]);
    }

    #[test]
    fn subscription_outlives_its_queue() {
        let queue = WaitQueue::new();
        let subscription = queue.subscribe(Arc::new(Count::default()));
        drop(queue);
        drop(subscription);
    }
}
