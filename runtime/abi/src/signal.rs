// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm-generic/signal.h`, `siginfo.h` and arm64's `sigcontext.h`.
//!
//! Signal numbers, `sigaction`, `siginfo` and the frame that a handler finds on
//! its stack. Linux 6.12.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Number of signals.
pub const NSIG: i32 = 64;
/// First real-time signal.
pub const SIGRTMIN: i32 = 32;

macro_rules! signals {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: i32 = $value;)*

        /// The name of a signal below the real-time ones.
        #[must_use]
        pub const fn name(signal: i32) -> Option<&'static str> {
            match signal {
                $($value => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

signals! {
    SIGHUP = 1, "Hangup.";
    SIGINT = 2, "Interrupt from the keyboard.";
    SIGQUIT = 3, "Quit from the keyboard.";
    SIGILL = 4, "Illegal instruction.";
    SIGTRAP = 5, "Trap.";
    SIGABRT = 6, "Abort.";
    SIGBUS = 7, "Bad memory access.";
    SIGFPE = 8, "Arithmetic.";
    SIGKILL = 9, "Kill.";
    SIGUSR1 = 10, "For the program.";
    SIGSEGV = 11, "Invalid memory.";
    SIGUSR2 = 12, "For the program.";
    SIGPIPE = 13, "Pipe without readers.";
    SIGALRM = 14, "Timer.";
    SIGTERM = 15, "Termination.";
    SIGSTKFLT = 16, "Unused.";
    SIGCHLD = 17, "Child changed state.";
    SIGCONT = 18, "Continue.";
    SIGSTOP = 19, "Stop.";
    SIGTSTP = 20, "Stop from the keyboard.";
    SIGTTIN = 21, "Background read.";
    SIGTTOU = 22, "Background write.";
    SIGURG = 23, "Urgent data.";
    SIGXCPU = 24, "Processor limit.";
    SIGXFSZ = 25, "File size limit.";
    SIGVTALRM = 26, "Virtual timer.";
    SIGPROF = 27, "Profiling timer.";
    SIGWINCH = 28, "Window size.";
    SIGIO = 29, "I/O possible.";
    SIGPWR = 30, "Power.";
    SIGSYS = 31, "Bad system call.";
}

bitflags! {
    /// `SA_*`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SaFlags: u64 {
        /// No `SIGCHLD` for stopped children.
        const NOCLDSTOP = 1;
        /// Children leave no zombies.
        const NOCLDWAIT = 2;
        /// The handler takes a `siginfo`.
        const SIGINFO = 4;
        /// `sa_restorer` is set.
        const RESTORER = 0x0400_0000;
        /// On the alternate stack.
        const ONSTACK = 0x0800_0000;
        /// System calls restart.
        const RESTART = 0x1000_0000;
        /// The signal is not blocked in its handler.
        const NODEFER = 0x4000_0000;
        /// Back to the default when taken.
        const RESETHAND = 0x8000_0000;
        /// Address tag bits are kept.
        const EXPOSE_TAGBITS = 0x800;
    }
}

/// Default action.
pub const SIG_DFL: u64 = 0;
/// Ignore.
pub const SIG_IGN: u64 = 1;

/// `struct sigaction` as the kernel takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigAction {
    /// Handler, [`SIG_DFL`] or [`SIG_IGN`].
    pub handler: u64,
    /// [`SaFlags`].
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while it runs.
    pub mask: u64,
}
const _: () = assert!(size_of::<SigAction>() == 32);

/// `sigprocmask`: add.
pub const SIG_BLOCK: i32 = 0;
/// `sigprocmask`: remove.
pub const SIG_UNBLOCK: i32 = 1;
/// `sigprocmask`: replace.
pub const SIG_SETMASK: i32 = 2;

/// `sigaltstack`: in use.
pub const SS_ONSTACK: i32 = 1;
/// `sigaltstack`: none.
pub const SS_DISABLE: i32 = 2;
/// `sigaltstack`: disarmed while a handler runs on it.
pub const SS_AUTODISARM: i32 = i32::MIN;
/// Smallest alternate stack on arm64.
pub const MINSIGSTKSZ: u64 = 5120;

/// `stack_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigStack {
    /// Lowest address.
    pub sp: u64,
    /// `SS_*`.
    pub flags: i32,
    /// Padding.
    pub pad: u32,
    /// Size.
    pub size: u64,
}
const _: () = assert!(size_of::<SigStack>() == 24);

/// `si_code`: from `kill`.
pub const SI_USER: i32 = 0;
/// `si_code`: from the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code`: from `sigqueue`.
pub const SI_QUEUE: i32 = -1;
/// `si_code`: from a POSIX timer.
pub const SI_TIMER: i32 = -2;
/// `si_code`: from a message queue.
pub const SI_MESGQ: i32 = -3;
/// `si_code`: from `tkill`.
pub const SI_TKILL: i32 = -6;
/// `SIGSEGV`: nothing mapped.
pub const SEGV_MAPERR: i32 = 1;
/// `SIGSEGV`: not permitted.
pub const SEGV_ACCERR: i32 = 2;
/// `SIGBUS`: alignment.
pub const BUS_ADRALN: i32 = 1;
/// `SIGBUS`: behind the end of the file.
pub const BUS_ADRERR: i32 = 2;
/// `SIGILL`: operation code.
pub const ILL_ILLOPC: i32 = 1;
/// `SIGTRAP`: breakpoint.
pub const TRAP_BRKPT: i32 = 1;
/// `SIGFPE`: division by zero.
pub const FPE_FLTDIV: i32 = 3;
/// `SIGFPE`: overflow.
pub const FPE_FLTOVF: i32 = 4;
/// `SIGFPE`: underflow.
pub const FPE_FLTUND: i32 = 5;
/// `SIGFPE`: inexact.
pub const FPE_FLTRES: i32 = 6;
/// `SIGFPE`: invalid operation.
pub const FPE_FLTINV: i32 = 7;
/// `SIGFPE`: unknown.
pub const FPE_FLTUNK: i32 = 14;
/// `SIGCHLD`: exited.
pub const CLD_EXITED: i32 = 1;
/// `SIGCHLD`: killed.
pub const CLD_KILLED: i32 = 2;
/// `SIGCHLD`: killed, core dumped.
pub const CLD_DUMPED: i32 = 3;
/// `SIGCHLD`: stopped.
pub const CLD_STOPPED: i32 = 5;
/// `SIGCHLD`: continued.
pub const CLD_CONTINUED: i32 = 6;
/// `SIGIO`: input.
pub const POLL_IN: i32 = 1;

/// `siginfo_t`: 128 bytes, the payload by signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigInfo {
    /// Signal.
    pub signo: i32,
    /// Error number, 0 nearly always.
    pub errno: i32,
    /// `SI_*` and others: who sent it.
    pub code: i32,
    /// Padding.
    pub pad: i32,
    /// By `code`: pid and uid, address, value.
    pub fields: [u64; 14],
}
const _: () = assert!(size_of::<SigInfo>() == 128);

impl SigInfo {
    /// A signal without payload.
    #[must_use]
    pub const fn new(signo: i32, code: i32) -> Self {
        Self {
            signo,
            errno: 0,
            code,
            pad: 0,
            fields: [0; 14],
        }
    }

    /// With the sender's pid and uid (`kill`, `tkill`, `SIGCHLD`).
    #[must_use]
    pub const fn with_sender(mut self, pid: i32, uid: u32) -> Self {
        self.fields[0] = (pid.cast_unsigned() as u64) | ((uid as u64) << 32);
        self
    }

    /// With a child's exit status (`SIGCHLD`).
    #[must_use]
    pub const fn with_status(mut self, status: i32) -> Self {
        self.fields[1] = status.cast_unsigned() as u64;
        self
    }

    /// With a fault address.
    #[must_use]
    pub const fn with_addr(mut self, addr: u64) -> Self {
        self.fields[0] = addr;
        self
    }

    /// With a value (`sigqueue`, timers).
    #[must_use]
    pub const fn with_value(mut self, value: u64) -> Self {
        self.fields[1] = value;
        self
    }

    /// The sender's pid.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        ((self.fields[0] & 0xffff_ffff) as u32).cast_signed()
    }

    /// The sender's user id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        (self.fields[0] >> 32) as u32
    }
}

/// `struct sigcontext` up to its extension area.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigContext {
    /// Address of a fault.
    pub fault_address: u64,
    /// `x0` to `x30`.
    pub regs: [u64; 31],
    /// Stack pointer.
    pub sp: u64,
    /// Program counter.
    pub pc: u64,
    /// Processor state.
    pub pstate: u64,
    /// Pads the extension area to 16 bytes.
    pub pad: u64,
    /// Records of extended state.
    pub reserved: [u8; 4096],
}
const _: () = assert!(size_of::<SigContext>() == 4384);

/// `struct ucontext`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct UContext {
    /// 0.
    pub flags: u64,
    /// 0.
    pub link: u64,
    /// Alternate stack.
    pub stack: SigStack,
    /// Mask to restore.
    pub sigmask: u64,
    /// Room for longer masks, and alignment.
    pub unused: [u64; 16],
    /// Registers.
    pub mcontext: SigContext,
}
const _: () = assert!(size_of::<UContext>() == 4560);

/// What a handler finds on its stack.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RtSigFrame {
    /// Why.
    pub info: SigInfo,
    /// What to restore.
    pub uc: UContext,
}
const _: () = assert!(size_of::<RtSigFrame>() == 4688);

/// Magic of the record with vector registers.
pub const FPSIMD_MAGIC: u32 = 0x4650_8001;
/// Its size.
pub const FPSIMD_SIZE: u32 = 528;
/// Magic of the record with the fault's syndrome.
pub const ESR_MAGIC: u32 = 0x4553_5201;
/// Its size.
pub const ESR_SIZE: u32 = 16;

/// `sigevent`: a signal.
pub const SIGEV_SIGNAL: i32 = 0;
/// `sigevent`: nothing.
pub const SIGEV_NONE: i32 = 1;
/// `sigevent`: a thread (the library's business).
pub const SIGEV_THREAD: i32 = 2;
/// `sigevent`: a signal to one thread.
pub const SIGEV_THREAD_ID: i32 = 4;

/// `struct sigevent`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SigEvent {
    /// Goes with the signal.
    pub value: u64,
    /// Signal.
    pub signo: i32,
    /// `SIGEV_*`.
    pub notify: i32,
    /// Thread for `SIGEV_THREAD_ID`.
    pub tid: i32,
    /// Pads to 64 bytes.
    pub pad: [i32; 11],
}
const _: () = assert!(size_of::<SigEvent>() == 64);
