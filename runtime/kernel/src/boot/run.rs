// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that has started, to its end: one host thread for each processor, and
//! the signals that the host passes on.

use std::cell::Cell;
use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::signal::{SI_USER, SIGKILL, SigInfo};

use super::program::{self, Command, Place};
use super::{BootError, Booted, HostPty, standard_files};
use crate::file::File;
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::signal::Target;
use crate::task::{AtEnd, ExitStatus};
use crate::tty::console::Console;

/// What the descriptors 0 to 2 of a program beside the first one are.
pub enum Streams<'a> {
    /// Three files.
    Files([Arc<dyn File>; 3]),
    /// A terminal, which becomes the controlling one.
    Pty(&'a HostPty),
}

/// The process that a guest begins with.
const FIRST: i32 = 1;

impl Booted {
    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The terminal, when there is one.
    #[must_use]
    pub fn console(&self) -> Option<&Arc<Console>> {
        self.console.as_ref()
    }

    /// Sends the first program a signal from outside of the guest.
    ///
    /// # Errors
    /// `ESRCH` when it has ended, `EAGAIN` when too many signals wait.
    pub fn signal(&self, number: i32) -> Result<(), Errno> {
        let process = {
            let table = self.kernel.processes().lock();
            let entry = table.get(FIRST).ok_or(Errno::ESRCH)?;
            Arc::clone(&entry.process)
        };
        let info = SigInfo::new(number, SI_USER).with_sender(0, 0);
        self.kernel
            .send_signal(&process, info, Target::Process, u64::MAX)
    }

    /// Starts a program beside the first one, in a session of its own; `at_end` is
    /// told how it ends. Answers its pid.
    ///
    /// # Errors
    /// [`BootError`]; `at_end` is then not called.
    pub fn start_beside(
        &self,
        command: Command,
        streams: Streams<'_>,
        limits: Limits,
        at_end: AtEnd,
    ) -> Result<i32, BootError> {
        let files = match &streams {
            Streams::Files(files) => standard_files(self.kernel.files(), Some(files.clone())),
            Streams::Pty(pty) => {
                let open = pty.open(self, command.uid).map_err(BootError::Terminal)?;
                vec![Arc::clone(&open), Arc::clone(&open), open]
            }
        };
        let place = Place {
            files,
            limits,
            parent: 0,
        };
        let task = program::load(&self.kernel, command, place, |task| {
            task.process().set_at_end(at_end);
            if let Streams::Pty(pty) = &streams {
                pty.console().tty().adopt(task);
            }
        })?;
        // The first program may have ended meanwhile, which ends all that it finds.
        if self.kernel.is_finishing() {
            task.signals().start_group_exit(ExitStatus::Signal {
                signal: SIGKILL,
                dumps_core: false,
            });
        }
        Ok(task.pid())
    }

    /// Runs the processors until the first program has ended.
    ///
    /// # Errors
    /// When the host gives no threads or the machine no processors.
    pub fn run(&self) -> Result<ExitStatus, BootError> {
        let workers: Vec<_> = (0..self.cpus)
            .map(|n| self.start_worker(n))
            .collect::<Result<_, _>>()?;
        let status = self.kernel.wait_until_finished();
        self.kernel.scheduler().stop();
        for worker in workers {
            if let Ok(Err(error)) = worker.join() {
                return Err(BootError::Thread(std::io::Error::other(error)));
            }
        }
        Ok(status)
    }

    fn start_worker(
        &self,
        n: usize,
    ) -> std::io::Result<std::thread::JoinHandle<Result<(), elfuse_machine::MachineError>>> {
        let kernel = Arc::clone(&self.kernel);
        std::thread::Builder::new()
            .name(format!("cpu{n}"))
            .spawn(move || {
                let bail = Bail {
                    kernel: Arc::clone(&kernel),
                    is_done: Cell::new(false),
                };
                let done = kernel.scheduler().work(kernel.machine());
                bail.set_done(done.is_ok());
                done
            })
    }
}

/// A worker that fails or panics ends the run: nobody would wake what it ran.
struct Bail {
    kernel: Arc<Kernel>,
    is_done: Cell<bool>,
}

impl Bail {
    fn set_done(&self, is_done: bool) {
        self.is_done.set(is_done);
    }
}

impl Drop for Bail {
    fn drop(&mut self) {
        if !self.is_done.get() {
            self.kernel.give_up();
        }
    }
}
