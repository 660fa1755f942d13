// SPDX-License-Identifier: MIT OR Apache-2.0
//! Terminals: the line discipline with a session, a window and two sides.
//!
//! [`Tty`] is what a program has open as its terminal. What it shows goes to a
//! bounded buffer that the other side drains: the master of a pty ([`pty`]) or
//! the host's terminal ([`console`]). [`Job`] is what the terminal needs to know
//! about the task that uses it, [`Groups`] how it reaches process groups. Locks:
//! one leaf mutex for each terminal; queues are woken and signals sent after it.
//! Linux 6.12 `drivers/tty/`.

pub mod console;
mod file;
pub mod ldisc;
pub mod pty;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;
use linux_abi::ioctl as req;
use linux_abi::poll::PollEvents;
use linux_abi::termios::{LocalModes, Termios, Winsize};
use zerocopy::{FromZeros, IntoBytes};

use crate::error::{Restart, SysErr, SysResult};
use crate::file::{Caller, IoSink, IoSource, Ioctl, get_ioctl, put_ioctl};
use crate::wait::WaitQueue;
pub use file::TtyFile;
use ldisc::{Effects, Ldisc, TtySignal};

/// `SIGHUP`.
const SIGHUP: u32 = 1;
/// `SIGCONT`.
const SIGCONT: u32 = 18;
/// `SIGTTIN`.
const SIGTTIN: u32 = 21;
/// `SIGTTOU`.
const SIGTTOU: u32 = 22;
/// `SIGWINCH`.
const SIGWINCH: u32 = 28;

/// Bytes of output that wait for the other side.
const OUTPUT: usize = 16384;
/// Bytes of user memory processed at a time.
const CHUNK: usize = 2048;

/// What a terminal needs to know about the task that uses it.
pub trait Job: Send + Sync {
    /// Its process group.
    fn group(&self) -> i32;
    /// Its session.
    fn session(&self) -> i32;
    /// Does it lead its session?
    fn is_session_leader(&self) -> bool;
    /// Does it block or ignore the signal?
    fn is_deaf_to(&self, signal: u32) -> bool;
    /// Is its group orphaned?
    fn is_orphaned(&self) -> bool;
    /// Does `group` exist in its session?
    fn has_group(&self, group: i32) -> bool;
    /// The controlling terminal of its session.
    fn controlling(&self) -> Option<Arc<Tty>>;
    /// Sets or takes away the controlling terminal of its session.
    fn set_controlling(&self, tty: Option<Arc<Tty>>);
}

/// How a terminal reaches process groups.
pub trait Groups: Send + Sync {
    /// Sends `signal` to every process of `group`.
    fn signal_group(&self, group: i32, signal: u32);
    /// The session lost its terminal: `SIGHUP` and `SIGCONT` to its leader, and
    /// no controlling terminal any more.
    fn hang_up_session(&self, session: i32);
}

struct State {
    ldisc: Ldisc,
    window: Winsize,
    session: Option<i32>,
    foreground: Option<i32>,
    output: VecDeque<u8>,
    is_hung_up: bool,
    is_exclusive: bool,
}

/// A terminal as programs see it.
pub struct Tty {
    me: std::sync::Weak<Self>,
    name: String,
    dev: u64,
    state: Mutex<State>,
    groups: Arc<dyn Groups>,
    /// Programs: input, room for output, hang-up.
    queue: WaitQueue,
    /// The other side: output, room for input, hang-up.
    other_side: WaitQueue,
}

impl Tty {
    /// A terminal called `name` (`pts/0`), with device number `dev`.
    #[must_use]
    pub fn new(name: String, dev: u64, groups: Arc<dyn Groups>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name,
            dev,
            state: Mutex::new(State {
                ldisc: Ldisc::default(),
                window: Winsize::default(),
                session: None,
                foreground: None,
                output: VecDeque::new(),
                is_hung_up: false,
                is_exclusive: false,
            }),
            groups,
            queue: WaitQueue::default(),
            other_side: WaitQueue::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name below `/dev`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its device number.
    #[must_use]
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// The foreground process group, or 0.
    #[must_use]
    pub fn foreground(&self) -> i32 {
        self.lock().foreground.unwrap_or(0)
    }

    /// Bytes from the terminal; returns how many were taken.
    pub fn receive(&self, bytes: &[u8]) -> usize {
        let mut effects = Effects::default();
        let mut state = self.lock();
        let mut taken = 0;
        for &byte in bytes {
            if state.ldisc.room() == 0 {
                break;
            }
            state.ldisc.input(&[byte], &mut effects);
            taken += 1;
        }
        if effects.drops_output {
            state.output.clear();
        }
        // Echo is lost rather than waited for, as on Linux.
        let room = OUTPUT.saturating_sub(state.output.len());
        state.output.extend(effects.echo.iter().take(room));
        let foreground = state.foreground;
        drop(state);
        if let Some(group) = foreground {
            for signal in effects.signals {
                self.groups.signal_group(group, number_of(signal));
            }
        }
        self.queue.wake_all();
        self.other_side.wake_all();
        taken
    }

    /// Bytes that the other side may send now.
    #[must_use]
    pub fn input_room(&self) -> usize {
        self.lock().ldisc.room()
    }

    /// Takes bytes to show; empty when there are none or output is stopped.
    #[must_use]
    pub fn take_output(&self, limit: usize) -> Vec<u8> {
        let mut state = self.lock();
        if state.ldisc.is_stopped() {
            return Vec::new();
        }
        let n = limit.min(state.output.len());
        let taken = state.output.drain(..n).collect();
        drop(state);
        if n > 0 {
            self.queue.wake_all();
        }
        taken
    }

    /// Puts back bytes that could not be shown.
    pub fn return_output(&self, bytes: &[u8]) {
        let mut state = self.lock();
        for &byte in bytes.iter().rev() {
            state.output.push_front(byte);
        }
    }

    /// Bytes waiting to be shown.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let state = self.lock();
        if state.ldisc.is_stopped() {
            0
        } else {
            state.output.len()
        }
    }

    /// Woken when there is output, or room for input.
    #[must_use]
    pub fn other_side(&self) -> &WaitQueue {
        &self.other_side
    }

    /// The size of the window.
    #[must_use]
    pub fn window(&self) -> Winsize {
        self.lock().window
    }

    /// Changes the size of the window; tells the foreground when it differs.
    pub fn set_window(&self, window: Winsize) {
        let mut state = self.lock();
        let is_changed = std::mem::replace(&mut state.window, window) != window;
        let foreground = state.foreground;
        drop(state);
        if let (true, Some(group)) = (is_changed, foreground) {
            self.groups.signal_group(group, SIGWINCH);
        }
    }

    /// The attributes.
    #[must_use]
    pub fn termios(&self) -> Termios {
        *self.lock().ldisc.termios()
    }

    /// Changes the attributes.
    pub fn set_termios(&self, termios: Termios) {
        self.lock().ldisc.set_termios(termios);
        self.queue.wake_all();
        self.other_side.wake_all();
    }

    /// The other side is gone: programs read end of file from now on.
    pub fn hang_up(&self) {
        let mut state = self.lock();
        state.is_hung_up = true;
        let (session, foreground) = (state.session.take(), state.foreground.take());
        drop(state);
        if let Some(group) = foreground {
            self.groups.signal_group(group, SIGHUP);
            self.groups.signal_group(group, SIGCONT);
        }
        if let Some(session) = session {
            self.groups.hang_up_session(session);
        }
        self.queue.wake_all();
        self.other_side.wake_all();
    }

    /// The session's leader exited (`disassociate_ctty`): the foreground group
    /// is hung up and the terminal is free.
    pub fn session_ended(&self, session: i32) {
        let mut state = self.lock();
        if state.session != Some(session) {
            return;
        }
        state.session = None;
        let foreground = state.foreground.take();
        drop(state);
        if let Some(group) = foreground {
            self.groups.signal_group(group, SIGHUP);
            self.groups.signal_group(group, SIGCONT);
        }
    }

    /// Makes it the controlling terminal of the caller's session when it opens
    /// the terminal without `O_NOCTTY` and both are free.
    pub fn adopt(&self, job: &dyn Job) {
        let is_free = self.lock().session.is_none();
        if is_free && job.is_session_leader() && job.controlling().is_none() {
            self.control(job);
        }
    }

    fn control(&self, job: &dyn Job) {
        let mut state = self.lock();
        state.session = Some(job.session());
        state.foreground = Some(job.group());
        drop(state);
        job.set_controlling(self.me.upgrade());
    }

    fn is_controlling(&self, job: &dyn Job) -> bool {
        job.controlling()
            .is_some_and(|tty| std::ptr::eq(Arc::as_ptr(&tty), self))
    }

    /// May a task of the background do this? Linux `__tty_check_change`.
    fn check_background(&self, caller: &Caller<'_>, signal: u32) -> SysResult<()> {
        let Some(job) = caller.job() else {
            return Ok(());
        };
        let foreground = self.lock().foreground;
        if !self.is_controlling(job) || foreground.is_none_or(|group| group == job.group()) {
            return Ok(());
        }
        if job.is_deaf_to(signal) {
            return if signal == SIGTTIN {
                Err(Errno::EIO.into())
            } else {
                Ok(())
            };
        }
        if job.is_orphaned() {
            return Err(Errno::EIO.into());
        }
        self.groups.signal_group(job.group(), signal);
        Err(SysErr::Interrupted(Restart::Sys))
    }

    fn read(
        &self,
        caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        has_expired: bool,
    ) -> SysResult<usize> {
        if self.lock().is_hung_up {
            return Ok(0);
        }
        self.check_background(caller, SIGTTIN)?;
        let n = self.lock().ldisc.read(dst, has_expired)?;
        self.other_side.wake_all();
        Ok(n)
    }

    fn write(&self, caller: &Caller<'_>, src: &mut dyn IoSource) -> SysResult<usize> {
        let tostop = self.lock().ldisc.termios().has_local(LocalModes::TOSTOP);
        if tostop {
            self.check_background(caller, SIGTTOU)?;
        }
        let mut done = 0;
        let mut chunk = [0; CHUNK];
        while src.remaining() > 0 {
            // One byte can become eight (a tab): only as much as surely fits.
            let room = {
                let state = self.lock();
                if state.is_hung_up {
                    return if done == 0 {
                        Err(Errno::EIO.into())
                    } else {
                        Ok(done)
                    };
                }
                if state.ldisc.is_stopped() {
                    0
                } else {
                    (OUTPUT - state.output.len().min(OUTPUT)) / 8
                }
            };
            if room == 0 {
                break;
            }
            let want = room.min(CHUNK);
            let got = match src.get(&mut chunk[..want]) {
                Ok(got) => got,
                Err(error) if done == 0 => return Err(error.into()),
                Err(_) => break,
            };
            let mut shown = Vec::new();
            let mut state = self.lock();
            state.ldisc.output(&chunk[..got], &mut shown);
            state.output.extend(shown);
            drop(state);
            done += got;
        }
        self.other_side.wake_all();
        if done == 0 {
            Err(Errno::EAGAIN.into())
        } else {
            Ok(done)
        }
    }

    fn readiness(&self) -> PollEvents {
        let state = self.lock();
        if state.is_hung_up {
            return PollEvents::READABLE | PollEvents::WRITABLE | PollEvents::ERR | PollEvents::HUP;
        }
        let mut events = PollEvents::empty();
        if state.ldisc.is_readable() {
            events |= PollEvents::READABLE;
        }
        if !state.ldisc.is_stopped() && state.output.len() < OUTPUT / 2 {
            events |= PollEvents::WRITABLE;
        }
        events
    }

    fn set_attributes(&self, caller: &Caller<'_>, request: Ioctl) -> SysResult<usize> {
        self.check_background(caller, SIGTTOU)?;
        let mut termios = self.termios();
        let is_long = matches!(
            request.request,
            req::TCSETS2 | req::TCSETSW2 | req::TCSETSF2
        );
        let len = if is_long {
            size_of::<Termios>()
        } else {
            Termios::SHORT_LEN
        };
        get_ioctl(caller, request.arg, &mut termios.as_mut_bytes()[..len])?;
        if matches!(request.request, req::TCSETSF | req::TCSETSF2) {
            self.lock().ldisc.flush_input();
        }
        self.set_termios(termios);
        Ok(0)
    }

    /// Requests about job control.
    fn job_ioctl(&self, caller: &Caller<'_>, request: Ioctl) -> SysResult<usize> {
        let job = caller.job().ok_or(Errno::ENOTTY)?;
        match request.request {
            req::TIOCGPGRP => {
                if !self.is_controlling(job) {
                    return Err(Errno::ENOTTY.into());
                }
                put_ioctl(caller, request.arg, &self.foreground().to_le_bytes())
            }
            req::TIOCSPGRP => self.set_foreground(caller, job, request.arg),
            req::TIOCGSID => {
                let session = self.lock().session;
                let session = session
                    .filter(|_| self.is_controlling(job))
                    .ok_or(Errno::ENOTTY)?;
                put_ioctl(caller, request.arg, &session.to_le_bytes())
            }
            req::TIOCSCTTY => {
                let session = self.lock().session;
                if job.is_session_leader() && session == Some(job.session()) {
                    return Ok(0);
                }
                if !job.is_session_leader() || job.controlling().is_some() || session.is_some() {
                    return Err(Errno::EPERM.into());
                }
                self.control(job);
                Ok(0)
            }
            req::TIOCNOTTY => {
                if !self.is_controlling(job) {
                    return Err(Errno::ENOTTY.into());
                }
                if job.is_session_leader() {
                    self.session_ended(job.session());
                }
                job.set_controlling(None);
                Ok(0)
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    fn set_foreground(&self, caller: &Caller<'_>, job: &dyn Job, arg: u64) -> SysResult<usize> {
        self.check_background(caller, SIGTTOU)?;
        let session = self.lock().session;
        if !self.is_controlling(job) || session != Some(job.session()) {
            return Err(Errno::ENOTTY.into());
        }
        let mut group = [0; 4];
        get_ioctl(caller, arg, &mut group)?;
        let group = i32::from_le_bytes(group);
        if group < 0 {
            return Err(Errno::EINVAL.into());
        }
        if !job.has_group(group) {
            return Err(Errno::EPERM.into());
        }
        self.lock().foreground = Some(group);
        Ok(0)
    }

    /// Requests that both sides of a terminal know.
    fn common_ioctl(&self, caller: &Caller<'_>, request: Ioctl) -> SysResult<usize> {
        let arg = request.arg;
        match request.request {
            req::TCGETS => put_ioctl(
                caller,
                arg,
                &self.termios().as_bytes()[..Termios::SHORT_LEN],
            ),
            req::TCGETS2 => put_ioctl(caller, arg, self.termios().as_bytes()),
            req::TCSETS
            | req::TCSETSW
            | req::TCSETSF
            | req::TCSETS2
            | req::TCSETSW2
            | req::TCSETSF2 => self.set_attributes(caller, request),
            req::TIOCGWINSZ => put_ioctl(caller, arg, self.window().as_bytes()),
            req::TIOCSWINSZ => {
                let mut window = Winsize::new_zeroed();
                get_ioctl(caller, arg, window.as_mut_bytes())?;
                self.set_window(window);
                Ok(0)
            }
            req::TIOCGETD => put_ioctl(caller, arg, &0i32.to_le_bytes()),
            req::TIOCEXCL | req::TIOCNXCL => {
                self.lock().is_exclusive = request.request == req::TIOCEXCL;
                Ok(0)
            }
            req::TCSBRK | req::TCSBRKP => Ok(0),
            req::TCXONC => self.flow_ioctl(caller, arg),
            req::TCFLSH => self.flush_ioctl(caller, arg),
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    fn flow_ioctl(&self, caller: &Caller<'_>, arg: u64) -> SysResult<usize> {
        self.check_background(caller, SIGTTOU)?;
        match arg {
            0 | 1 => self.lock().ldisc.set_stopped(arg == 0),
            2 | 3 => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        self.queue.wake_all();
        self.other_side.wake_all();
        Ok(0)
    }

    fn flush_ioctl(&self, caller: &Caller<'_>, arg: u64) -> SysResult<usize> {
        self.check_background(caller, SIGTTOU)?;
        if arg > 2 {
            return Err(Errno::EINVAL.into());
        }
        let mut state = self.lock();
        if arg != 1 {
            state.ldisc.flush_input();
        }
        if arg != 0 {
            state.output.clear();
        }
        drop(state);
        self.queue.wake_all();
        self.other_side.wake_all();
        Ok(0)
    }
}

const fn number_of(signal: TtySignal) -> u32 {
    match signal {
        TtySignal::Interrupt => 2,
        TtySignal::Quit => 3,
        TtySignal::Suspend => 20,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
