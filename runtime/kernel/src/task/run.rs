// SPDX-License-Identifier: MIT OR Apache-2.0
//! The run loop of a thread: guest, system call, signals, guest.
//!
//! [`Runner`] is what the scheduler polls. One poll goes round the loop until the
//! thread must wait, has used its slice, or ends. A system call that waits is kept
//! as a future; its outcome is turned into registers here, and only here is it
//! decided whether an interrupted call starts again (Linux 6.12
//! `arch/arm64/kernel/signal.c`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use elfuse_machine::{Access, Cpu, FaultKind, GuestAddr, Trap};
use linux_abi::Errno;
use linux_abi::signal::{
    BUS_ADRALN, BUS_ADRERR, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_FLTUNK,
    ILL_ILLOPC, SEGV_MAPERR, SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGTRAP, SaFlags,
    SigAction, SigInfo, TRAP_BRKPT,
};

use super::{ExitStatus, Task};
use crate::error::{Restart, SysErr, SysResult};
use crate::mm::TASK_SIZE;
use crate::sched::{Polled, Work};
use crate::signal::{Next, SigSet, frame};
use crate::syscall::{self, Call, Outcome};

/// The number of `restart_syscall`.
const NR_RESTART_SYSCALL: u64 = 128;
/// Bytes of the `svc` instruction, which a restarted call executes again.
const SVC_LEN: u64 = 4;

type Waiting = Pin<Box<dyn Future<Output = SysResult> + Send>>;

/// What the scheduler polls: a thread of a guest program.
pub(crate) struct Runner {
    task: Arc<Task>,
    waiting: Option<(Call, Waiting)>,
    /// The interrupted call that signal delivery decides about.
    interrupted: Option<(Call, Restart)>,
    /// The guest was left other than by a system call since signals were last
    /// looked at: restartable sequences must be checked.
    was_preempted: bool,
    /// When the guest was left: the time since is the kernel's.
    left_ns: Option<u64>,
}

enum Step {
    GoOn,
    Stop(Polled),
}

impl Runner {
    pub(crate) fn new(task: Arc<Task>) -> Self {
        Self {
            task,
            waiting: None,
            interrupted: None,
            was_preempted: true,
            left_ns: None,
        }
    }

    fn step(&mut self, cpu: &mut Cpu, context: &mut Context<'_>) -> Step {
        if let Some((call, mut future)) = self.waiting.take() {
            match future.as_mut().poll(context) {
                Poll::Ready(result) => {
                    drop(future);
                    self.finish_call(call, result);
                }
                Poll::Pending => {
                    self.waiting = Some((call, future));
                    return Step::Stop(Polled::Waiting);
                }
            }
        }
        if self.task.has_work() || self.interrupted.is_some() {
            match self.take_signals() {
                Step::GoOn => {}
                stop @ Step::Stop(_) => return stop,
            }
        }
        if self.was_preempted && !self.task.abort_sequence() {
            self.task.force_signal(SigInfo::new(SIGSEGV, SI_KERNEL));
            return Step::GoOn;
        }
        self.was_preempted = false;
        self.run_guest(cpu)
    }

    fn run_guest(&mut self, cpu: &mut Cpu) -> Step {
        let Ok(mm) = self.task.mm() else {
            return self.die(ExitStatus::Code(0));
        };
        self.task.kernel.forget_torn_files();
        let clock = self.task.kernel.clock();
        let entered = clock.monotonic_ns();
        clock.publish(self.task.kernel.machine(), entered);
        charge(&self.task, self.left_ns, entered);
        self.task.user_time.start(entered);
        let mut registers = self.task.registers();
        let trap = cpu.run(&mut registers, mm.space());
        let left = clock.monotonic_ns();
        let call = Call {
            nr: registers.syscall_nr(),
            args: std::array::from_fn(|n| registers.x(n)),
        };
        drop(registers);
        drop(mm);
        self.task.user_time.stop(left);
        self.left_ns = Some(left);
        self.handle(trap, call)
    }

    /// Ends the time that the kernel has spent on the thread.
    fn charge(&mut self) {
        let now = self.task.kernel.clock().monotonic_ns();
        charge(&self.task, self.left_ns.take(), now);
    }

    /// Deals with why the guest was left; `call` is what its registers say as a call.
    fn handle(&mut self, trap: Trap, call: Call) -> Step {
        match trap {
            Trap::Syscall => self.start_call(call),
            Trap::Kicked | Trap::TimeSlice => {
                self.was_preempted = true;
                if self.task.kernel.scheduler().has_waiting() {
                    self.task
                        .involuntary_switches
                        .fetch_add(1, Ordering::Relaxed);
                    return Step::Stop(Polled::Yielded);
                }
            }
            Trap::MemFault {
                addr,
                access,
                kind,
                esr,
            } => self.fault(addr, access, kind, esr),
            Trap::Undefined { .. } => self.raise_at_pc(SIGILL, ILL_ILLOPC),
            Trap::Breakpoint { .. } => self.raise_at_pc(SIGTRAP, TRAP_BRKPT),
            Trap::FpException { esr } => self.raise_at_pc(SIGFPE, fp_code(esr)),
            Trap::PcAlignment => self.raise_at_pc(SIGBUS, BUS_ADRALN),
            Trap::SpAlignment => {
                let sp = self.task.registers().sp();
                self.blame(SigInfo::new(SIGBUS, BUS_ADRALN).with_addr(sp));
            }
        }
        Step::GoOn
    }

    fn raise_at_pc(&mut self, signal: i32, code: i32) {
        let pc = self.task.registers().pc();
        self.was_preempted = true;
        self.blame(SigInfo::new(signal, code).with_addr(pc));
    }

    /// Sends the program the signal for what its last instruction did.
    fn blame(&self, info: SigInfo) {
        if let Some(trace) = self.task.kernel.trace() {
            let pc = self.task.registers().pc();
            trace.fault(&self.task, &info, pc);
        }
        self.task.force_signal(info);
    }

    fn fault(&mut self, addr: GuestAddr, access: Access, kind: FaultKind, esr: u64) {
        self.was_preempted = true;
        let forced = match kind {
            FaultKind::Alignment => Some((SIGBUS, BUS_ADRALN)),
            FaultKind::Bus => Some((SIGBUS, BUS_ADRERR)),
            FaultKind::Translation | FaultKind::Permission => self.repair(addr, access).err(),
        };
        let Some((signal, code)) = forced else { return };
        self.task.note_fault(esr);
        if signal == SIGKILL {
            self.task.kernel.note_out_of_memory(&self.task);
            let status = ExitStatus::Signal {
                signal: SIGKILL,
                dumps_core: false,
            };
            self.task.signals().start_group_exit(status);
            return;
        }
        self.blame(SigInfo::new(signal, code).with_addr(addr.0));
    }

    fn repair(&self, addr: GuestAddr, access: Access) -> Result<(), (i32, i32)> {
        let Ok(mm) = self.task.mm() else {
            return Err((SIGSEGV, SEGV_MAPERR));
        };
        // The processor ignores the top byte of data addresses.
        let plain = if addr.0 & (1 << 55) == 0 {
            addr.0 & 0x00ff_ffff_ffff_ffff
        } else {
            addr.0
        };
        if plain >= TASK_SIZE {
            return Err((SIGSEGV, SEGV_MAPERR));
        }
        let stack = self.task.mem_limits().stack;
        mm.fault(plain, access, stack)
            .map_err(|error| error.signal().unwrap_or((SIGKILL, 0)))
    }

    fn start_call(&mut self, call: Call) {
        match syscall::dispatch(&self.task, &call) {
            Outcome::Done(result) => self.finish_call(call, result),
            Outcome::Later(future) => self.waiting = Some((call, future)),
        }
    }

    fn finish_call(&mut self, call: Call, result: SysResult) {
        if let Some(trace) = self.task.kernel.trace() {
            trace.finished(&self.task, &call, &result);
        }
        let value = match result {
            Ok(value) => u64::try_from(value).unwrap_or(u64::MAX),
            Err(SysErr::Errno(errno)) => errno.to_return(),
            Err(SysErr::Interrupted(restart)) => {
                self.interrupted = Some((call, restart));
                return;
            }
        };
        self.task.registers().set_x(0, value);
    }

    /// Looks at signals until there is nothing left to do, or a handler is set up.
    fn take_signals(&mut self) -> Step {
        loop {
            match self.task.signals().next(self.task.tid()) {
                Next::Nothing => {
                    self.restart_without_handler();
                    self.restore_mask();
                    return Step::GoOn;
                }
                Next::Handle(action, info) => {
                    if let Some(trace) = self.task.kernel.trace() {
                        trace.signal(&self.task, &info);
                    }
                    self.decide_restart(&action);
                    if !self.task.abort_sequence() {
                        self.task.force_signal(SigInfo::new(SIGSEGV, SI_KERNEL));
                    }
                    if frame::push(&self.task, &action, &info).is_err() {
                        self.fail_delivery(info.signo);
                        continue;
                    }
                    if !self.task.has_work() {
                        return Step::GoOn;
                    }
                }
                Next::Stop(info) => self.stop(&info),
                Next::Stopped => return Step::Stop(Polled::Waiting),
                Next::Exit(status, true) => return self.die(status),
                Next::Exit(_, false) => {
                    let code = self.task.exit_code.load(Ordering::Relaxed);
                    return self.die(ExitStatus::Code(code));
                }
            }
        }
    }

    /// The frame does not fit on the stack: the program gets `SIGSEGV`, and dies if
    /// that was what could not be delivered.
    fn fail_delivery(&self, signal: i32) {
        if signal == SIGSEGV {
            self.task
                .signals()
                .set_action(SIGSEGV, SigAction::default());
        }
        self.task.force_signal(SigInfo::new(SIGSEGV, SI_KERNEL));
    }

    fn stop(&self, info: &SigInfo) {
        let pid = self.task.pid();
        let is_optional = info.signo != linux_abi::signal::SIGSTOP;
        if is_optional {
            let table = self.task.kernel.processes().lock();
            let pgid = table.get(pid).map_or(0, |entry| entry.pgid);
            if table.is_orphaned(pgid, None) {
                return;
            }
        }
        if self.task.signals().stop(info.signo) {
            self.task
                .kernel
                .notify_parent_of_stop(pid, Some(info.signo));
        }
    }

    /// A handler runs: does the interrupted call start again after it?
    fn decide_restart(&mut self, action: &SigAction) {
        let Some((call, restart)) = self.interrupted.take() else {
            return;
        };
        let has_restart = SaFlags::from_bits_retain(action.flags).contains(SaFlags::RESTART);
        let again = match restart {
            Restart::NoIntr => true,
            Restart::Sys => has_restart,
            Restart::NoHand | Restart::Block(_) | Restart::Never => false,
        };
        if again {
            self.rewind(&call, call.nr);
        } else {
            self.task.registers().set_x(0, Errno::EINTR.to_return());
        }
    }

    fn restart_without_handler(&mut self) {
        let Some((call, restart)) = self.interrupted.take() else {
            return;
        };
        match restart {
            Restart::Never => self.task.registers().set_x(0, Errno::EINTR.to_return()),
            Restart::Block(block) => {
                self.task.set_restart_block(Some(block));
                self.rewind(&call, NR_RESTART_SYSCALL);
            }
            Restart::Sys | Restart::NoIntr | Restart::NoHand => self.rewind(&call, call.nr),
        }
    }

    fn rewind(&self, call: &Call, nr: u64) {
        let mut registers = self.task.registers();
        let pc = registers.pc().wrapping_sub(SVC_LEN);
        registers.set_pc(pc);
        registers.set_x(0, call.args[0]);
        registers.set_x(8, nr);
    }

    /// No handler took the mask of `sigsuspend` with it: put it back.
    fn restore_mask(&self) {
        let (signals, tid) = (self.task.signals(), self.task.tid());
        let saved: Option<SigSet> = signals.with_thread(tid, |t| t.saved.take()).flatten();
        if let Some(mask) = saved {
            signals.set_blocked(tid, mask);
        }
    }

    fn die(&mut self, status: ExitStatus) -> Step {
        self.waiting = None;
        if let Some(trace) = self.task.kernel.trace() {
            let text = match status {
                ExitStatus::Code(code) => format!("exited with {code}"),
                ExitStatus::Signal { signal, .. } => format!("killed by signal {signal}"),
            };
            trace.ended(&self.task, &text);
        }
        self.charge();
        self.task.end(status);
        Step::Stop(Polled::Finished)
    }
}

impl Work for Runner {
    fn poll(&mut self, cpu: &mut Cpu, context: &mut Context<'_>) -> Polled {
        loop {
            match self.step(cpu, context) {
                Step::GoOn => {}
                Step::Stop(polled) => {
                    self.charge();
                    return polled;
                }
            }
        }
    }
}

/// Adds the time since the guest was left to what the kernel took for the thread.
fn charge(task: &Task, left_ns: Option<u64>, now_ns: u64) {
    if let Some(left) = left_ns {
        task.system_ns
            .fetch_add(now_ns.saturating_sub(left), Ordering::Relaxed);
    }
}

/// `si_code` from the trapped-FP bits of the syndrome (Arm ARM D24.2.40, ISS of EC 0x2c).
const fn fp_code(esr: u64) -> i32 {
    const TFV: u64 = 1 << 23;
    match esr {
        e if e & TFV == 0 => FPE_FLTUNK,
        e if e & 1 != 0 => FPE_FLTINV,
        e if e & 2 != 0 => FPE_FLTDIV,
        e if e & 4 != 0 => FPE_FLTOVF,
        e if e & 8 != 0 => FPE_FLTUND,
        e if e & 16 != 0 => FPE_FLTRES,
        _ => FPE_FLTUNK,
    }
}
