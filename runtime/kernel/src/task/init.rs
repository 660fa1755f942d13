// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks that no `clone` made: process 1, and programs that the host starts beside
//! it.
//!
//! One is made with an empty address space, opens and loads its program on its own
//! behalf, and becomes it, as any `execve` does. It leads a session of its own.
//! Unlike on Linux, signals with their default action end process 1: it is the
//! program that the user started, and `^C` must work. With `--init` process 1 is
//! `reaper.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::sched::SCHED_OTHER;
use linux_abi::signal::SIGCHLD;

use super::exec::base_name;
use super::{
    Entry, ExecRequest, NewTask, Process, Resources, Runner, Scheduling, Session, Task, Usage,
};
use crate::creds::Creds;
use crate::exec::{Args, open_program};
use crate::file::{FdTable, FsContext};
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::mm::{Layout, Mm};
use crate::signal::{Actions, SigSet, ThreadSignals};

/// What such a task is made from.
pub struct FirstTask {
    /// Who it is.
    pub creds: Creds,
    /// Root and working directory.
    pub fs: FsContext,
    /// Its descriptors.
    pub files: FdTable,
    /// Resource limits.
    pub limits: Limits,
    /// Who waits for it; 0 for nobody inside.
    pub parent: i32,
}

impl Task {
    /// Makes a process; it has no program yet. The first one gets number 1.
    ///
    /// # Errors
    /// `ENOMEM`, `EAGAIN`.
    pub fn first(kernel: &Arc<Kernel>, parts: FirstTask) -> Result<Arc<Self>, Errno> {
        let machine = kernel.machine();
        let mm = Mm::new(machine, Layout::default()).map_err(|_| Errno::ENOMEM)?;
        let pid = kernel.processes().lock().allocate()?;
        let uid = parts.creds.uid.real;
        let parent = parts.parent;
        let process = Process::new(pid, Arc::new(Actions::default()), parts.limits);
        let task = NewTask {
            tid: pid,
            process: Arc::clone(&process),
            kernel: Arc::clone(kernel),
            resources: Resources {
                mm: Some(Arc::new(mm)),
                files: Some(Arc::new(parts.files)),
                fs: Some(Arc::new(parts.fs)),
            },
            creds: Arc::new(parts.creds),
            name: [0; 16],
            thread: machine.new_thread().map_err(|_| Errno::ENOMEM)?,
            scheduling: Scheduling {
                nice: 0,
                policy: SCHED_OTHER,
                priority: 0,
                resets_on_fork: false,
                affinity: u64::MAX,
                io_priority: 0,
                timer_slack: 50_000,
            },
        }
        .build();
        let signals = ThreadSignals::new(task.notify(), SigSet::EMPTY);
        if !process.signals().add_thread(pid, signals) {
            return Err(Errno::EAGAIN);
        }
        let mut table = kernel.processes().lock();
        table.insert(
            pid,
            Entry {
                process,
                threads: BTreeMap::new(),
                parent,
                children: BTreeSet::new(),
                pgid: pid,
                session: Session::new(pid),
                exit_signal: SIGCHLD,
                is_subreaper: false,
                did_exec: false,
                ended: None,
                stop_event: None,
                continue_event: false,
                usage: Usage::default(),
                child_usage: Usage::default(),
                last_name: Vec::new(),
                uid,
            },
        );
        table.add_thread(&task);
        drop(table);
        task.publish_ids_with(parent);
        Ok(task)
    }

    /// Gives the task its program and starts it.
    ///
    /// # Errors
    /// What opening and loading the program answers.
    pub fn start_first(self: &Arc<Self>, path: &[u8], args: Args) -> Result<(), Errno> {
        let start = self.fs()?.cwd();
        let file = open_program(self, start, path, true)?;
        let request = ExecRequest {
            file,
            name: path.to_vec(),
            args,
        };
        let image = self.load_image(request)?;
        self.become_image(image, base_name(path));
        self.kernel.note_task_start();
        self.strand.start(Box::new(Runner::new(Arc::clone(self))));
        Ok(())
    }
}
