// SPDX-License-Identifier: MIT OR Apache-2.0
//! `fork`, `vfork`, `clone`: new threads and processes.
//!
//! The order of checks is Linux 6.12's `kernel/fork.c` (`copy_process`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::capability::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE};
use linux_abi::resource::RLIMIT_NPROC;
use linux_abi::sched::CloneFlags;
use linux_abi::signal::SS_DISABLE;

use super::{Entry, NewTask, Process, Resources, Runner, Scheduling, Task, Usage, VforkDone};
use crate::mm::UserAddr;
use crate::signal::{SigSet, ThreadSignals};

/// What `clone` and `clone3` are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest {
    /// What is shared, and more.
    pub flags: CloneFlags,
    /// Signal to the parent at the end.
    pub exit_signal: i32,
    /// Stack pointer of the child; 0 keeps the parent's.
    pub stack: u64,
    /// Thread pointer.
    pub tls: u64,
    /// Word of the parent that gets the tid.
    pub parent_tid: u64,
    /// Word of the child that gets the tid, or is cleared at its end.
    pub child_tid: u64,
    /// Word of the parent that gets the pidfd.
    pub pidfd: u64,
}

fn check(request: &CloneRequest) -> Result<(), Errno> {
    let has = |flag| request.flags.contains(flag);
    let contradicts = (has(CloneFlags::FS) && has(CloneFlags::NEWNS))
        || (has(CloneFlags::THREAD) && !has(CloneFlags::SIGHAND))
        || (has(CloneFlags::SIGHAND) && !has(CloneFlags::VM))
        || (has(CloneFlags::CLEAR_SIGHAND) && has(CloneFlags::SIGHAND))
        || (has(CloneFlags::PIDFD) && has(CloneFlags::DETACHED));
    if contradicts {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

impl Task {
    /// Makes a child as `request` says and starts it; answers the child.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM` for namespaces without privilege, `EAGAIN` at a limit,
    /// `ENOMEM`, `EFAULT` never (words that cannot be written are skipped).
    pub fn clone_task(self: &Arc<Self>, request: &CloneRequest) -> Result<Arc<Self>, Errno> {
        check(request)?;
        let flags = request.flags;
        if flags.intersects(CloneFlags::NAMESPACES) {
            let may = self.creds().has_cap(CAP_SYS_ADMIN) || flags.contains(CloneFlags::NEWUSER);
            // Namespaces are not built in: as on a kernel without them.
            return Err(if may { Errno::EINVAL } else { Errno::EPERM });
        }
        self.check_process_limit()?;
        let resources = self.share_resources(flags)?;
        let thread = self.child_registers(request)?;
        let tid = self.kernel.processes().lock().allocate()?;
        let process = if flags.contains(CloneFlags::THREAD) {
            Arc::clone(&self.process)
        } else {
            self.child_process(tid, flags)
        };
        let name = *self.name.lock();
        let scheduling = self.child_scheduling();
        let parts = NewTask {
            tid,
            process,
            kernel: Arc::clone(&self.kernel),
            resources,
            creds: self.creds(),
            name,
            thread,
            scheduling,
        };
        let child = parts.build();
        self.prepare_child(&child, request);
        self.register_child(&child, request)?;
        Ok(child)
    }

    /// Starts a child that [`Task::clone_task`] made.
    pub fn start_child(child: &Arc<Self>) {
        child.kernel.note_task_start();
        child.strand.start(Box::new(Runner::new(Arc::clone(child))));
    }

    /// Takes back a child that [`Task::clone_task`] made and that was not started.
    pub fn abandon(&self) {
        self.signals().remove_thread(self.tid());
        let mut table = self.kernel.processes().lock();
        let left = table.remove_thread(self.tid(), self.pid());
        let gone = if left == 0 {
            table.remove(self.pid())
        } else {
            None
        };
        drop(table);
        drop(gone);
    }

    /// Waits until a `vfork` child has given the memory back.
    pub async fn wait_for_vfork(&self, child: &Self) {
        let Some(done) = child.vfork_done.lock().clone() else {
            return;
        };
        let is_done = || done.is_done.load(Ordering::SeqCst).then_some(());
        self.wait_unless_dying(&done.queue, is_done).await;
    }

    pub(super) fn finish_vfork(&self) {
        let done = self.vfork_done.lock().take();
        if let Some(done) = done {
            done.is_done.store(true, Ordering::SeqCst);
            done.queue.wake_all();
        }
    }

    fn check_process_limit(&self) -> Result<(), Errno> {
        let uid = self.creds().uid.real;
        let limit = self.process.limits().soft(RLIMIT_NPROC);
        let table = self.kernel.processes().lock();
        if table.charged() >= self.kernel.options().max_tasks {
            return Err(Errno::EAGAIN);
        }
        let own: usize = table
            .iter()
            .filter(|(_, e)| e.uid == uid)
            .map(|(_, e)| e.threads.len().max(1))
            .sum();
        drop(table);
        let is_over = u64::try_from(own).unwrap_or(u64::MAX) >= limit;
        let creds = self.creds();
        let is_exempt = uid == 0 || creds.has_cap(CAP_SYS_RESOURCE) || creds.has_cap(CAP_SYS_ADMIN);
        if is_over && !is_exempt {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    fn share_resources(&self, flags: CloneFlags) -> Result<Resources, Errno> {
        let files = self.files()?;
        let fs = self.fs()?;
        let mm = self.mm()?;
        Ok(Resources {
            files: Some(if flags.contains(CloneFlags::FILES) {
                files
            } else {
                Arc::new(files.fork())
            }),
            fs: Some(if flags.contains(CloneFlags::FS) {
                fs
            } else {
                Arc::new(fs.fork())
            }),
            mm: Some(if flags.contains(CloneFlags::VM) {
                mm
            } else {
                Arc::new(mm.fork().map_err(|_| Errno::ENOMEM)?)
            }),
        })
    }

    fn child_registers(
        &self,
        request: &CloneRequest,
    ) -> Result<elfuse_machine::ThreadState, Errno> {
        let mut thread = self
            .kernel
            .machine()
            .new_thread()
            .map_err(|_| Errno::ENOMEM)?;
        thread.fork_from(&self.registers());
        thread.set_x(0, 0);
        if request.stack != 0 {
            thread.set_sp(request.stack);
        }
        if request.flags.contains(CloneFlags::SETTLS) {
            thread.set_tpidr(request.tls);
        }
        Ok(thread)
    }

    fn child_process(&self, pid: i32, flags: CloneFlags) -> Arc<Process> {
        let actions = self.signals().actions();
        let actions = if flags.contains(CloneFlags::SIGHAND) {
            Arc::clone(actions)
        } else {
            Arc::new(actions.fork(flags.contains(CloneFlags::CLEAR_SIGHAND)))
        };
        let process = Process::new(pid, actions, self.process.limits().fork());
        process.inherit(&self.process);
        process.timers.watch_limit(&self.kernel, &process);
        process
    }

    fn child_scheduling(&self) -> Scheduling {
        let mut scheduling = *self.scheduling.lock();
        if scheduling.resets_on_fork {
            scheduling.policy = linux_abi::sched::SCHED_OTHER;
            scheduling.priority = 0;
            scheduling.nice = scheduling.nice.max(0);
            scheduling.resets_on_fork = false;
        }
        scheduling
    }

    fn prepare_child(&self, child: &Arc<Self>, request: &CloneRequest) {
        let flags = request.flags;
        if flags.contains(CloneFlags::CHILD_CLEARTID) {
            child
                .clear_child_tid
                .store(request.child_tid, Ordering::Relaxed);
        }
        if !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK) {
            let rseq = *self.rseq.lock();
            *child.rseq.lock() = rseq;
        }
        if flags.contains(CloneFlags::VFORK) {
            *child.vfork_done.lock() = Some(Arc::new(VforkDone::default()));
        }
        // Both words are written without a check, as Linux does.
        if flags.contains(CloneFlags::PARENT_SETTID) {
            let _ = self.write_value(UserAddr(request.parent_tid), &child.tid());
        }
        if flags.contains(CloneFlags::CHILD_SETTID) {
            let _ = child.write_value(UserAddr(request.child_tid), &child.tid());
        }
    }

    fn register_child(
        self: &Arc<Self>,
        child: &Arc<Self>,
        request: &CloneRequest,
    ) -> Result<(), Errno> {
        let flags = request.flags;
        let (mask, altstack) = self
            .signals()
            .with_thread(self.tid(), |thread| (thread.blocked, thread.altstack))
            .unwrap_or((
                SigSet::EMPTY,
                linux_abi::signal::SigStack {
                    flags: SS_DISABLE,
                    ..Default::default()
                },
            ));
        let mut table = self.kernel.processes().lock();
        // A pending signal that would kill or stop the parent is seen before the
        // child exists: `fork` restarts.
        let mut signals = ThreadSignals::new(child.notify(), mask);
        if !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK) {
            signals.altstack = altstack;
        }
        if !child.signals().add_thread(child.tid(), signals) {
            return Err(Errno::EAGAIN);
        }
        if !flags.contains(CloneFlags::THREAD) {
            let entry = self.child_entry(&table, child, request)?;
            table.insert(child.tid(), entry);
        }
        table.add_thread(child);
        let ppid = table.parent_of(child.pid());
        drop(table);
        child.publish_ids_with(ppid);
        Ok(())
    }

    fn child_entry(
        &self,
        table: &super::ProcessTable,
        child: &Arc<Self>,
        request: &CloneRequest,
    ) -> Result<Entry, Errno> {
        let mine = table.get(self.pid()).ok_or(Errno::EAGAIN)?;
        let is_sibling = request.flags.contains(CloneFlags::PARENT);
        Ok(Entry {
            process: Arc::clone(&child.process),
            threads: BTreeMap::new(),
            parent: if is_sibling { mine.parent } else { self.pid() },
            children: BTreeSet::new(),
            pgid: mine.pgid,
            session: Arc::clone(&mine.session),
            exit_signal: if is_sibling {
                mine.exit_signal
            } else {
                request.exit_signal
            },
            is_subreaper: false,
            did_exec: false,
            ended: None,
            stop_event: None,
            continue_event: false,
            usage: Usage::default(),
            child_usage: Usage::default(),
            last_name: child.name(),
            uid: child.creds().uid.real,
        })
    }
}
