// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for children: `wait4` and `waitid`.
//!
//! Linux 6.12 `kernel/exit.c` (`do_wait`).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::signal::{CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT};
use linux_abi::wait::{STATUS_CONTINUED, WaitOptions, status_stopped};

use super::{Entry, ExitStatus, ProcessTable, Task, Usage};
use crate::error::{Restart, SysResult};

/// Which children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitWho {
    /// Any.
    Any,
    /// One.
    Pid(i32),
    /// Those of a group.
    Group(i32),
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub struct WaitRequest {
    /// Which children.
    pub who: WaitWho,
    /// Which events, and how.
    pub options: WaitOptions,
}

/// What happened to a child.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// Which child.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// `CLD_*`.
    pub code: i32,
    /// Exit code or signal, as `waitid` gives it.
    pub value: i32,
    /// Status word, as `wait4` gives it.
    pub status: i32,
    /// Its usage and that of its children.
    pub usage: Usage,
}

impl Waited {
    /// How the child ended, if that is what happened.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        match self.code {
            CLD_EXITED => Some(ExitStatus::Code(u8::try_from(self.value & 0xff).ok()?)),
            CLD_KILLED => Some(ExitStatus::Signal {
                signal: self.value,
                dumps_core: false,
            }),
            _ => None,
        }
    }
}

impl Task {
    /// Waits for a child. `None` when nothing happened and `WNOHANG` was asked.
    ///
    /// # Errors
    /// `ECHILD` without such a child; interrupted by signals (`ERESTARTSYS`).
    pub async fn wait_for_child(
        self: &Arc<Self>,
        request: WaitRequest,
    ) -> SysResult<Option<Waited>> {
        let found = || match self.look_for_child(&request) {
            Ok(None) if !request.options.contains(WaitOptions::NOHANG) => None,
            outcome => Some(outcome),
        };
        let process = Arc::clone(self.process());
        let outcome = self
            .wait_for(process.child_changed(), None, Restart::Sys, found)
            .await?;
        Ok(outcome.unwrap_or(Ok(None))?)
    }

    pub(super) fn look_for_child(&self, request: &WaitRequest) -> Result<Option<Waited>, Errno> {
        let mut table = self.kernel.processes().lock();
        let mine = table.get(self.pid()).ok_or(Errno::ECHILD)?;
        let candidates: Vec<i32> = mine
            .children
            .iter()
            .copied()
            .filter(|pid| {
                table
                    .get(*pid)
                    .is_some_and(|child| matches(*pid, child, request))
            })
            .collect();
        if candidates.is_empty() {
            return Err(Errno::ECHILD);
        }
        for pid in candidates {
            let Some(child) = table.get_mut(pid) else {
                continue;
            };
            if let Some(event) = event_of(pid, child, request.options) {
                let is_end = matches!(event.code, CLD_EXITED | CLD_KILLED);
                let gone = if is_end && !request.options.contains(WaitOptions::NOWAIT) {
                    bury(&mut table, self.pid(), pid)
                } else {
                    None
                };
                drop(table);
                drop(gone);
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

fn matches(pid: i32, child: &Entry, request: &WaitRequest) -> bool {
    let is_meant = match request.who {
        WaitWho::Any => true,
        WaitWho::Pid(wanted) => pid == wanted,
        WaitWho::Group(group) => child.pgid == group,
    };
    let is_clone = child.exit_signal != SIGCHLD;
    let wants_clone = request.options.contains(WaitOptions::CLONE);
    is_meant && (request.options.contains(WaitOptions::ALL) || is_clone == wants_clone)
}

fn event_of(pid: i32, child: &mut Entry, options: WaitOptions) -> Option<Waited> {
    let (code, value, status) = if let Some(ended) = child.ended {
        if !options.contains(WaitOptions::EXITED) {
            return None;
        }
        match ended {
            ExitStatus::Code(code) => (CLD_EXITED, i32::from(code), ended.wait_status()),
            ExitStatus::Signal { signal, .. } => (CLD_KILLED, signal, ended.wait_status()),
        }
    } else if let Some(signal) = child
        .stop_event
        .filter(|_| options.contains(WaitOptions::STOPPED))
    {
        if !options.contains(WaitOptions::NOWAIT) {
            child.stop_event = None;
        }
        (CLD_STOPPED, signal, status_stopped(signal))
    } else if child.continue_event && options.contains(WaitOptions::CONTINUED) {
        child.continue_event = options.contains(WaitOptions::NOWAIT);
        (CLD_CONTINUED, SIGCONT, STATUS_CONTINUED)
    } else {
        return None;
    };
    let mut usage = child.usage;
    usage.add(&child.child_usage);
    Some(Waited {
        pid,
        uid: child.uid,
        code,
        value,
        status,
        usage,
    })
}

fn bury(table: &mut ProcessTable, parent: i32, pid: i32) -> Option<Entry> {
    let gone = table.remove(pid)?;
    if let Some(parent) = table.get_mut(parent) {
        parent.child_usage.add(&gone.usage);
        parent.child_usage.add(&gone.child_usage);
    }
    Some(gone)
}
