// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signal state of a process, and the decisions on it.
//!
//! Everything here is under one lock per process; the table of actions may be
//! shared with other processes (`CLONE_SIGHAND`) and has its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use elfuse_machine::AttentionHandle;
use linux_abi::Errno;
use linux_abi::signal::{
    SI_USER, SIG_DFL, SIG_IGN, SIGCONT, SIGKILL, SIGRTMIN, SIGSTOP, SS_DISABLE, SigAction, SigInfo,
    SigStack,
};

use super::{Actions, Default, Pending, SigSet, default_action};
use crate::sched::Strand;
use crate::sync::{Rank, Ranked, RankedGuard};
use crate::task::ExitStatus;
use crate::wait::WaitQueue;

/// How a thread is told that it has something to do.
#[derive(Clone)]
pub struct Notify {
    /// Its strand.
    pub strand: Arc<Strand>,
    /// Turns fast system calls off.
    pub attention: AttentionHandle,
    /// Read by the thread without the lock.
    pub flag: Arc<AtomicBool>,
}

impl Notify {
    fn set(&self, has_work: bool) {
        let had = self.flag.swap(has_work, Ordering::SeqCst);
        if has_work && !had {
            self.attention.raise();
        } else if !has_work && had {
            self.attention.clear();
        }
    }
}

/// The signal state of one thread.
pub struct ThreadSignals {
    /// Sent to this thread.
    pub pending: Pending,
    /// Not delivered now.
    pub blocked: SigSet,
    /// What `sigsuspend` and its kind restore after delivery.
    pub saved: Option<SigSet>,
    /// Blocked, but waited for by `sigtimedwait`: wakes all the same.
    pub awaited: SigSet,
    /// Alternate stack.
    pub altstack: SigStack,
    /// Must end: another thread of the process executes a program.
    pub must_exit: bool,
    notify: Notify,
}

impl ThreadSignals {
    /// A thread that blocks `blocked`.
    #[must_use]
    pub fn new(notify: Notify, blocked: SigSet) -> Self {
        let altstack = SigStack {
            flags: SS_DISABLE,
            ..SigStack::default()
        };
        Self {
            pending: Pending::default(),
            blocked,
            saved: None,
            awaited: SigSet::EMPTY,
            altstack,
            must_exit: false,
            notify,
        }
    }
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any thread.
    Process,
    /// This thread.
    Thread(i32),
}

/// What sending a signal did to the process as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopChange {
    /// Nothing.
    None,
    /// It was stopped and goes on: its parent wants to know.
    Continued,
}

/// What a thread does before it goes back to the program.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// Go on.
    Nothing,
    /// Run a handler.
    Handle(SigAction, SigInfo),
    /// The process stops with this signal, if its group is not orphaned.
    Stop(SigInfo),
    /// It is stopped: wait.
    Stopped,
    /// The thread ends with this status; `bool`: the whole process does.
    Exit(ExitStatus, bool),
}

/// The locked part.
struct State {
    shared: Pending,
    threads: BTreeMap<i32, ThreadSignals>,
    group_exit: Option<ExitStatus>,
    stopped: Option<i32>,
    /// Nothing kills or stops it (Linux's `SIGNAL_UNKILLABLE`).
    is_protected: bool,
}

/// The signal state of a process.
pub struct Signals {
    state: Ranked<State>,
    actions: Arc<Actions>,
    /// Woken when a signal arrives (`signalfd`).
    arrived: WaitQueue,
}

impl State {
    fn refresh(&self, tid: i32) {
        let Some(thread) = self.threads.get(&tid) else {
            return;
        };
        let pending = thread.pending.set() | self.shared.set();
        let has_work = self.group_exit.is_some()
            || self.stopped.is_some()
            || thread.must_exit
            || !(pending & !(thread.blocked & !thread.awaited)).is_empty();
        thread.notify.set(has_work);
    }

    fn refresh_all(&self) {
        self.threads.keys().for_each(|&tid| self.refresh(tid));
    }

    fn interrupt_all(&self) {
        self.refresh_all();
        self.threads
            .values()
            .for_each(|thread| thread.notify.strand.interrupt());
    }

    fn flush(&mut self, which: SigSet) {
        self.shared.flush(which);
        self.threads
            .values_mut()
            .for_each(|thread| thread.pending.flush(which));
    }

    fn wants(&self, tid: i32, signal: i32) -> bool {
        self.threads
            .get(&tid)
            .is_some_and(|t| !(t.blocked & !t.awaited).has(signal))
    }
}

impl Signals {
    /// No signals, no threads.
    #[must_use]
    pub fn new(actions: Arc<Actions>) -> Self {
        let state = State {
            shared: Pending::default(),
            threads: BTreeMap::new(),
            group_exit: None,
            stopped: None,
            is_protected: false,
        };
        Self {
            state: Ranked::new(Rank::Signals, state),
            actions,
            arrived: WaitQueue::new(),
        }
    }

    fn lock(&self) -> RankedGuard<'_, State> {
        self.state.lock()
    }

    /// What signals do.
    #[must_use]
    pub fn actions(&self) -> &Arc<Actions> {
        &self.actions
    }

    /// Woken when a signal arrives.
    #[must_use]
    pub fn arrived(&self) -> &WaitQueue {
        &self.arrived
    }

    /// `SIGKILL` and `SIGSTOP` do nothing from now on.
    pub fn protect(&self) {
        self.lock().is_protected = true;
    }

    /// A thread joins; `false` when the process is ending, which takes no more.
    #[must_use]
    pub fn add_thread(&self, tid: i32, thread: ThreadSignals) -> bool {
        let mut state = self.lock();
        if state.group_exit.is_some() {
            return false;
        }
        state.threads.insert(tid, thread);
        state.refresh(tid);
        true
    }

    /// A thread is gone; unblocked shared signals that it left wake another.
    pub fn remove_thread(&self, tid: i32) {
        let mut state = self.lock();
        let gone = state.threads.remove(&tid);
        state.refresh_all();
        if !state.shared.is_empty() {
            state.interrupt_all();
        }
        drop(state);
        drop(gone);
    }

    /// The thread takes another number (`execve` in a thread).
    pub fn rename_thread(&self, old: i32, new: i32) {
        let mut state = self.lock();
        if let Some(thread) = state.threads.remove(&old) {
            state.threads.insert(new, thread);
        }
    }

    /// Reads or changes the state of a thread, and looks again what is pending.
    pub fn with_thread<R>(&self, tid: i32, f: impl FnOnce(&mut ThreadSignals) -> R) -> Option<R> {
        let mut state = self.lock();
        let result = state.threads.get_mut(&tid).map(f);
        state.refresh(tid);
        result
    }

    /// Replaces the mask of a thread; shared signals that it does not take any more
    /// go to others.
    pub fn set_blocked(&self, tid: i32, blocked: SigSet) -> SigSet {
        let mut state = self.lock();
        let blocked = blocked & !SigSet::UNBLOCKABLE;
        let old = state
            .threads
            .get_mut(&tid)
            .map(|t| std::mem::replace(&mut t.blocked, blocked));
        let old = old.unwrap_or_default();
        state.refresh(tid);
        let newly = state.shared.set() & blocked & !old;
        if !newly.is_empty() {
            state.interrupt_all();
        }
        old
    }

    /// Signals pending for a thread, blocked ones included.
    #[must_use]
    pub fn pending_for(&self, tid: i32) -> SigSet {
        let state = self.lock();
        let own = state
            .threads
            .get(&tid)
            .map(|t| t.pending.set())
            .unwrap_or_default();
        own | state.shared.set()
    }

    /// For `/proc`: pending for the thread, for the process, blocked.
    #[must_use]
    pub fn sets(&self, tid: i32) -> [SigSet; 3] {
        let state = self.lock();
        let thread = state.threads.get(&tid);
        let own = thread.map(|t| t.pending.set()).unwrap_or_default();
        [
            own,
            state.shared.set(),
            thread.map(|t| t.blocked).unwrap_or_default(),
        ]
    }

    /// Queued signals.
    #[must_use]
    pub fn queued(&self) -> usize {
        let state = self.lock();
        state.shared.len()
            + state
                .threads
                .values()
                .map(|t| t.pending.len())
                .sum::<usize>()
    }

    /// Sends a signal that the sender may send.
    ///
    /// # Errors
    /// `EAGAIN` when a queued signal finds `limit` others, `ESRCH` when the thread
    /// is gone.
    pub fn send(&self, info: SigInfo, target: Target, limit: u64) -> Result<StopChange, Errno> {
        let mut state = self.lock();
        if let Target::Thread(tid) = target
            && !state.threads.contains_key(&tid)
        {
            return Err(Errno::ESRCH);
        }
        let is_immune = state.is_protected && SigSet::UNBLOCKABLE.has(info.signo);
        if state.group_exit.is_some() || is_immune {
            return Ok(StopChange::None);
        }
        let change = prepare(&mut state, info.signo);
        if !self.is_dropped(&state, info.signo, target) {
            enqueue(&mut state, info, target, limit)?;
            wake_one(&state, info.signo, target);
        }
        drop(state);
        self.arrived.wake_all();
        Ok(change)
    }

    /// A signal for what the thread itself did: it cannot be ignored or blocked.
    pub fn force(&self, tid: i32, info: SigInfo) {
        let mut state = self.lock();
        let Some(thread) = state.threads.get_mut(&tid) else {
            return;
        };
        let is_blocked = thread.blocked.has(info.signo);
        thread.blocked.remove(info.signo);
        let action = self.actions.get(info.signo);
        if is_blocked || action.handler == SIG_IGN {
            self.actions.replace(info.signo, SigAction::default());
        }
        thread.pending.push(info);
        state.refresh(tid);
    }

    fn is_dropped(&self, state: &State, signal: i32, target: Target) -> bool {
        let is_blocked = |thread: &ThreadSignals| thread.blocked.has(signal);
        let blocked = match target {
            Target::Thread(tid) => state.threads.get(&tid).is_some_and(is_blocked),
            Target::Process => state.threads.values().next().is_some_and(is_blocked),
        };
        !blocked && self.actions.is_ignored(signal)
    }

    /// Sets what a signal does; pending ones that are now ignored go away.
    pub fn set_action(&self, signal: i32, new: SigAction) -> SigAction {
        let mut state = self.lock();
        let mask = new.mask & !SigSet::UNBLOCKABLE.0;
        let old = self.actions.replace(signal, SigAction { mask, ..new });
        if self.actions.is_ignored(signal) {
            state.flush(SigSet::of(&[signal]));
            state.refresh_all();
        }
        old
    }

    /// Takes a pending signal of `wanted` (`sigtimedwait`, `signalfd`).
    pub fn take(&self, tid: i32, wanted: SigSet) -> Option<SigInfo> {
        let mut state = self.lock();
        let info = dequeue(&mut state, tid, wanted);
        state.refresh(tid);
        info
    }

    /// What the thread does next. Takes signals until one needs action.
    pub fn next(&self, tid: i32) -> Next {
        let mut state = self.lock();
        let next = self.decide(&mut state, tid);
        state.refresh(tid);
        next
    }

    fn decide(&self, state: &mut State, tid: i32) -> Next {
        loop {
            if let Some(status) = state.group_exit {
                return Next::Exit(status, true);
            }
            let Some(thread) = state.threads.get(&tid) else {
                return Next::Nothing;
            };
            if thread.must_exit {
                return Next::Exit(ExitStatus::Code(0), false);
            }
            if state.stopped.is_some() {
                return Next::Stopped;
            }
            let wanted = !thread.blocked;
            let Some(info) = dequeue(state, tid, wanted) else {
                return Next::Nothing;
            };
            let action = self.actions.take(info.signo);
            match action.handler {
                SIG_IGN => {}
                SIG_DFL => match default_action(info.signo) {
                    Default::Ignore => {}
                    Default::Stop => return Next::Stop(info),
                    Default::End { dumps_core } => {
                        let status = ExitStatus::Signal {
                            signal: info.signo,
                            dumps_core,
                        };
                        state.group_exit = Some(status);
                        state.interrupt_all();
                        return Next::Exit(status, true);
                    }
                },
                _ => return Next::Handle(action, info),
            }
        }
    }

    /// The process stops. False when `SIGCONT` or the end came in between.
    pub fn stop(&self, signal: i32) -> bool {
        let mut state = self.lock();
        if state.group_exit.is_some() || state.stopped.is_some() {
            return false;
        }
        state.stopped = Some(signal);
        state.interrupt_all();
        true
    }

    /// Is the process stopped?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped.is_some()
    }

    /// The whole process ends; the first status counts, and is returned.
    pub fn start_group_exit(&self, status: ExitStatus) -> ExitStatus {
        let mut state = self.lock();
        let status = *state.group_exit.get_or_insert(status);
        state.stopped = None;
        state.interrupt_all();
        status
    }

    /// With what the process ends, if it does.
    #[must_use]
    pub fn group_exit(&self) -> Option<ExitStatus> {
        self.lock().group_exit
    }

    /// All threads but `tid` must end. False when the process ends anyway or
    /// another thread was faster.
    pub fn end_other_threads(&self, tid: i32) -> bool {
        let mut state = self.lock();
        if state.group_exit.is_some() || state.threads.get(&tid).is_none_or(|t| t.must_exit) {
            return false;
        }
        for (&other, thread) in &mut state.threads {
            thread.must_exit |= other != tid;
        }
        state.interrupt_all();
        true
    }

    /// Is the thread about to die (a wait that only death ends)?
    #[must_use]
    pub fn is_dying(&self, tid: i32) -> bool {
        let state = self.lock();
        let kill = SigSet::of(&[SIGKILL]);
        let thread = state.threads.get(&tid);
        let pending = thread.map(|t| t.pending.set()).unwrap_or_default() | state.shared.set();
        state.group_exit.is_some()
            || thread.is_none_or(|t| t.must_exit)
            || !(pending & kill).is_empty()
    }
}

/// `SIGCONT` and stop signals cancel each other when they are sent.
fn prepare(state: &mut State, signal: i32) -> StopChange {
    if SigSet::STOPS.has(signal) {
        state.flush(SigSet::CONT);
        return StopChange::None;
    }
    if signal == SIGKILL {
        state.stopped = None;
        return StopChange::None;
    }
    if signal != SIGCONT {
        return StopChange::None;
    }
    state.flush(SigSet::STOPS);
    if state.stopped.take().is_none() {
        return StopChange::None;
    }
    state.interrupt_all();
    StopChange::Continued
}

fn enqueue(state: &mut State, info: SigInfo, target: Target, limit: u64) -> Result<(), Errno> {
    let queued = state.shared.len()
        + state
            .threads
            .values()
            .map(|t| t.pending.len())
            .sum::<usize>();
    let is_over = u64::try_from(queued).unwrap_or(u64::MAX) >= limit;
    if is_over && info.signo >= SIGRTMIN && info.code != SI_USER {
        return Err(Errno::EAGAIN);
    }
    match target {
        Target::Process => state.shared.push(info),
        Target::Thread(tid) => {
            if let Some(thread) = state.threads.get_mut(&tid) {
                thread.pending.push(info);
            }
        }
    }
    Ok(())
}

fn wake_one(state: &State, signal: i32, target: Target) {
    let is_lethal = signal == SIGKILL || signal == SIGSTOP;
    let chosen = match target {
        Target::Thread(tid) => Some(tid),
        Target::Process if is_lethal => state.threads.keys().next().copied(),
        Target::Process => state
            .threads
            .iter()
            .filter(|(tid, _)| state.wants(**tid, signal))
            .min_by_key(|(tid, t)| (t.notify.flag.load(Ordering::SeqCst), **tid))
            .map(|(&tid, _)| tid),
    };
    state.refresh_all();
    let Some(tid) = chosen else { return };
    if (is_lethal || state.wants(tid, signal))
        && let Some(thread) = state.threads.get(&tid)
    {
        thread.notify.strand.interrupt();
    }
}

fn dequeue(state: &mut State, tid: i32, wanted: SigSet) -> Option<SigInfo> {
    let thread = state.threads.get_mut(&tid)?;
    thread
        .pending
        .take(wanted)
        .or_else(|| state.shared.take(wanted))
}
