// SPDX-License-Identifier: MIT OR Apache-2.0
//! Process 1 without a program of its own, for `--init`: it waits for whatever
//! becomes its child, passes its signals on to the program that the user asked for,
//! and ends with that program's status.
//!
//! As on Linux for the first process of a pid namespace, nothing inside can kill or
//! stop it. It has no memory and no descriptors; `/proc` shows it like a thread of
//! the kernel.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use elfuse_machine::Cpu;
use linux_abi::signal::{SI_USER, SIGCHLD, SIGKILL, SigInfo};
use linux_abi::wait::WaitOptions;

use super::{ExitStatus, Task, WaitRequest, WaitWho};
use crate::error::Restart;
use crate::sched::{Polled, Work};
use crate::signal::SigSet;

/// What it is called.
const NAME: &[u8] = b"init";

/// What the scheduler polls in place of a program.
struct Reaper {
    task: Arc<Task>,
    life: Pin<Box<dyn Future<Output = ExitStatus> + Send>>,
}

impl Work for Reaper {
    fn poll(&mut self, _cpu: &mut Cpu, context: &mut Context<'_>) -> Polled {
        match self.life.as_mut().poll(context) {
            Poll::Pending => Polled::Waiting,
            Poll::Ready(status) => {
                self.task.end(status);
                Polled::Finished
            }
        }
    }
}

impl Task {
    /// Makes this task, process 1, look after the others until `main` has ended.
    pub(crate) fn start_reaping(self: &Arc<Self>, main: &Arc<Self>) {
        self.set_name(NAME);
        self.signals().protect();
        self.signals().with_thread(self.tid(), |thread| {
            thread.blocked = !SigSet::UNBLOCKABLE;
            thread.awaited = passed_on();
        });
        self.kernel.note_task_start();
        let life = Box::pin(reap(Arc::clone(self), Arc::clone(main)));
        let task = Arc::clone(self);
        self.strand.start(Box::new(Reaper { task, life }));
    }
}

/// Signals that are the main program's: all but those about process 1 itself.
fn passed_on() -> SigSet {
    !(SigSet::UNBLOCKABLE | SigSet::SYNCHRONOUS | SigSet::of(&[SIGCHLD]))
}

enum Event {
    Signal(SigInfo),
    Ended(i32, ExitStatus),
    /// There is nobody left to wait for.
    Alone,
}

async fn reap(task: Arc<Task>, main: Arc<Task>) -> ExitStatus {
    let killed = ExitStatus::Signal {
        signal: SIGKILL,
        dumps_core: false,
    };
    let process = Arc::clone(task.process());
    loop {
        let look = || look(&task);
        let changed = process.child_changed();
        let event = task.wait_for(changed, None, Restart::NoIntr, look).await;
        match event {
            Ok(Some(Event::Signal(info))) => {
                let info = SigInfo::new(info.signo, SI_USER).with_sender(task.pid(), 0);
                // One that has just ended needs no signal any more.
                let _ = task.kernel.signal_process(main.process(), info);
            }
            Ok(Some(Event::Ended(pid, status))) if pid == main.pid() => return status,
            Ok(Some(Event::Ended(..))) => {}
            Ok(Some(Event::Alone) | None) => return killed,
            Err(_) => return task.signals().group_exit().unwrap_or(killed),
        }
    }
}

fn look(task: &Task) -> Option<Event> {
    if let Some(info) = task.signals().take(task.tid(), passed_on()) {
        return Some(Event::Signal(info));
    }
    let request = WaitRequest {
        who: WaitWho::Any,
        options: WaitOptions::EXITED | WaitOptions::ALL,
    };
    match task.look_for_child(&request) {
        Ok(Some(waited)) => Some(Event::Ended(waited.pid, waited.ended()?)),
        Ok(None) => None,
        Err(_) => Some(Event::Alone),
    }
}
