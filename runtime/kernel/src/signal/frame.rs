// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame that a signal handler finds on its stack, and the way back.
//!
//! Layout and register values are those of Linux 6.12
//! `arch/arm64/kernel/signal.c` (`setup_rt_frame`, `sys_rt_sigreturn`): `siginfo`
//! and `ucontext` with an FPSIMD record, an ESR record for faults, and a frame
//! record above for unwinders.

use std::sync::Arc;

use elfuse_machine::FpState;
use linux_abi::Errno;
use linux_abi::signal::{
    ESR_MAGIC, ESR_SIZE, FPSIMD_MAGIC, FPSIMD_SIZE, RtSigFrame, SIGBUS, SIGSEGV, SS_AUTODISARM,
    SS_DISABLE, SS_ONSTACK, SaFlags, SigAction, SigContext, SigInfo, SigStack, UContext,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::SigSet;
use crate::mm::UserAddr;
use crate::task::Task;

/// Bytes of [`RtSigFrame`] and of the frame record above it.
const FRAME_LEN: u64 = 4688;
const RECORD_LEN: u64 = 16;
/// Bits of `pstate` that a program may set: condition flags, and those of its own
/// (`DIT`, `SSBS`, `BTYPE`) that it cannot misuse.
const PSTATE_NZCV: u64 = 0xf000_0000;

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct FpRecord {
    magic: u32,
    size: u32,
    fpsr: u32,
    fpcr: u32,
    v: [u128; 32],
}
const _: () = assert!(size_of::<FpRecord>() == 528);

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct EsrRecord {
    magic: u32,
    size: u32,
    esr: u64,
}

/// Is `sp` on the alternate stack?
fn is_on(stack: &SigStack, sp: u64) -> bool {
    stack.flags & SS_AUTODISARM == 0 && sp > stack.sp && sp - stack.sp <= stack.size
}

/// The alternate stack as `sigaltstack` reports it to a thread at `sp`.
#[must_use]
pub fn reported(stack: &SigStack, sp: u64) -> SigStack {
    let state = if stack.size == 0 {
        SS_DISABLE
    } else if is_on(stack, sp) {
        SS_ONSTACK
    } else {
        0
    };
    SigStack {
        flags: state | (stack.flags & SS_AUTODISARM),
        pad: 0,
        ..*stack
    }
}

/// Sets up the handler of `action`: afterwards the thread runs it.
///
/// # Errors
/// `EFAULT` when the frame cannot be written.
pub fn push(task: &Arc<Task>, action: &SigAction, info: &SigInfo) -> Result<(), Errno> {
    let flags = SaFlags::from_bits_retain(action.flags);
    let (tid, signals) = (task.tid(), task.signals());
    let state = signals.with_thread(tid, |t| (t.saved.take(), t.blocked, t.altstack));
    let (saved, blocked, altstack) = state.ok_or(Errno::ESRCH)?;
    let restored = saved.unwrap_or(blocked);
    let sp = task.registers().sp();
    let base = choose_stack(&altstack, flags, sp)?;
    let record = base.checked_sub(RECORD_LEN).ok_or(Errno::EFAULT)? & !15;
    let frame_addr = record.checked_sub(FRAME_LEN).ok_or(Errno::EFAULT)? & !15;
    write_frame(task, info, frame_addr, restored, &reported(&altstack, sp))?;
    let link = {
        let registers = task.registers();
        [registers.x(29), registers.x(30)]
    };
    task.write_value(UserAddr(record), &link)?;
    let return_to = if flags.contains(SaFlags::RESTORER) {
        action.restorer
    } else {
        task.mm()?.layout().sigreturn
    };
    let mut registers = task.registers();
    registers.set_x(0, u64::from(info.signo.cast_unsigned()));
    registers.set_x(1, frame_addr);
    registers.set_x(2, frame_addr + 128);
    registers.set_x(29, record);
    registers.set_x(30, return_to);
    registers.set_sp(frame_addr);
    registers.set_pc(action.handler);
    drop(registers);
    let mut mask = blocked | SigSet(action.mask);
    if !flags.contains(SaFlags::NODEFER) {
        mask.add(info.signo);
    }
    signals.with_thread(tid, |thread| {
        if thread.altstack.flags & SS_AUTODISARM != 0 {
            thread.altstack = SigStack {
                flags: SS_DISABLE,
                ..SigStack::default()
            };
        }
    });
    signals.set_blocked(tid, mask);
    Ok(())
}

fn choose_stack(altstack: &SigStack, flags: SaFlags, sp: u64) -> Result<u64, Errno> {
    let is_usable = altstack.size != 0 && altstack.flags & SS_DISABLE == 0;
    if is_on(altstack, sp) && is_usable {
        // An overflow of the alternate stack must not go unnoticed.
        let below = sp.wrapping_sub(FRAME_LEN + RECORD_LEN + 16);
        return if is_on(altstack, below) {
            Ok(sp)
        } else {
            Err(Errno::EFAULT)
        };
    }
    if flags.contains(SaFlags::ONSTACK) && is_usable {
        return Ok(altstack.sp.wrapping_add(altstack.size));
    }
    Ok(sp)
}

fn write_frame(
    task: &Arc<Task>,
    info: &SigInfo,
    at: u64,
    mask: SigSet,
    stack: &SigStack,
) -> Result<(), Errno> {
    let registers = task.registers();
    let fp = registers.fp();
    let is_fault = matches!(info.signo, SIGSEGV | SIGBUS) && info.code > 0;
    let mut mcontext = SigContext {
        fault_address: if is_fault { info.fields[0] } else { 0 },
        regs: std::array::from_fn(|n| registers.x(n)),
        sp: registers.sp(),
        pc: registers.pc(),
        pstate: registers.pstate(),
        pad: 0,
        reserved: [0; 4096],
    };
    drop(registers);
    let record = FpRecord {
        magic: FPSIMD_MAGIC,
        size: FPSIMD_SIZE,
        fpsr: fp.fpsr,
        fpcr: fp.fpcr,
        v: fp.v,
    };
    let fp_len = size_of::<FpRecord>();
    mcontext.reserved[..fp_len].copy_from_slice(record.as_bytes());
    if is_fault {
        let esr = EsrRecord {
            magic: ESR_MAGIC,
            size: ESR_SIZE,
            esr: task.last_syndrome(),
        };
        mcontext.reserved[fp_len..fp_len + 16].copy_from_slice(esr.as_bytes());
    }
    let uc = UContext {
        flags: 0,
        link: 0,
        stack: *stack,
        sigmask: mask.0,
        unused: [0; 16],
        mcontext,
    };
    let frame = RtSigFrame { info: *info, uc };
    task.write_value(UserAddr(at), &frame)
}

/// `rt_sigreturn`: goes back to what the handler interrupted; answers `x0`.
///
/// # Errors
/// `EFAULT` when there is no frame: the program gets `SIGSEGV`.
pub fn pop(task: &Arc<Task>) -> Result<u64, Errno> {
    let sp = task.registers().sp();
    if sp & 15 != 0 {
        return Err(Errno::EFAULT);
    }
    let frame: RtSigFrame = task.read_value(UserAddr(sp))?;
    let context = &frame.uc.mcontext;
    let fp = find_fp(&context.reserved)?;
    let mut registers = task.registers();
    for (n, value) in context.regs.iter().enumerate() {
        registers.set_x(n, *value);
    }
    registers.set_sp(context.sp);
    registers.set_pc(context.pc);
    registers.set_pstate(context.pstate & PSTATE_NZCV);
    registers.set_fp(&fp);
    drop(registers);
    let (tid, signals) = (task.tid(), task.signals());
    signals.set_blocked(tid, SigSet(frame.uc.sigmask));
    let stack = frame.uc.stack;
    // As Linux, a stack that could not be set again is silently left.
    let _ = set_altstack(task, stack, context.sp);
    Ok(context.regs[0])
}

fn find_fp(reserved: &[u8; 4096]) -> Result<FpState, Errno> {
    let mut at = 0;
    while at + 8 <= reserved.len() {
        let word = |from: usize| {
            let bytes = reserved.get(from..from + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        let (magic, size) = (word(at), word(at + 4));
        let len = usize::try_from(size).map_err(|_| Errno::EFAULT)?;
        if magic == 0 && size == 0 {
            break;
        }
        if len < 16 || len % 16 != 0 || at + len > reserved.len() {
            break;
        }
        if magic == FPSIMD_MAGIC && size == FPSIMD_SIZE {
            let record = FpRecord::read_from_bytes(&reserved[at..at + len]);
            let record = record.map_err(|_| Errno::EFAULT)?;
            return Ok(FpState {
                v: record.v,
                fpsr: record.fpsr,
                fpcr: record.fpcr,
            });
        }
        at += len;
    }
    Err(Errno::EFAULT)
}

/// `sigaltstack`: sets the alternate stack of a thread whose stack pointer is `sp`.
///
/// # Errors
/// `EPERM` while on it, `EINVAL` for unknown flags, `ENOMEM` when too small.
pub fn set_altstack(task: &Task, new: SigStack, sp: u64) -> Result<(), Errno> {
    let change = task.signals().with_thread(task.tid(), |thread| {
        if is_on(&thread.altstack, sp) && thread.altstack.size != 0 {
            return Err(Errno::EPERM);
        }
        let mode = new.flags & !SS_AUTODISARM;
        if mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK {
            return Err(Errno::EINVAL);
        }
        if mode == SS_DISABLE {
            thread.altstack = SigStack {
                flags: new.flags,
                ..SigStack::default()
            };
            return Ok(());
        }
        if new.size < linux_abi::signal::MINSIGSTKSZ {
            return Err(Errno::ENOMEM);
        }
        thread.altstack = SigStack {
            flags: new.flags & SS_AUTODISARM,
            pad: 0,
            ..new
        };
        Ok(())
    });
    change.unwrap_or(Err(Errno::ESRCH))
}
