// SPDX-License-Identifier: MIT OR Apache-2.0
//! timerfd: a timer as a file (`fs/timerfd.c`, Linux 6.12).
//!
//! Expiries are counted by arithmetic on the clock, not by events: the one armed
//! kernel timer only wakes whoever waits. Lock: a leaf mutex; the timer is armed
//! and disarmed outside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::poll::PollEvents;
use linux_abi::time::{
    CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
    Itimerspec, Timespec,
};

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink};
use crate::kernel::Kernel;
use crate::time::{Deadline, TimerHandle};
use crate::wait::{WaitQueue, Wakeable};

#[derive(Default)]
struct State {
    /// Next expiry, monotonic nanoseconds; `None` when disarmed.
    next: Option<u64>,
    interval: u64,
    expiries: u64,
    handle: Option<TimerHandle>,
    kernel: Weak<Kernel>,
}

impl State {
    /// Counts what expired until `now`.
    fn catch_up(&mut self, now: u64) {
        let Some(next) = self.next.filter(|&next| next <= now) else {
            return;
        };
        let Some(missed) = (now - next).checked_div(self.interval) else {
            self.expiries += 1;
            self.next = None;
            return;
        };
        let periods = missed + 1;
        self.expiries += periods;
        self.next = Some(next.saturating_add(periods.saturating_mul(self.interval)));
    }

    fn now(&self) -> Option<u64> {
        self.kernel
            .upgrade()
            .map(|kernel| kernel.clock().monotonic_ns())
    }
}

/// A timer that is read.
pub struct TimerFd {
    me: Weak<Self>,
    clock: i32,
    state: Mutex<State>,
    queue: WaitQueue,
}

impl Wakeable for TimerFd {
    fn wake(&self) {
        let mut state = self.lock();
        if let Some(now) = state.now() {
            state.catch_up(now);
        }
        drop(state);
        self.rearm();
        self.queue.wake_all();
    }
}

fn period(ns: u64) -> Timespec {
    Timespec::from_nanos(ns)
}

impl TimerFd {
    /// A disarmed timer on `clock`.
    ///
    /// # Errors
    /// `EINVAL` for clocks without timers.
    pub fn new(clock: i32) -> Result<Arc<Self>, Errno> {
        let known = [
            CLOCK_REALTIME,
            CLOCK_MONOTONIC,
            CLOCK_BOOTTIME,
            CLOCK_REALTIME_ALARM,
            CLOCK_BOOTTIME_ALARM,
        ];
        if !known.contains(&clock) {
            return Err(Errno::EINVAL);
        }
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            clock,
            state: Mutex::default(),
            queue: WaitQueue::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms, or disarms with a zero value; returns what was set.
    ///
    /// # Errors
    /// `EINVAL` for times out of range.
    pub fn set(
        &self,
        kernel: &Arc<Kernel>,
        is_absolute: bool,
        new: &Itimerspec,
    ) -> Result<Itimerspec, Errno> {
        let value = new.value.to_nanos().ok_or(Errno::EINVAL)?;
        let interval = new.interval.to_nanos().ok_or(Errno::EINVAL)?;
        let next = match (value, is_absolute) {
            (0, _) => None,
            (ns, false) => Some(kernel.clock().after(ns)),
            (ns, true) => Some(kernel.clock().at(self.clock, ns)?),
        };
        let before = self.get(kernel);
        let mut state = self.lock();
        state.next = next.map(|Deadline(at)| at);
        state.interval = interval;
        state.expiries = 0;
        state.kernel = Arc::downgrade(kernel);
        drop(state);
        self.rearm();
        Ok(before)
    }

    /// Time to the next expiry, and the period.
    #[must_use]
    pub fn get(&self, kernel: &Kernel) -> Itimerspec {
        let now = kernel.clock().monotonic_ns();
        let mut state = self.lock();
        state.catch_up(now);
        let left = state.next.map_or(0, |next| next.saturating_sub(now).max(1));
        Itimerspec {
            interval: period(state.interval),
            value: period(left),
        }
    }

    fn rearm(&self) {
        let (kernel, next) = {
            let state = self.lock();
            (state.kernel.upgrade(), state.next)
        };
        let (Some(kernel), Some(me)) = (kernel, self.me.upgrade()) else {
            return;
        };
        let handle = next.map(|at| kernel.timers().arm(Deadline(at), me));
        let old = std::mem::replace(&mut self.lock().handle, handle);
        drop(old);
    }
}

impl File for TimerFd {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if dst.remaining() < 8 {
            return Err(Errno::EINVAL.into());
        }
        let mut state = self.lock();
        if let Some(now) = state.now() {
            state.catch_up(now);
        }
        if state.expiries == 0 {
            return Err(Errno::EAGAIN.into());
        }
        dst.put(&state.expiries.to_le_bytes())?;
        state.expiries = 0;
        Ok(8)
    }

    fn readiness(&self) -> PollEvents {
        let mut state = self.lock();
        if let Some(now) = state.now() {
            state.catch_up(now);
        }
        if state.expiries > 0 {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }
}
