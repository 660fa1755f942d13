// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of threads and processes.
//!
//! A thread gives back what it holds, clears its tid word and its robust futexes;
//! the last one of a process makes it wait for its parent, gives its children
//! away and tells everybody. Linux 6.12 `kernel/exit.c`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::signal::{
    CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SI_KERNEL, SIG_IGN, SIGCHLD, SIGCONT,
    SIGHUP, SaFlags, SigInfo,
};

use super::{ExitStatus, Process, ProcessTable, Task, Usage};
use crate::kernel::Kernel;
use crate::mm::UserAddr;
use crate::signal::Target;

/// Limit of queued signals for those that the kernel sends.
const NO_LIMIT: u64 = u64::MAX;

impl Task {
    /// Usage of this thread.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let load = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
        Usage {
            user_ns: self.user_time.read(self.kernel.clock()),
            system_ns: load(&self.system_ns),
            voluntary: load(&self.voluntary_switches),
            involuntary: load(&self.involuntary_switches),
            ..Usage::default()
        }
    }

    /// Ends the thread; with the last one, the process ends with `status`.
    pub(super) fn end(self: &Arc<Self>, status: ExitStatus) {
        self.clear_user_words();
        self.release_memory_users();
        let (tid, pid) = (self.tid(), self.pid());
        let own = self.usage();
        self.signals().remove_thread(tid);
        let mut table = self.kernel.processes().lock();
        if let Some(entry) = table.get_mut(pid) {
            entry.usage.add(&own);
            if entry.last_name.is_empty() || tid == pid {
                entry.last_name = self.name();
            }
        }
        let left = table.remove_thread(tid, pid);
        drop(table);
        if left == 0 {
            let status = self.signals().group_exit().unwrap_or(status);
            self.process.timers.disarm_all();
            self.kernel.end_process(&self.process, status);
        }
        self.process.thread_gone().wake_all();
        self.kernel.note_task_end();
    }

    /// The words in user memory that others wait on.
    fn clear_user_words(&self) {
        self.release_robust_futexes();
        let word = self.clear_child_tid.swap(0, Ordering::Relaxed);
        let is_shared = self.mm().is_ok_and(|mm| Arc::strong_count(&mm) > 2);
        if word != 0 && is_shared && self.write_value(UserAddr(word), &0u32).is_ok() {
            let _ = self
                .kernel
                .futexes()
                .wake(self, UserAddr(word), false, 1, u32::MAX);
        }
    }

    fn release_memory_users(self: &Arc<Self>) {
        let resources = std::mem::take(&mut *self.resources.lock());
        if let Some(mm) = &resources.mm {
            let summary_faults = mm.faults();
            let mut table = self.kernel.processes().lock();
            if let Some(entry) = table.get_mut(self.pid()) {
                (entry.usage.minor_faults, entry.usage.major_faults) = summary_faults;
            }
        }
        if let Some(files) = resources.files {
            self.close_all(files);
        }
        drop(resources.fs);
        if let Some(mm) = resources.mm
            && let Some(mm) = Arc::into_inner(mm)
        {
            mm.clear();
        }
        self.finish_vfork();
    }

    /// Closes every descriptor when this was the last user of the table.
    fn close_all(self: &Arc<Self>, files: Arc<crate::file::FdTable>) {
        if let Some(files) = Arc::into_inner(files) {
            let table = files.id();
            for open in files.remove_range(0, u32::MAX) {
                crate::syscall::open::flush_closed(self, table, &open);
            }
        }
    }
}

impl Kernel {
    /// All threads of `process` are gone.
    fn end_process(self: &Arc<Self>, process: &Arc<Process>, status: ExitStatus) {
        let pid = process.pid();
        let mut table = self.processes().lock();
        let Some(entry) = table.get_mut(pid) else {
            return;
        };
        entry.ended = Some(status);
        let session = Arc::clone(&entry.session);
        let pgid = entry.pgid;
        let orphaned = groups_orphaned_by(&table, pid, pgid);
        let reaper = table.reaper_for(pid);
        let children = table.reparent(pid, reaper);
        let dead_children: Vec<i32> = children
            .iter()
            .copied()
            .filter(|child| table.get(*child).is_some_and(|e| e.ended.is_some()))
            .collect();
        let bereaved: Vec<Arc<Task>> = children
            .iter()
            .filter_map(|child| table.get(*child))
            .flat_map(|entry| entry.threads.values().cloned())
            .collect();
        drop(table);
        for child in &bereaved {
            child.publish_ids_with(reaper);
            let signal = child.parent_death_signal.load(Ordering::Relaxed);
            if signal != 0 {
                let _ = self
                    .signal_process(child.process(), SigInfo::new(signal, 0).with_sender(pid, 0));
            }
        }
        for group in orphaned {
            self.hang_up_group(group);
        }
        if session.sid() == pid
            && let Some(terminal) = session.terminal()
        {
            terminal.session_ended(pid);
            session.set_terminal(None);
        }
        for child in dead_children {
            self.notify_parent_of_end(child);
        }
        if pid == 1 {
            self.finish(status);
        }
        self.notify_parent_of_end(pid);
        if let Some(at_end) = process.take_at_end() {
            at_end(status);
        }
    }

    /// Tells the parent, or buries the process at once when the parent does not care.
    fn notify_parent_of_end(self: &Arc<Self>, pid: i32) {
        let mut table = self.processes().lock();
        let Some(entry) = table.get(pid) else { return };
        let Some(status) = entry.ended else { return };
        let (parent, signal, uid, usage) =
            (entry.parent, entry.exit_signal, entry.uid, entry.usage);
        let Some(parent) = table.get(parent).map(|entry| Arc::clone(&entry.process)) else {
            let gone = table.remove(pid);
            drop(table);
            drop(gone);
            return;
        };
        let action = parent.signals().actions().get(SIGCHLD);
        let ignores = action.handler == SIG_IGN;
        let no_wait = SaFlags::from_bits_retain(action.flags).contains(SaFlags::NOCLDWAIT);
        let is_buried = signal == SIGCHLD && (ignores || no_wait);
        let gone = if is_buried { table.remove(pid) } else { None };
        drop(table);
        drop(gone);
        // `clone` takes numbers up to 255 (`do_notify_parent` asks `valid_signal`).
        if (1..=64).contains(&signal) && !(signal == SIGCHLD && ignores) {
            let info = child_info(signal, pid, uid, status, &usage);
            let _ = self.signal_process(&parent, info);
        }
        parent.child_changed().wake_all();
    }

    /// Tells the parent that the process stopped or goes on.
    pub(crate) fn notify_parent_of_stop(self: &Arc<Self>, pid: i32, stopped_by: Option<i32>) {
        let mut table = self.processes().lock();
        let Some(entry) = table.get_mut(pid) else {
            return;
        };
        entry.stop_event = stopped_by;
        entry.continue_event = stopped_by.is_none();
        let (parent, uid) = (entry.parent, entry.uid);
        let Some(parent) = table.get(parent).map(|entry| Arc::clone(&entry.process)) else {
            return;
        };
        drop(table);
        let action = parent.signals().actions().get(SIGCHLD);
        let is_quiet = SaFlags::from_bits_retain(action.flags).contains(SaFlags::NOCLDSTOP);
        if action.handler != SIG_IGN && !is_quiet {
            let (code, status) = match stopped_by {
                Some(signal) => (CLD_STOPPED, signal),
                None => (CLD_CONTINUED, SIGCONT),
            };
            let info = SigInfo::new(SIGCHLD, code)
                .with_sender(pid, uid)
                .with_status(status);
            let _ = self.signal_process(&parent, info);
        }
        parent.child_changed().wake_all();
    }

    /// A group that became orphaned and has stopped members is woken to die.
    fn hang_up_group(self: &Arc<Self>, pgid: i32) {
        for signal in [SIGHUP, SIGCONT] {
            self.signal_group(pgid, SigInfo::new(signal, SI_KERNEL));
        }
    }

    /// Sends a signal of the kernel to a process.
    ///
    /// # Errors
    /// As [`Signals::send`](crate::signal::Signals::send).
    pub fn signal_process(
        self: &Arc<Self>,
        process: &Arc<Process>,
        info: SigInfo,
    ) -> Result<(), linux_abi::Errno> {
        self.send_signal(process, info, Target::Process, NO_LIMIT)
    }

    /// Sends a signal to every member of a group; answers how many there were.
    pub fn signal_group(self: &Arc<Self>, pgid: i32, info: SigInfo) -> usize {
        let table = self.processes().lock();
        let members: Vec<_> = table
            .group(pgid)
            .map(|(_, entry)| Arc::clone(&entry.process))
            .collect();
        drop(table);
        for member in &members {
            let _ = self.signal_process(member, info);
        }
        members.len()
    }
}

/// Groups with stopped members that lose their last link to another group of the
/// session when `pid` ends: its own, and those of its children.
fn groups_orphaned_by(table: &ProcessTable, pid: i32, pgid: i32) -> Vec<i32> {
    let Some(entry) = table.get(pid) else {
        return Vec::new();
    };
    let mut groups: Vec<i32> = entry
        .children
        .iter()
        .filter_map(|child| table.get(*child))
        .filter(|child| child.session.sid() == entry.session.sid() && child.pgid != pgid)
        .map(|child| child.pgid)
        .collect();
    let links_own_group = table
        .get(entry.parent)
        .is_some_and(|parent| parent.pgid != pgid && parent.session.sid() == entry.session.sid());
    if links_own_group {
        groups.push(pgid);
    }
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|&group| {
        let members_left = table.group(group).any(|(&member, _)| member != pid);
        let has_other_link = table.group(group).any(|(&member, entry)| {
            member != pid
                && entry.parent != pid
                && table.get(entry.parent).is_some_and(|parent| {
                    parent.pgid != group && parent.session.sid() == entry.session.sid()
                })
        });
        members_left && !has_other_link && table.has_stopped(group)
    });
    groups
}

fn child_info(signal: i32, pid: i32, uid: u32, status: ExitStatus, usage: &Usage) -> SigInfo {
    let (code, value) = match status {
        ExitStatus::Code(code) => (CLD_EXITED, i32::from(code)),
        // No core is ever written, so it is never `CLD_DUMPED`.
        ExitStatus::Signal { signal, .. } => (CLD_KILLED, signal),
    };
    let mut info = SigInfo::new(signal, code)
        .with_sender(pid, uid)
        .with_status(value);
    let tick = 1_000_000_000 / linux_abi::time::USER_HZ;
    info.fields[2] = usage.user_ns / tick;
    info.fields[3] = usage.system_ns / tick;
    info
}
