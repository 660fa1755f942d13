// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual processor whose calls are counted.
//!
//! Every register call of the runtime goes through here, so that tests can tell that
//! none is made on the way from one guest thread to another. It also steps over the
//! instructions that come out although the host has nothing to do for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::hv::{Exit, HvError, Kick, Reg, SysReg, Vcpu};
use crate::machine::Shared;

/// `ESR` class of a trapped `WFI` or `WFE`.
const EC_WAIT: u64 = 0x01;
/// `ESR` class of a trapped system register.
const EC_SYSTEM_REGISTER: u64 = 0x18;

pub(crate) struct Metered {
    vcpu: Box<dyn Vcpu>,
    shared: Arc<Shared>,
}

impl Metered {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, HvError> {
        let vcpu = shared.vm.create_vcpu()?;
        Ok(Self {
            vcpu,
            shared: Arc::clone(shared),
        })
    }

    fn count(&self) {
        self.shared
            .counters
            .register_calls
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn run(&mut self) -> Result<Exit, HvError> {
        self.shared.counters.exits.fetch_add(1, Ordering::Relaxed);
        self.vcpu.run()
    }

    pub(crate) fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError> {
        self.count();
        self.vcpu.set_reg(reg, value)
    }

    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError> {
        self.count();
        self.vcpu.get_reg(reg)
    }

    pub(crate) fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError> {
        self.count();
        self.vcpu.set_sys_reg(reg, value)
    }

    pub(crate) fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError> {
        self.vcpu.set_pending_irq(on)
    }

    pub(crate) fn invalidate_icache(&mut self) {
        self.vcpu.invalidate_icache();
    }

    pub(crate) fn kick_handle(&self) -> Arc<dyn Kick> {
        self.vcpu.kick_handle()
    }

    /// Goes on after an instruction that the hypervisor does not run itself: waiting
    /// ends at once, which the Arm ARM allows (D1.6.2), and system registers that it
    /// does not know read as 0 and ignore writes (docs/hvf.md, "Stray exits"). Answers
    /// whether it was one of these.
    pub(crate) fn step_over(&mut self, syndrome: u64) -> Result<bool, HvError> {
        match syndrome >> 26 {
            EC_WAIT => {}
            EC_SYSTEM_REGISTER => {
                let [low, ..] = (syndrome >> 5).to_le_bytes();
                let (is_read, target) = (syndrome & 1 != 0, low & 31);
                // 31 is the zero register.
                if is_read && target < 31 {
                    self.set_reg(Reg::X(target), 0)?;
                }
            }
            _ => return Ok(false),
        }
        self.shared
            .counters
            .stray_exits
            .fetch_add(1, Ordering::Relaxed);
        let pc = self.get_reg(Reg::Pc)?;
        self.set_reg(Reg::Pc, pc + 4)?;
        Ok(true)
    }
}
