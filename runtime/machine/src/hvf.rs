// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor seam on Apple's Hypervisor.framework, through `applevisor`.
//!
//! [`AppleHypervisor`] makes the process's VM. Only calls that macOS 13 has are linked.
//! A processor lives on the thread that made it; the thread's signals are blocked,
//! because one that arrives inside a run ends it without a reason (docs/hvf.md,
//! "Threads and signals"). The only call from other threads is `hv_vcpus_exit`, under
//! a lock that outlives the processor, because its race with destruction is undefined.

use std::sync::Arc;
use std::time::Duration;

use applevisor::prelude::{
    FeatureReg, HypervisorError, VcpuConfig, VirtualMachine, VirtualMachineConfig,
    VirtualMachineInstance,
};
use applevisor::vm::GicDisabled;
use applevisor_sys as sys;

use crate::Ipa;
use crate::hv::{HvError, HvPerms, Hypervisor, Vcpu, Vm};
use crate::hwcap::IdRegisters;

mod vcpu;

use vcpu::AppleVcpu;

/// Bits of guest physical addresses where the machine can have them: enough for memory
/// and windows on files. docs/hvf.md, "IPA size".
const WANTED_IPA_BITS: u32 = 40;

/// Tries to make a VM. The system may give the resources of a VM that has just been
/// destroyed back late (docs/hvf.md, "One VM"): the first tries come quickly.
const CREATE_TRIES: u32 = 12;

/// Hypervisor.framework.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppleHypervisor;

impl Hypervisor for AppleHypervisor {
    fn create_vm(&self) -> Result<Box<dyn Vm>, HvError> {
        let mut pause = Duration::from_millis(5);
        for _ in 1..CREATE_TRIES {
            match create() {
                Err(HypervisorError::NoResources) => std::thread::sleep(pause),
                other => return finish(other),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        finish(create())
    }
}

fn finish(
    created: Result<VirtualMachineInstance<GicDisabled>, HypervisorError>,
) -> Result<Box<dyn Vm>, HvError> {
    match created {
        Ok(instance) => Ok(Box::new(AppleVm { instance })),
        Err(error) => Err(refusal(error)),
    }
}

fn create() -> Result<VirtualMachineInstance<GicDisabled>, HypervisorError> {
    let mut config = VirtualMachineConfig::new();
    let bits = VirtualMachineConfig::get_max_ipa_size()?.min(WANTED_IPA_BITS);
    config.set_ipa_size(bits)?;
    VirtualMachine::with_config(config)
}

/// What the framework's error means.
fn refusal(error: HypervisorError) -> HvError {
    match error {
        HypervisorError::Busy => HvError::Busy,
        HypervisorError::BadArgument => HvError::BadArgument,
        HypervisorError::NoResources | HypervisorError::NoDevice => HvError::NoResources,
        HypervisorError::IllegalState => HvError::IllegalState,
        HypervisorError::Denied => HvError::Denied,
        other => HvError::Other(i32::from(other).cast_unsigned()),
    }
}

/// Turns a return value of the framework into a result.
fn check(status: sys::hv_return_t) -> Result<(), HvError> {
    if status == sys::hv_error_t::HV_SUCCESS as sys::hv_return_t {
        Ok(())
    } else {
        Err(refusal(HypervisorError::from(status)))
    }
}

struct AppleVm {
    instance: VirtualMachineInstance<GicDisabled>,
}

fn size(len: usize) -> Result<usize, HvError> {
    if len == 0 {
        Err(HvError::BadArgument)
    } else {
        Ok(len)
    }
}

impl Vm for AppleVm {
    unsafe fn map(
        &self,
        host: *mut u8,
        ipa: Ipa,
        len: usize,
        perms: HvPerms,
    ) -> Result<(), HvError> {
        let flags = u64::from(perms.bits());
        // SAFETY: the caller keeps the memory; the framework checks the numbers.
        check(unsafe { sys::hv_vm_map(host.cast(), ipa.0, size(len)?, flags) })
    }

    fn unmap(&self, ipa: Ipa, len: usize) -> Result<(), HvError> {
        // SAFETY: takes memory away from the guest only; the framework checks the range.
        check(unsafe { sys::hv_vm_unmap(ipa.0, size(len)?) })
    }

    fn create_vcpu(&self) -> Result<Box<dyn Vcpu>, HvError> {
        Ok(Box::new(AppleVcpu::new(&self.instance)?))
    }

    fn id_registers(&self) -> IdRegisters {
        id_registers()
    }
}

/// What the framework says that a virtual processor can do. The registers that a
/// running processor shows may claim more than works (docs/hvf.md, "ID registers").
fn id_registers() -> IdRegisters {
    let config = VcpuConfig::new();
    let read = |register| config.get_feature_reg(register).unwrap_or(0);
    IdRegisters {
        pfr0: read(FeatureReg::ID_AA64PFR0_EL1),
        isar0: read(FeatureReg::ID_AA64ISAR0_EL1),
        isar1: read(FeatureReg::ID_AA64ISAR1_EL1),
        mmfr2: read(FeatureReg::ID_AA64MMFR2_EL1),
    }
}

/// A lock around the number of a processor, `None` once it is destroyed.
type Handle = Arc<std::sync::Mutex<Option<sys::hv_vcpu_t>>>;
