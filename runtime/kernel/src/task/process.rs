// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the threads of a process share for life.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use linux_abi::wait::{status_exited, status_killed};

use crate::gauge::{self, Counted};
use crate::limits::Limits;
use crate::signal::{Actions, Signals};
use crate::time::process_timers::ProcessTimers;
use crate::wait::WaitQueue;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It said so.
    Code(u8),
    /// A signal did it.
    Signal {
        /// Which.
        signal: i32,
        /// A core would have been written.
        dumps_core: bool,
    },
}

impl ExitStatus {
    /// The status word of `wait4`.
    #[must_use]
    pub const fn wait_status(self) -> i32 {
        match self {
            Self::Code(code) => status_exited(code),
            Self::Signal { signal, .. } => status_killed(signal, false),
        }
    }

    /// What a shell reports, and the exit status of the runtime.
    #[must_use]
    pub fn shell_status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal { signal, .. } => {
                128u8.saturating_add(u8::try_from(signal).unwrap_or(127))
            }
        }
    }
}

/// Processor time and events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Nanoseconds in the guest.
    pub user_ns: u64,
    /// Nanoseconds in the kernel.
    pub system_ns: u64,
    /// Largest resident set, bytes.
    pub peak_resident: u64,
    /// Faults without I/O.
    pub minor_faults: u64,
    /// Faults with I/O.
    pub major_faults: u64,
    /// Waits.
    pub voluntary: u64,
    /// Preemptions.
    pub involuntary: u64,
}

impl Usage {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.user_ns += other.user_ns;
        self.system_ns += other.system_ns;
        self.peak_resident = self.peak_resident.max(other.peak_resident);
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
    }
}

/// Told how a process ended; called once, on the thread that ended it.
pub type AtEnd = Box<dyn FnOnce(ExitStatus) + Send>;

/// What the threads of a process share.
pub struct Process {
    pid: i32,
    signals: Signals,
    limits: Limits,
    /// Woken when a child changes its state.
    child_changed: WaitQueue,
    /// Woken when a thread is gone, and when the process is (`pidfd`, `execve`).
    thread_gone: WaitQueue,
    /// Somebody outside of the guest who waits for its end.
    at_end: Mutex<Option<AtEnd>>,
    /// Interval timers and POSIX timers.
    pub timers: ProcessTimers,
    /// `personality`.
    pub personality: AtomicU32,
    /// `PR_SET_DUMPABLE`.
    pub dumpable: AtomicU32,
    /// `PR_SET_THP_DISABLE`.
    pub thp_disable: AtomicBool,
    /// `oom_score_adj` as `/proc` shows it.
    pub oom_score_adj: std::sync::atomic::AtomicI32,
    _counted: Counted,
}

impl Process {
    pub(super) fn new(pid: i32, actions: Arc<Actions>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            pid,
            signals: Signals::new(actions),
            limits,
            child_changed: WaitQueue::new(),
            thread_gone: WaitQueue::new(),
            at_end: Mutex::new(None),
            timers: ProcessTimers::default(),
            personality: AtomicU32::new(0),
            dumpable: AtomicU32::new(1),
            thp_disable: AtomicBool::new(false),
            oom_score_adj: std::sync::atomic::AtomicI32::new(0),
            _counted: gauge::PROCESSES.count(),
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Signals.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Resource limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Woken when a child changes its state.
    #[must_use]
    pub fn child_changed(&self) -> &WaitQueue {
        &self.child_changed
    }

    /// Woken when a thread is gone, and when the process is.
    #[must_use]
    pub fn thread_gone(&self) -> &WaitQueue {
        &self.thread_gone
    }

    /// Has `at_end` called when it ends.
    pub(crate) fn set_at_end(&self, at_end: AtEnd) {
        *self.at_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(at_end);
    }

    pub(super) fn take_at_end(&self) -> Option<AtEnd> {
        self.at_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn inherit(&self, parent: &Self) {
        let personality = parent.personality.load(Ordering::Relaxed);
        self.personality.store(personality, Ordering::Relaxed);
        self.dumpable
            .store(parent.dumpable.load(Ordering::Relaxed), Ordering::Relaxed);
        let adj = parent.oom_score_adj.load(Ordering::Relaxed);
        self.oom_score_adj.store(adj, Ordering::Relaxed);
    }
}
