// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions, their controlling terminals, and what terminals ask about tasks.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use linux_abi::signal::{SI_KERNEL, SIG_DFL, SIG_IGN, SIGCONT, SIGHUP, SigInfo};

use super::Task;
use crate::kernel::Kernel;
use crate::signal::{Default, default_action};
use crate::sync::{Rank, Ranked};
use crate::tty::{Groups, Job, Tty};

/// A session.
pub struct Session {
    sid: i32,
    terminal: Ranked<Option<Arc<Tty>>>,
}

impl Session {
    /// A session without a terminal.
    #[must_use]
    pub fn new(sid: i32) -> Arc<Self> {
        Arc::new(Self {
            sid,
            terminal: Ranked::new(Rank::Fields, None),
        })
    }

    /// Number of the session: pid of its first leader.
    #[must_use]
    pub fn sid(&self) -> i32 {
        self.sid
    }

    /// Its terminal.
    #[must_use]
    pub fn terminal(&self) -> Option<Arc<Tty>> {
        self.terminal.lock().clone()
    }

    /// Gives it a terminal, or takes it away.
    pub fn set_terminal(&self, terminal: Option<Arc<Tty>>) {
        let old = std::mem::replace(&mut *self.terminal.lock(), terminal);
        drop(old);
    }
}

impl Task {
    /// Its session.
    #[must_use]
    pub fn session_of(&self) -> Option<Arc<Session>> {
        let table = self.kernel.processes().lock();
        table
            .get(self.pid())
            .map(|entry| Arc::clone(&entry.session))
    }
}

impl Job for Task {
    fn group(&self) -> i32 {
        self.kernel
            .processes()
            .lock()
            .get(self.pid())
            .map_or(0, |entry| entry.pgid)
    }

    fn session(&self) -> i32 {
        self.session_of().map_or(0, |session| session.sid())
    }

    fn is_session_leader(&self) -> bool {
        self.session() == self.pid()
    }

    fn is_deaf_to(&self, signal: u32) -> bool {
        let signal = signal.cast_signed();
        let is_blocked = self
            .signals()
            .with_thread(self.tid(), |t| t.blocked.has(signal));
        let is_ignored = match self.signals().actions().get(signal).handler {
            SIG_IGN => true,
            SIG_DFL => default_action(signal) == Default::Ignore,
            _ => false,
        };
        is_blocked.unwrap_or(false) || is_ignored
    }

    fn is_orphaned(&self) -> bool {
        let group = self.group();
        self.kernel.processes().lock().is_orphaned(group, None)
    }

    fn has_group(&self, group: i32) -> bool {
        let session = self.session();
        self.kernel
            .processes()
            .lock()
            .is_group_in_session(group, session)
    }

    fn controlling(&self) -> Option<Arc<Tty>> {
        self.session_of()?.terminal()
    }

    fn set_controlling(&self, tty: Option<Arc<Tty>>) {
        if let Some(session) = self.session_of() {
            session.set_terminal(tty);
        }
    }
}

/// How terminals reach processes: made before the kernel, connected to it later.
#[derive(Default)]
pub struct KernelGroups {
    kernel: RwLock<Weak<Kernel>>,
}

impl KernelGroups {
    /// From now on signals go to `kernel`.
    pub fn connect(&self, kernel: &Arc<Kernel>) {
        *self.kernel.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(kernel);
    }

    fn kernel(&self) -> Option<Arc<Kernel>> {
        self.kernel
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }
}

impl Groups for KernelGroups {
    fn signal_group(&self, group: i32, signal: u32) {
        if let Some(kernel) = self.kernel() {
            kernel.signal_group(group, SigInfo::new(signal.cast_signed(), SI_KERNEL));
        }
    }

    fn hang_up_session(&self, session: i32) {
        let Some(kernel) = self.kernel() else { return };
        let table = kernel.processes().lock();
        let leader = table.get(session).map(|entry| Arc::clone(&entry.process));
        let member = table
            .iter()
            .find(|(_, entry)| entry.session.sid() == session);
        let session = member.map(|(_, entry)| Arc::clone(&entry.session));
        drop(table);
        if let Some(leader) = leader {
            for signal in [SIGHUP, SIGCONT] {
                let _ = kernel.signal_process(&leader, SigInfo::new(signal, SI_KERNEL));
            }
        }
        if let Some(session) = session {
            session.set_terminal(None);
        }
    }
}
