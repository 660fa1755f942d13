// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interval timers (`setitimer`) and POSIX timers (`timer_create`) of a process.
//!
//! An expiry sends a signal and arms the next period, without drift. Expiries that
//! find the signal still pending are counted as overruns. A timer on processor time
//! looks at the earliest moment at which the time can be used up, and again if it is
//! not. The limit of processor time is such a timer too.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use linux_abi::Errno;
use linux_abi::resource::{RLIM_INFINITY, RLIMIT_CPU, Rlimit};
use linux_abi::signal::{
    SI_KERNEL, SI_TIMER, SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SIGKILL,
    SIGPROF, SIGVTALRM, SIGXCPU, SigEvent, SigInfo,
};
use linux_abi::time::{CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};

use super::{Deadline, TimerHandle};
use crate::kernel::Kernel;
use crate::signal::Target;
use crate::sync::{Rank, Ranked};
use crate::task::{Process, Usage};
use crate::wait::Wakeable;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What a timer measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A clock that runs by itself.
    Clock(i32),
    /// User time of the process.
    UserTime,
    /// User and system time of the process.
    CpuTime,
    /// User and system time of another process.
    ProcessTime(i32),
    /// User and system time of a thread.
    ThreadTime(i32),
}

/// When a timer fires, in nanoseconds of its basis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until the next expiry; 0 for disarmed.
    pub value: u64,
    /// Period; 0 for once.
    pub interval: u64,
}

struct Timer {
    basis: Basis,
    signal: i32,
    code: i32,
    sigval: u64,
    thread: Option<i32>,
    /// Time of `basis` of the next expiry; 0 when disarmed.
    next: u64,
    interval: u64,
    overrun: u64,
    handle: Option<TimerHandle>,
    /// Tells expiries of an older setting apart.
    generation: u64,
}

/// The id of an interval timer, or of a POSIX timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerId {
    /// `RLIMIT_CPU`.
    CpuLimit,
    /// `ITIMER_*`.
    Interval(i32),
    /// From `timer_create`.
    Posix(i32),
}

#[derive(Default)]
struct State {
    timers: BTreeMap<TimerId, Timer>,
    next_id: i32,
}

/// All timers of a process.
pub struct ProcessTimers {
    state: Ranked<State>,
}

impl Default for ProcessTimers {
    fn default() -> Self {
        Self {
            state: Ranked::new(Rank::Fields, State::default()),
        }
    }
}

/// What wakes when a timer expires.
struct Expiry {
    kernel: Weak<Kernel>,
    process: Weak<Process>,
    id: TimerId,
    generation: u64,
}

impl Wakeable for Expiry {
    fn wake(&self) {
        if let (Some(kernel), Some(process)) = (self.kernel.upgrade(), self.process.upgrade()) {
            process
                .timers
                .expire(&kernel, &process, self.id, self.generation);
        }
    }
}

fn total(usage: &Usage) -> u64 {
    usage.user_ns + usage.system_ns
}

fn now(kernel: &Kernel, process: &Process, basis: Basis) -> u64 {
    match basis {
        Basis::Clock(id) => kernel.clock().read(id).unwrap_or(0),
        Basis::UserTime => kernel.usage_of(process.pid()).user_ns,
        Basis::CpuTime => total(&kernel.usage_of(process.pid())),
        Basis::ProcessTime(pid) => total(&kernel.usage_of(pid)),
        Basis::ThreadTime(tid) => {
            let table = kernel.processes().lock();
            let thread = table.task(tid).map(Arc::clone);
            drop(table);
            thread.map_or(0, |thread| total(&thread.usage()))
        }
    }
}

impl ProcessTimers {
    /// Creates a POSIX timer, one of `limit`; answers its number.
    ///
    /// # Errors
    /// `EINVAL` for a clock or an event that cannot be, `EAGAIN` at the limit. `caller`
    /// is the thread whose time `CLOCK_THREAD_CPUTIME_ID` means.
    pub fn create(
        &self,
        kernel: &Kernel,
        clock: i32,
        caller: i32,
        event: Option<SigEvent>,
        limit: u64,
    ) -> Result<i32, Errno> {
        let basis = match clock {
            CLOCK_PROCESS_CPUTIME_ID => Basis::CpuTime,
            CLOCK_THREAD_CPUTIME_ID => Basis::ThreadTime(caller),
            clock if clock < 0 => dynamic_basis(kernel, clock, caller)?,
            id => {
                kernel.clock().read(id)?;
                Basis::Clock(id)
            }
        };
        let mut state = self.state.lock();
        // Each has its signal set aside.
        let is_over = |count: usize| u64::try_from(count).is_ok_and(|count| count >= limit);
        if is_over(state.timers.len()) {
            return Err(Errno::EAGAIN);
        }
        let id = state.next_id;
        let (signal, sigval, thread) = match event {
            None => (SIGALRM, u64::from(id.cast_unsigned()), None),
            Some(event) => match event.notify {
                SIGEV_NONE => (0, event.value, None),
                SIGEV_SIGNAL | SIGEV_THREAD if crate::signal::is_signal(event.signo) => {
                    (event.signo, event.value, None)
                }
                SIGEV_THREAD_ID if crate::signal::is_signal(event.signo) => {
                    (event.signo, event.value, Some(event.tid))
                }
                _ => return Err(Errno::EINVAL),
            },
        };
        state.next_id = state.next_id.checked_add(1).ok_or(Errno::EAGAIN)?;
        let timer = Timer {
            basis,
            signal,
            code: SI_TIMER,
            sigval,
            thread,
            next: 0,
            interval: 0,
            overrun: 0,
            handle: None,
            generation: 0,
        };
        state.timers.insert(TimerId::Posix(id), timer);
        Ok(id)
    }

    /// Sets a timer; answers what it was. `is_absolute`: the value is a time.
    ///
    /// # Errors
    /// `EINVAL` for a POSIX timer that does not exist.
    pub fn set(
        &self,
        kernel: &Arc<Kernel>,
        process: &Arc<Process>,
        id: TimerId,
        setting: Setting,
        is_absolute: bool,
    ) -> Result<Setting, Errno> {
        let old = self.get(kernel, process, id);
        let basis = self.basis(id)?;
        let at = if setting.value == 0 {
            0
        } else if is_absolute {
            setting.value
        } else {
            now(kernel, process, basis)
                .saturating_add(setting.value)
                .max(1)
        };
        let mut state = self.state.lock();
        let timer = state
            .timers
            .entry(id)
            .or_insert_with(|| interval_timer(basis));
        timer.next = at;
        timer.interval = setting.interval;
        timer.overrun = 0;
        timer.generation += 1;
        let generation = timer.generation;
        let unused = timer.handle.take();
        drop(state);
        drop(unused);
        if at != 0 {
            self.arm(kernel, process, id, generation, basis, at);
        }
        Ok(old.unwrap_or_default())
    }

    fn basis(&self, id: TimerId) -> Result<Basis, Errno> {
        match id {
            TimerId::Interval(linux_abi::time::ITIMER_REAL) => {
                Ok(Basis::Clock(linux_abi::time::CLOCK_MONOTONIC))
            }
            TimerId::Interval(linux_abi::time::ITIMER_VIRTUAL) => Ok(Basis::UserTime),
            TimerId::Interval(linux_abi::time::ITIMER_PROF) | TimerId::CpuLimit => {
                Ok(Basis::CpuTime)
            }
            TimerId::Interval(_) => Err(Errno::EINVAL),
            TimerId::Posix(_) => {
                let state = self.state.lock();
                state
                    .timers
                    .get(&id)
                    .map(|timer| timer.basis)
                    .ok_or(Errno::EINVAL)
            }
        }
    }

    fn arm(
        &self,
        kernel: &Arc<Kernel>,
        process: &Arc<Process>,
        id: TimerId,
        generation: u64,
        basis: Basis,
        at: u64,
    ) {
        let left = at.saturating_sub(now(kernel, process, basis));
        // Processor time passes at most as fast as the processors can spend it; a
        // timer on it looks again not more often than once in a millisecond.
        let pause = match basis {
            Basis::Clock(_) => left,
            _ => left.max(1_000_000),
        };
        let deadline = Deadline(kernel.clock().monotonic_ns().saturating_add(pause));
        let expiry = Expiry {
            kernel: Arc::downgrade(kernel),
            process: Arc::downgrade(process),
            id,
            generation,
        };
        let mut state = self.state.lock();
        // Under the lock, for which the expiry waits: it must not find, and arm again,
        // a timer that this would disarm by its return.
        let old = match state.timers.get_mut(&id) {
            Some(timer) if timer.generation == generation => {
                let handle = kernel.timers().arm(deadline, Arc::new(expiry));
                timer.handle.replace(handle)
            }
            _ => None,
        };
        drop(state);
        drop(old);
    }

    /// Watches over `RLIMIT_CPU`, which has been set or inherited.
    pub fn watch_limit(&self, kernel: &Arc<Kernel>, process: &Arc<Process>) {
        let seconds = process.limits().soft(RLIMIT_CPU);
        let value = match seconds {
            RLIM_INFINITY => 0,
            seconds => seconds.max(1).saturating_mul(SECOND),
        };
        let setting = Setting {
            value,
            interval: SECOND,
        };
        let is_watched = self.state.lock().timers.contains_key(&TimerId::CpuLimit);
        if value != 0 || is_watched {
            // The basis of the limit exists.
            let _ = self.set(kernel, process, TimerId::CpuLimit, setting, true);
        }
    }

    fn expire(&self, kernel: &Arc<Kernel>, process: &Arc<Process>, id: TimerId, generation: u64) {
        let Ok(basis) = self.basis(id) else { return };
        let time = now(kernel, process, basis);
        let mut state = self.state.lock();
        let Some(timer) = state.timers.get_mut(&id) else {
            return;
        };
        if timer.generation != generation || timer.next == 0 {
            return;
        }
        if time < timer.next {
            let at = timer.next;
            drop(state);
            return self.arm(kernel, process, id, generation, basis, at);
        }
        match (time - timer.next).checked_div(timer.interval) {
            None => timer.next = 0,
            Some(missed) => {
                // An interval may be longer than there is time.
                let passed = timer.interval.saturating_mul(missed.saturating_add(1));
                timer.next = timer.next.saturating_add(passed);
                timer.overrun = timer.overrun.saturating_add(missed);
            }
        }
        let (signal, target) = (
            timer.signal,
            timer.thread.map_or(Target::Process, Target::Thread),
        );
        let mut info = SigInfo::new(signal, timer.code);
        if let TimerId::Posix(number) = id {
            info.fields[0] =
                u64::from(number.cast_unsigned()) | (timer.overrun & 0x7fff_ffff) << 32;
            info = info.with_value(timer.sigval);
            timer.overrun = 0;
        }
        let at = timer.next;
        drop(state);
        if id == TimerId::CpuLimit {
            info.signo = signal_of_limit(process, time);
        }
        if info.signo != 0 {
            let _ = kernel.send_signal(process, info, target, u64::MAX);
        }
        if at != 0 {
            self.arm(kernel, process, id, generation, basis, at);
        }
    }

    /// What a timer is set to; the value is what remains.
    #[must_use]
    pub fn get(&self, kernel: &Kernel, process: &Process, id: TimerId) -> Option<Setting> {
        let (basis, next, interval) = {
            let state = self.state.lock();
            let timer = state.timers.get(&id)?;
            (timer.basis, timer.next, timer.interval)
        };
        let left = match next {
            0 => 0,
            at => at.saturating_sub(now(kernel, process, basis)).max(1),
        };
        Some(Setting {
            value: left,
            interval,
        })
    }

    /// Is there such a POSIX timer?
    #[must_use]
    pub fn has(&self, id: i32) -> bool {
        self.state.lock().timers.contains_key(&TimerId::Posix(id))
    }

    /// Overruns of the last expiry.
    #[must_use]
    pub fn overrun(&self, id: i32) -> Option<u64> {
        self.state
            .lock()
            .timers
            .get(&TimerId::Posix(id))
            .map(|timer| timer.overrun)
    }

    /// Deletes a POSIX timer. False when there is none.
    pub fn delete(&self, id: i32) -> bool {
        let gone = self.state.lock().timers.remove(&TimerId::Posix(id));
        gone.is_some()
    }

    /// `execve`: POSIX timers go, interval timers stay.
    pub fn delete_posix(&self) {
        let mut state = self.state.lock();
        let kept = state.timers.split_off(&TimerId::Posix(0));
        drop(state);
        drop(kept);
    }

    /// The process ends.
    pub fn disarm_all(&self) {
        let gone = std::mem::take(&mut self.state.lock().timers);
        drop(gone);
    }
}

/// What a clock measures whose id names a process or a thread of the caller, 0 for
/// itself (Linux 6.12 `pid_for_clock`).
fn dynamic_basis(kernel: &Kernel, clock: i32, caller: i32) -> Result<Basis, Errno> {
    let (id, is_thread) = (!(clock >> 3), clock & 4 != 0);
    let table = kernel.processes().lock();
    match (id, is_thread) {
        (0, true) => Ok(Basis::ThreadTime(caller)),
        (0, false) => Ok(Basis::CpuTime),
        (tid, true) => {
            let (own, other) = (table.task(caller), table.task(tid));
            let is_sibling = own.map(|task| task.pid()) == other.map(|task| task.pid());
            is_sibling
                .then_some(Basis::ThreadTime(tid))
                .ok_or(Errno::EINVAL)
        }
        (pid, false) => {
            table.get(pid).ok_or(Errno::EINVAL)?;
            Ok(Basis::ProcessTime(pid))
        }
    }
}

/// `SIGXCPU` each second beyond the soft limit, which moves on; `SIGKILL` at the hard
/// one (Linux 6.12 `check_process_timers`).
fn signal_of_limit(process: &Process, used_ns: u64) -> i32 {
    let Ok(limit) = process.limits().get(RLIMIT_CPU) else {
        return SIGXCPU;
    };
    if used_ns >= limit.max.saturating_mul(SECOND) {
        return SIGKILL;
    }
    let moved = Rlimit {
        cur: (limit.cur.saturating_add(1)).min(limit.max),
        max: limit.max,
    };
    // Not above the hard limit: nobody need be privileged.
    let _ = process.limits().set(RLIMIT_CPU, moved, false);
    SIGXCPU
}

fn interval_timer(basis: Basis) -> Timer {
    let signal = match basis {
        Basis::Clock(_) => SIGALRM,
        Basis::UserTime => SIGVTALRM,
        _ => SIGPROF,
    };
    Timer {
        basis,
        signal,
        code: SI_KERNEL,
        sigval: 0,
        thread: None,
        next: 0,
        interval: 0,
        overrun: 0,
        handle: None,
        generation: 0,
    }
}
