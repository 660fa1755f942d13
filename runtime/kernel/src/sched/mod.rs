// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scheduler: many tasks on few virtual processors.
//!
//! A [`Strand`] is one schedulable thread of execution (a guest thread). Workers
//! take strands from one queue and poll them; a poll enters the guest and comes
//! back when the task blocks, ends or has used its time slice. [`Strand::wake`]
//! makes it runnable again from anywhere. No wake-up is lost: one that comes
//! during a poll makes the worker poll again. Nothing polls for events: a worker
//! without work sleeps, and time slices are cut only while others wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Wake, Waker};

use elfuse_machine::{Cpu, KickHandle, Machine};

use crate::time::{Clock, TimerHandle, Timers};
use crate::wait::Wakeable;

#[cfg(test)]
mod tests;

/// How long a task runs while others wait, in nanoseconds.
const SLICE_NS: u64 = 4_000_000;

/// What a poll of a strand ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// It waits; somebody will wake it.
    Waiting,
    /// It could go on, but others should run first.
    Yielded,
    /// It is over and must not be polled again.
    Finished,
}

/// What a strand does.
pub trait Work: Send {
    /// Runs on `cpu` until it must wait, yield or end.
    fn poll(&mut self, cpu: &mut Cpu, context: &mut Context<'_>) -> Polled;
}

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const RUNNING_WOKEN: u8 = 3;
const DONE: u8 = 4;

/// One schedulable thread of execution.
pub struct Strand {
    state: AtomicU8,
    work: Mutex<Option<Box<dyn Work>>>,
    running_on: Mutex<Option<KickHandle>>,
    scheduler: Weak<Scheduler>,
}

impl Strand {
    /// A strand that is not runnable until it is given work and woken.
    #[must_use]
    pub fn new(scheduler: &Arc<Scheduler>) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(IDLE),
            work: Mutex::new(None),
            running_on: Mutex::new(None),
            scheduler: Arc::downgrade(scheduler),
        })
    }

    /// Gives it its work and makes it runnable.
    pub fn start(self: &Arc<Self>, work: Box<dyn Work>) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
        self.make_runnable();
    }

    /// Makes it look again, whatever it does.
    pub fn make_runnable(self: &Arc<Self>) {
        let mut state = self.state.load(Ordering::SeqCst);
        loop {
            let next = match state {
                IDLE => QUEUED,
                RUNNING => RUNNING_WOKEN,
                _ => return,
            };
            match self
                .state
                .compare_exchange(state, next, Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => break,
                Err(other) => state = other,
            }
        }
        if state == IDLE
            && let Some(scheduler) = self.scheduler.upgrade()
        {
            scheduler.enqueue(Arc::clone(self));
        }
    }

    /// As `make_runnable`; a guest that runs is brought back to the kernel too.
    pub fn interrupt(self: &Arc<Self>) {
        self.make_runnable();
        let kick = self
            .running_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(kick) = kick {
            kick.kick();
        }
    }

    fn set_running_on(&self, kick: Option<KickHandle>) {
        *self
            .running_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = kick;
    }
}

impl Wake for Strand {
    fn wake(self: Arc<Self>) {
        self.make_runnable();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.make_runnable();
    }
}

/// A strand as the subscriber of wait queues and timers.
pub struct StrandWaker(pub Arc<Strand>);

impl Wakeable for StrandWaker {
    fn wake(&self) {
        self.0.make_runnable();
    }
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Arc<Strand>>,
    idle_workers: usize,
    is_stopping: bool,
    running: Vec<KickHandle>,
    slice: Option<TimerHandle>,
}

/// The queue of runnable strands, and the workers.
pub struct Scheduler {
    queue: Mutex<Queue>,
    work_arrived: Condvar,
    timers: Arc<Timers>,
    clock: Clock,
    /// Length of the queue, read without the lock.
    waiting: AtomicUsize,
    this: Weak<Self>,
}

impl Scheduler {
    /// Without workers.
    #[must_use]
    pub fn new(timers: Arc<Timers>, clock: Clock) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            queue: Mutex::new(Queue::default()),
            work_arrived: Condvar::new(),
            timers,
            clock,
            waiting: AtomicUsize::new(0),
            this: Weak::clone(this),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Do runnable strands wait for a worker?
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn enqueue(&self, strand: Arc<Strand>) {
        let mut queue = self.lock();
        queue.ready.push_back(strand);
        self.waiting.store(queue.ready.len(), Ordering::Relaxed);
        let has_idle = queue.idle_workers > 0;
        if !has_idle {
            self.arm_slice(&mut queue);
        }
        drop(queue);
        if has_idle {
            self.work_arrived.notify_one();
        }
    }

    /// Somebody waits and all workers are busy: cut them off in a while. There is at
    /// most one timer, and it is in the queue before its end can look for it.
    fn arm_slice(&self, queue: &mut Queue) {
        if queue.slice.is_some() || queue.is_stopping {
            return;
        }
        if let Some(this) = self.this.upgrade() {
            let end = Arc::new(SliceEnd(this));
            queue.slice = Some(self.timers.arm(self.clock.after(SLICE_NS), end));
        }
    }

    fn end_slices(&self) {
        let mut queue = self.lock();
        let ended = queue.slice.take();
        let mut running = Vec::new();
        if !queue.ready.is_empty() {
            running.clone_from(&queue.running);
            self.arm_slice(&mut queue);
        }
        drop(queue);
        drop(ended);
        running.iter().for_each(KickHandle::kick);
    }

    /// Makes every worker return.
    pub fn stop(&self) {
        let mut queue = self.lock();
        queue.is_stopping = true;
        let slice = queue.slice.take();
        let running = queue.running.clone();
        drop(queue);
        drop(slice);
        running.iter().for_each(KickHandle::kick);
        self.work_arrived.notify_all();
    }

    /// The body of a worker thread: makes its processor and polls until `stop`.
    ///
    /// # Errors
    /// When the machine gives no processor.
    pub fn work(&self, machine: &Arc<Machine>) -> Result<(), elfuse_machine::MachineError> {
        let mut cpu = machine.new_cpu()?;
        let kick = cpu.kick_handle();
        self.lock().running.push(kick.clone());
        while let Some(strand) = self.next() {
            self.poll(&strand, &mut cpu, &kick);
        }
        Ok(())
    }

    fn next(&self) -> Option<Arc<Strand>> {
        let mut queue = self.lock();
        loop {
            if queue.is_stopping {
                return None;
            }
            if let Some(strand) = queue.ready.pop_front() {
                let left = queue.ready.len();
                self.waiting.store(left, Ordering::Relaxed);
                // Two may have come while one worker was idle: for the second, nobody
                // has set a limit yet.
                if left > 0 {
                    self.arm_slice(&mut queue);
                }
                return Some(strand);
            }
            queue.idle_workers += 1;
            queue = self
                .work_arrived
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle_workers -= 1;
        }
    }

    fn poll(&self, strand: &Arc<Strand>, cpu: &mut Cpu, kick: &KickHandle) {
        let waker = Waker::from(Arc::clone(strand));
        let mut context = Context::from_waker(&waker);
        strand.state.store(RUNNING, Ordering::SeqCst);
        strand.set_running_on(Some(kick.clone()));
        let mut slot = strand.work.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = match slot.as_mut() {
            Some(work) => work.poll(cpu, &mut context),
            None => Polled::Finished,
        };
        let finished = if polled == Polled::Finished {
            slot.take()
        } else {
            None
        };
        drop(slot);
        strand.set_running_on(None);
        drop(finished);
        match polled {
            Polled::Finished => strand.state.store(DONE, Ordering::SeqCst),
            Polled::Yielded => self.requeue(strand),
            Polled::Waiting => {
                let slept = strand.state.compare_exchange(
                    RUNNING,
                    IDLE,
                    Ordering::SeqCst,
                    Ordering::SeqCst,
                );
                if slept.is_err() {
                    self.requeue(strand);
                }
            }
        }
    }

    fn requeue(&self, strand: &Arc<Strand>) {
        strand.state.store(QUEUED, Ordering::SeqCst);
        self.enqueue(Arc::clone(strand));
    }
}

struct SliceEnd(Arc<Scheduler>);

impl Wakeable for SliceEnd {
    fn wake(&self) {
        self.0.end_slices();
    }
}
