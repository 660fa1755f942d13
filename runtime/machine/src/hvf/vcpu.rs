// SPDX-License-Identifier: MIT OR Apache-2.0
//! A processor of Hypervisor.framework.

use std::sync::{Arc, Mutex, PoisonError};

use applevisor::prelude::{ExitReason, InterruptType, Reg as AppleReg, SysReg as AppleSysReg};
use applevisor::prelude::{Vcpu as Processor, VirtualMachineInstance};
use applevisor::vm::GicDisabled;
use applevisor_sys as sys;

use super::{Handle, refusal};
use crate::hv::{Exit, HvError, Kick, Reg, SysReg, Vcpu};

pub(super) struct AppleVcpu {
    processor: Processor,
    handle: Handle,
}

impl AppleVcpu {
    pub(super) fn new(vm: &VirtualMachineInstance<GicDisabled>) -> Result<Self, HvError> {
        prepare_thread();
        let processor = vm.vcpu_create().map_err(refusal)?;
        let handle = Arc::new(Mutex::new(Some(processor.id())));
        Ok(Self { processor, handle })
    }
}

impl Drop for AppleVcpu {
    fn drop(&mut self) {
        // Kicks that come later find nothing; the processor is destroyed after this.
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Blocks the signals that are sent to the process and asks for a performance core.
/// Faults of the host itself stay deliverable: they are how a lost file page is seen.
fn prepare_thread() {
    // SAFETY: all-zero bytes are a valid set, which the next call overwrites.
    let mut blocked: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is this function's own.
    unsafe { libc::sigfillset(&raw mut blocked) };
    for fault in [
        libc::SIGBUS,
        libc::SIGSEGV,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGTRAP,
    ] {
        // SAFETY: as above, and the number is a signal.
        unsafe { libc::sigdelset(&raw mut blocked, fault) };
    }
    // SAFETY: changes only this thread's mask, and the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut()) };
    let class = libc::qos_class_t::QOS_CLASS_USER_INTERACTIVE;
    // SAFETY: concerns the calling thread only; failure leaves its class as it was.
    unsafe { libc::pthread_set_qos_class_self_np(class, 0) };
}

impl Vcpu for AppleVcpu {
    fn run(&mut self) -> Result<Exit, HvError> {
        self.processor.run().map_err(refusal)?;
        let exit = self.processor.get_exit_info();
        Ok(match exit.reason {
            ExitReason::CANCELED => Exit::Canceled,
            ExitReason::EXCEPTION => Exit::Exception {
                syndrome: exit.exception.syndrome,
                va: exit.exception.virtual_address,
                ipa: exit.exception.physical_address,
            },
            ExitReason::VTIMER_ACTIVATED => Exit::Timer,
            ExitReason::UNKNOWN => Exit::Unknown,
        })
    }

    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError> {
        self.processor.get_reg(general(reg)?).map_err(refusal)
    }

    fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError> {
        self.processor
            .set_reg(general(reg)?, value)
            .map_err(refusal)
    }

    fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError> {
        self.processor
            .set_sys_reg(system(reg)?, value)
            .map_err(refusal)
    }

    fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError> {
        self.processor
            .set_pending_interrupt(InterruptType::IRQ, on)
            .map_err(refusal)
    }

    /// Nothing: writers of instructions maintain the host's caches, which are the
    /// guest's, and the shim's own `IC IALLU` does the rest (docs/hvf.md, "Caches").
    fn invalidate_icache(&mut self) {}

    fn kick_handle(&self) -> Arc<dyn Kick> {
        Arc::new(AppleKick(Arc::clone(&self.handle)))
    }
}

struct AppleKick(Handle);

impl Kick for AppleKick {
    fn kick(&self) {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vcpu) = *handle {
            // SAFETY: one number, of a processor that the lock keeps from being
            // destroyed; the call is made for other threads and does not block.
            let status = unsafe { sys::hv_vcpus_exit(&raw const vcpu, 1) };
            debug_assert_eq!(status, 0, "hv_vcpus_exit");
        }
    }
}

fn general(reg: Reg) -> Result<AppleReg, HvError> {
    use AppleReg as R;
    const X: [AppleReg; 31] = [
        R::X0,
        R::X1,
        R::X2,
        R::X3,
        R::X4,
        R::X5,
        R::X6,
        R::X7,
        R::X8,
        R::X9,
        R::X10,
        R::X11,
        R::X12,
        R::X13,
        R::X14,
        R::X15,
        R::X16,
        R::X17,
        R::X18,
        R::X19,
        R::X20,
        R::X21,
        R::X22,
        R::X23,
        R::X24,
        R::X25,
        R::X26,
        R::X27,
        R::X28,
        R::X29,
        R::X30,
    ];
    match reg {
        Reg::X(number) => X
            .get(usize::from(number))
            .copied()
            .ok_or(HvError::BadArgument),
        Reg::Pc => Ok(R::PC),
        Reg::Cpsr => Ok(R::CPSR),
    }
}

fn system(reg: SysReg) -> Result<AppleSysReg, HvError> {
    use AppleSysReg as S;
    match reg {
        SysReg::SCTLR => Ok(S::SCTLR_EL1),
        SysReg::CPACR => Ok(S::CPACR_EL1),
        SysReg::TTBR0 => Ok(S::TTBR0_EL1),
        SysReg::TTBR1 => Ok(S::TTBR1_EL1),
        SysReg::TCR => Ok(S::TCR_EL1),
        SysReg::MAIR => Ok(S::MAIR_EL1),
        SysReg::VBAR => Ok(S::VBAR_EL1),
        SysReg::CNTKCTL => Ok(S::CNTKCTL_EL1),
        SysReg::SP_EL1 => Ok(S::SP_EL1),
        SysReg(_) => Err(HvError::BadArgument),
    }
}
