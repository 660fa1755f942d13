// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is whose parent, group and session.
//!
//! One table under one lock (rank [`Rank::Processes`](crate::sync::Rank)), as Linux
//! has its `tasklist_lock`: relations change rarely and always in pairs. A process
//! that has ended stays as an entry until its parent has waited for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::signal::SIGCHLD;

use super::{ExitStatus, Process, Session, Task, Usage};

/// Numbers go up to this before they start again (`kernel.pid_max`).
const PID_MAX: i32 = 32768;
/// Where they start again (`RESERVED_PIDS`).
const PID_RESTART: i32 = 300;

/// A process in the table.
pub struct Entry {
    /// The process.
    pub process: Arc<Process>,
    /// Its living threads.
    pub threads: BTreeMap<i32, Arc<Task>>,
    /// Parent, 0 for none.
    pub parent: i32,
    /// Children, ended ones included.
    pub children: BTreeSet<i32>,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub session: Arc<Session>,
    /// Signal to the parent.
    pub exit_signal: i32,
    /// Takes orphans below it.
    pub is_subreaper: bool,
    /// Has executed a program since it was forked.
    pub did_exec: bool,
    /// Set when it has ended and waits to be waited for.
    pub ended: Option<ExitStatus>,
    /// Stopped by this signal, not reported yet.
    pub stop_event: Option<i32>,
    /// Continued, not reported yet.
    pub continue_event: bool,
    /// Usage of threads that are gone.
    pub usage: Usage,
    /// Usage of children that were waited for.
    pub child_usage: Usage,
    /// Name and user, for `/proc` of a process that has ended.
    pub last_name: Vec<u8>,
    /// Real user id, for `NPROC` and for reports after the end.
    pub uid: u32,
}

/// All processes.
#[derive(Default)]
pub struct ProcessTable {
    entries: BTreeMap<i32, Entry>,
    /// Process of each thread.
    threads: BTreeMap<i32, i32>,
    last_pid: i32,
}

impl ProcessTable {
    /// A number that nobody has, as process, group or session.
    ///
    /// # Errors
    /// `EAGAIN` when all are taken.
    pub fn allocate(&mut self) -> Result<i32, Errno> {
        for _ in 0..PID_MAX {
            self.last_pid = if self.last_pid + 1 >= PID_MAX {
                PID_RESTART
            } else {
                self.last_pid + 1
            };
            let pid = self.last_pid;
            let is_group = || {
                self.entries
                    .values()
                    .any(|e| e.pgid == pid || e.session.sid() == pid)
            };
            if !self.threads.contains_key(&pid) && !self.entries.contains_key(&pid) && !is_group() {
                return Ok(pid);
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Number of living threads.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// Threads, and processes that have ended and that nobody has waited for: what a
    /// limit of processes is about.
    #[must_use]
    pub fn charged(&self) -> usize {
        let ended = self.entries.values().filter(|e| e.threads.is_empty());
        self.threads.len() + ended.count()
    }

    /// Number of processes, ended ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there no process?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All processes, by pid.
    pub fn iter(&self) -> impl Iterator<Item = (&i32, &Entry)> {
        self.entries.iter()
    }

    /// The process with this pid.
    #[must_use]
    pub fn get(&self, pid: i32) -> Option<&Entry> {
        self.entries.get(&pid)
    }

    /// The process with this pid.
    pub fn get_mut(&mut self, pid: i32) -> Option<&mut Entry> {
        self.entries.get_mut(&pid)
    }

    /// The living thread with this id.
    #[must_use]
    pub fn task(&self, tid: i32) -> Option<&Arc<Task>> {
        let pid = self.threads.get(&tid)?;
        self.entries.get(pid)?.threads.get(&tid)
    }

    /// Parent of a process; 0 for none.
    #[must_use]
    pub fn parent_of(&self, pid: i32) -> i32 {
        self.entries.get(&pid).map_or(0, |entry| entry.parent)
    }

    /// Adds a process.
    pub fn insert(&mut self, pid: i32, entry: Entry) {
        if let Some(parent) = self.entries.get_mut(&entry.parent) {
            parent.children.insert(pid);
        }
        self.entries.insert(pid, entry);
    }

    /// Adds a thread to a process.
    pub fn add_thread(&mut self, task: &Arc<Task>) {
        let (tid, pid) = (task.tid(), task.pid());
        self.threads.insert(tid, pid);
        if let Some(entry) = self.entries.get_mut(&pid) {
            entry.threads.insert(tid, Arc::clone(task));
        }
    }

    /// Takes a thread out; answers how many its process has left.
    pub fn remove_thread(&mut self, tid: i32, pid: i32) -> usize {
        self.threads.remove(&tid);
        let Some(entry) = self.entries.get_mut(&pid) else {
            return 0;
        };
        entry.threads.remove(&tid);
        entry.threads.len()
    }

    /// Takes an ended process out.
    pub fn remove(&mut self, pid: i32) -> Option<Entry> {
        let entry = self.entries.remove(&pid)?;
        if let Some(parent) = self.entries.get_mut(&entry.parent) {
            parent.children.remove(&pid);
        }
        Some(entry)
    }

    /// Members of a group that have not ended.
    pub fn group(&self, pgid: i32) -> impl Iterator<Item = (&i32, &Entry)> {
        self.entries
            .iter()
            .filter(move |(_, e)| e.pgid == pgid && e.ended.is_none())
    }

    /// Has the group a member, ended or not?
    #[must_use]
    pub fn has_group(&self, pgid: i32) -> bool {
        self.entries.values().any(|entry| entry.pgid == pgid)
    }

    /// Has the group a member in this session?
    #[must_use]
    pub fn is_group_in_session(&self, pgid: i32, sid: i32) -> bool {
        self.entries
            .values()
            .any(|e| e.pgid == pgid && e.session.sid() == sid)
    }

    /// Does no member have a parent in another group of the same session? `leaving`
    /// is not counted.
    #[must_use]
    pub fn is_orphaned(&self, pgid: i32, leaving: Option<i32>) -> bool {
        !self.group(pgid).any(|(&pid, entry)| {
            Some(pid) != leaving
                && self.entries.get(&entry.parent).is_some_and(|parent| {
                    parent.pgid != pgid && parent.session.sid() == entry.session.sid()
                })
        })
    }

    /// Is a member of the group stopped?
    #[must_use]
    pub fn has_stopped(&self, pgid: i32) -> bool {
        self.group(pgid)
            .any(|(_, entry)| entry.process.signals().is_stopped())
    }

    /// Who takes the children of `pid`: the nearest subreaper above, or process 1.
    #[must_use]
    pub fn reaper_for(&self, pid: i32) -> i32 {
        let mut at = self.parent_of(pid);
        while let Some(entry) = self.entries.get(&at) {
            if entry.is_subreaper && entry.ended.is_none() && !entry.threads.is_empty() {
                return at;
            }
            at = entry.parent;
        }
        if pid == 1 { 0 } else { 1 }
    }

    /// Gives the children of `pid` to `reaper`; answers who they are.
    pub fn reparent(&mut self, pid: i32, reaper: i32) -> Vec<i32> {
        let children = self
            .entries
            .get_mut(&pid)
            .map(|e| std::mem::take(&mut e.children));
        let children: Vec<i32> = children.unwrap_or_default().into_iter().collect();
        for child in &children {
            if let Some(entry) = self.entries.get_mut(child) {
                entry.parent = reaper;
                entry.exit_signal = SIGCHLD;
            }
        }
        if let Some(entry) = self.entries.get_mut(&reaper) {
            entry.children.extend(&children);
        }
        children
    }
}
