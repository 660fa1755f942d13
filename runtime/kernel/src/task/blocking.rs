// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a task waits.
//!
//! Every wait of the kernel is [`Task::wait_for`] or is built like it: subscribe,
//! look, sleep. A signal ends the wait with the [`Restart`] of the system call.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::Task;
use crate::error::{Restart, SysErr};
use crate::time::Deadline;
use crate::wait::WaitQueue;

/// Sleeps until the task is woken, for whatever reason.
async fn sleep_once() {
    let mut has_slept = false;
    poll_fn(|_| {
        if has_slept {
            return Poll::Ready(());
        }
        has_slept = true;
        Poll::Pending
    })
    .await;
}

impl Task {
    /// Waits until `attempt` has a value. `None` when `deadline` passed before.
    ///
    /// # Errors
    /// [`SysErr::Interrupted`] with `restart` when a signal comes first.
    pub async fn wait_for<T>(
        &self,
        queue: &WaitQueue,
        deadline: Option<Deadline>,
        restart: Restart,
        attempt: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, SysErr> {
        self.wait_for_any(&[queue], deadline, restart, attempt)
            .await
    }

    /// As [`Task::wait_for`], woken by any of several queues.
    ///
    /// # Errors
    /// [`SysErr::Interrupted`] with `restart` when a signal comes first.
    pub async fn wait_for_any<T>(
        &self,
        queues: &[&WaitQueue],
        deadline: Option<Deadline>,
        restart: Restart,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, SysErr> {
        if let Some(value) = attempt() {
            return Ok(Some(value));
        }
        let clock = self.kernel.clock();
        let subscriptions: Vec<_> = queues.iter().map(|q| q.subscribe(self.waker())).collect();
        let timer = deadline.map(|at| self.kernel.timers().arm(at, self.waker()));
        let outcome = loop {
            if let Some(value) = attempt() {
                break Ok(Some(value));
            }
            if deadline.is_some_and(|at| clock.is_past(at)) {
                break Ok(None);
            }
            if self.has_work() {
                break Err(SysErr::Interrupted(restart));
            }
            self.note_sleep();
            sleep_once().await;
            self.is_waiting.store(false, Ordering::Relaxed);
        };
        drop((subscriptions, timer));
        outcome
    }

    /// Waits for something that only death may interrupt; `None` when dying.
    pub async fn wait_unless_dying<T>(
        &self,
        queue: &WaitQueue,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let subscription = queue.subscribe(self.waker());
        let outcome = loop {
            if let Some(value) = attempt() {
                break Some(value);
            }
            if self.has_work() && self.signals().is_dying(self.tid()) {
                break None;
            }
            self.note_sleep();
            sleep_once().await;
            self.is_waiting.store(false, Ordering::Relaxed);
        };
        drop(subscription);
        outcome
    }

    /// Lets others run.
    pub async fn yield_now(&self) {
        self.waker().wake();
        sleep_once().await;
    }

    fn note_sleep(&self) {
        self.is_waiting.store(true, Ordering::Relaxed);
        self.voluntary_switches.fetch_add(1, Ordering::Relaxed);
    }
}
