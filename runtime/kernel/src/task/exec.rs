// SPDX-License-Identifier: MIT OR Apache-2.0
//! `execve`: a task becomes another program.
//!
//! The new image is complete before the old one is given up. Then the other threads
//! end, the task becomes the leader of its process, and everything that belongs to
//! the program and not to the process goes. Linux 6.12 `fs/exec.c`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::signal::{SS_DISABLE, SigStack};

use super::{RseqState, Task};
use crate::error::{Restart, SysErr, SysResult};
use crate::exec::{Args, Image, Loader, load};
use crate::file::OpenFile;

/// `personality` flag: no randomness in the layout.
const ADDR_NO_RANDOMIZE: u32 = 0x004_0000;

/// What `execve` is asked for.
pub struct ExecRequest {
    /// The program.
    pub file: Arc<OpenFile>,
    /// What it is called as.
    pub name: Vec<u8>,
    /// Arguments and environment.
    pub args: Args,
}

/// What the thread is called after a program: the last part of its path.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

impl Task {
    /// Becomes another program.
    ///
    /// # Errors
    /// What loading answers; the old program then goes on. After the point of no
    /// return the only failure is that the process is ending.
    pub async fn execute(self: &Arc<Self>, request: ExecRequest) -> SysResult {
        let name = base_name(&request.name).to_vec();
        let image = self.load_image(request)?;
        if !self.end_other_threads().await {
            // The process is ending: this thread does too, before it sees the answer.
            return Err(SysErr::Interrupted(Restart::NoIntr));
        }
        self.become_image(image, &name);
        Ok(0)
    }

    /// Builds the image of a program without becoming it.
    ///
    /// # Errors
    /// What loading answers.
    pub(crate) fn load_image(self: &Arc<Self>, request: ExecRequest) -> Result<Image, Errno> {
        let personality = self.process.personality.load(Ordering::Relaxed);
        let loader = Loader {
            kernel: &self.kernel,
            task: self,
            limits: self.process.limits().memory(false),
            is_fixed: personality & ADDR_NO_RANDOMIZE != 0,
        };
        let name = request.name.clone();
        load(&loader, request.file, &name, request.args)
    }

    async fn end_other_threads(self: &Arc<Self>) -> bool {
        let process = Arc::clone(&self.process);
        if !self.signals().end_other_threads(self.tid()) {
            return false;
        }
        let pid = self.pid();
        let is_alone = || {
            let table = self.kernel.processes().lock();
            (table.get(pid).is_some_and(|entry| entry.threads.len() == 1)).then_some(())
        };
        if self
            .wait_unless_dying(process.thread_gone(), is_alone)
            .await
            .is_none()
        {
            return false;
        }
        let old = self.tid();
        if old != pid {
            let mut table = self.kernel.processes().lock();
            table.remove_thread(old, pid);
            self.tid.store(pid, Ordering::Relaxed);
            table.add_thread(self);
            drop(table);
            self.signals().rename_thread(old, pid);
        }
        true
    }

    pub(crate) fn become_image(self: &Arc<Self>, image: Image, name: &[u8]) {
        self.release_robust_futexes();
        let word = self.clear_child_tid.swap(0, Ordering::Relaxed);
        let is_shared = self.mm().is_ok_and(|mm| Arc::strong_count(&mm) > 2);
        if word != 0 && is_shared {
            let word = crate::mm::UserAddr(word);
            if self.write_value(word, &0u32).is_ok() {
                let _ = self.kernel.futexes().wake(self, word, false, 1, u32::MAX);
            }
        }
        let creds = self.creds().after_exec(image.set_uid, image.set_gid);
        let is_secure = creds.is_secure();
        let old = self.resources.lock().mm.replace(Arc::clone(&image.mm));
        if let Some(old) = old.and_then(Arc::into_inner) {
            old.clear();
        }
        self.finish_vfork();
        self.set_name(name);
        self.process
            .dumpable
            .store(u32::from(!is_secure), Ordering::Relaxed);
        self.forget_program();
        self.set_creds(creds);
        if let Some(entry) = self.kernel.processes().lock().get_mut(self.pid()) {
            entry.did_exec = true;
        }
        self.start_registers(&image);
        self.close_on_exec();
    }

    /// What belonged to the old program.
    fn forget_program(&self) {
        *self.rseq.lock() = RseqState::default();
        self.parent_death_signal.store(0, Ordering::Relaxed);
        self.set_restart_block(None);
        self.process.timers.delete_posix();
        self.signals().actions().reset_handlers();
        self.signals().with_thread(self.tid(), |thread| {
            thread.altstack = SigStack {
                flags: SS_DISABLE,
                ..SigStack::default()
            };
        });
    }

    fn start_registers(&self, image: &Image) {
        let mut registers = self.registers();
        for n in 0..31 {
            registers.set_x(n, 0);
        }
        registers.set_tpidr(0);
        registers.set_pstate(0);
        registers.set_pc(image.entry);
        registers.set_sp(image.sp);
        registers.set_fp(&elfuse_machine::FpState {
            v: [0; 32],
            fpsr: 0,
            fpcr: 0,
        });
    }

    fn close_on_exec(self: &Arc<Self>) {
        // `execve` stops sharing the table before it closes.
        let _ = self.unshare_files();
        let Ok(files) = self.files() else { return };
        for open in files.take_cloexec() {
            crate::syscall::open::flush_closed(self, files.id(), &open);
        }
    }
}
