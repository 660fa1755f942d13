// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--strace`: what a program asked and what it got, in the format of `strace`.
//!
//! Lines go to the host's standard error, one write each. The reason of a refusal
//! ([`refuse!`](crate::refuse)) travels in a thread-local from the place that
//! refuses to the end of the system call, which happens in the same poll.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;

use linux_abi::nr;
use linux_abi::signal::SigInfo;

use crate::error::{Restart, SysErr, SysResult};
use crate::syscall::{self, Call};
use crate::task::Task;

thread_local! {
    static REFUSAL: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Remembers why the current system call is refused.
pub fn note_refusal(why: &'static str) {
    REFUSAL.set(Some(why));
}

/// Takes the reason of the last refusal.
#[must_use]
pub fn take_refusal() -> Option<&'static str> {
    REFUSAL.take()
}

/// `--strace` is on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace;

impl Trace {
    /// A system call has ended.
    pub(crate) fn finished(self, task: &Task, call: &Call, result: &SysResult) {
        let mut line = format!("[pid {:>5}] ", task.tid());
        match syscall::describe(task, call) {
            Some(text) => line.push_str(&text),
            None => {
                let name = nr::name(call.nr)
                    .map_or_else(|| format!("syscall_{:#x}", call.nr), str::to_owned);
                let [a, b, c, d, e, f] = call.args;
                let _ = write!(
                    line,
                    "{name}({a:#x}, {b:#x}, {c:#x}, {d:#x}, {e:#x}, {f:#x})"
                );
            }
        }
        let _ = match result {
            Ok(value) if *value >= 0x1_0000_0000 => write!(line, " = {value:#x}"),
            Ok(value) => write!(line, " = {value}"),
            Err(SysErr::Errno(errno)) => {
                write!(line, " = -1 {} ({})", errno.name(), errno.message())
            }
            Err(SysErr::Interrupted(restart)) => write!(line, " = ? {}", restart_name(*restart)),
        };
        if let Some(why) = take_refusal() {
            let _ = write!(line, " <{why}>");
        }
        line.push('\n');
        // A trace that cannot be written must not change what the program does.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// A task ended.
    pub(crate) fn ended(self, task: &Task, text: &str) {
        let line = format!("[pid {:>5}] +++ {text} +++\n", task.tid());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// The program did what the processor refuses, before the signal for it is looked
    /// at: a program that it kills leaves this line.
    pub(crate) fn fault(self, task: &Task, info: &SigInfo, pc: u64) {
        let name = linux_abi::signal::name(info.signo).unwrap_or("signal");
        let line = format!(
            "[pid {:>5}] --- {name} {{si_code={}, si_addr={:#x}, pc={pc:#x}}} ---\n",
            task.tid(),
            info.code,
            info.fields[0]
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// A signal is delivered.
    pub(crate) fn signal(self, task: &Task, info: &SigInfo) {
        let name = linux_abi::signal::name(info.signo);
        let name = name.map_or_else(|| format!("SIGRT_{}", info.signo - 32), str::to_owned);
        let line = format!(
            "[pid {:>5}] --- {name} {{si_code={}}} ---\n",
            task.tid(),
            info.code
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

const fn restart_name(restart: Restart) -> &'static str {
    match restart {
        Restart::Sys => "ERESTARTSYS",
        Restart::NoIntr => "ERESTARTNOINTR",
        Restart::NoHand => "ERESTARTNOHAND",
        Restart::Block(_) => "ERESTART_RESTARTBLOCK",
        Restart::Never => "EINTR",
    }
}
