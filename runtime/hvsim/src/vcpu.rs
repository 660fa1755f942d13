// SPDX-License-Identifier: GPL-2.0-only
//! A virtual processor: one instance of Unicorn, bound to its thread.
//!
//! The engine runs on a stack of its own (`carrier.rs`); what its hooks do is in
//! `hooks.rs`. A `hvc` comes out without ending the run, which goes on with the next
//! [`Vcpu::run`]; whatever must not happen inside a run ends it first.

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use elfuse_machine::hv::{Exit, HvError, Kick, Reg, SysReg, Vcpu};
use unicorn_engine_sys::RegisterARM64;

use crate::carrier::{Carrier, Link, Report};
use crate::engine::{Engine, Event, PAGE_SIZE, SysRegId};
use crate::exception::Exceptions;
use crate::hooks::{Core, PROBE_ADDRESS, on_edge, on_interrupt, on_maintenance, on_system_write};
use crate::tuning;
use crate::turn::Seat;
use crate::vm::{Mapping, Shared};

const SCR_EL3: SysRegId = SysRegId {
    op0: 3,
    op1: 6,
    crn: 1,
    crm: 1,
    op2: 0,
};
const HCR_EL2: SysRegId = SysRegId {
    op0: 3,
    op1: 4,
    crn: 1,
    crm: 1,
    op2: 0,
};

/// `HCR_EL2`: `WFI` and `WFE` come out, as they do from Apple's hypervisor
/// (docs/hvf.md, "Waiting"); EL1 is 64-bit and has pointer authentication.
const HCR: u64 = 1 << 13 | 1 << 14 | 1 << 31 | 1 << 40 | 1 << 41;

/// One processor.
pub(crate) struct SimVcpu {
    /// Dropped before the core, which it uses.
    carrier: Carrier,
    core: Rc<Core>,
    owner: u64,
    seat: Seat,
    mapped: Vec<Mapping>,
    generation: u64,
    code_epoch: u64,
    has_maintenance_hook: bool,
}

impl SimVcpu {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, HvError> {
        let engine = Engine::new()?;
        // EL3 lets `hvc` through to EL2, which is us.
        engine.set_sys(SCR_EL3, 0x30d01)?;
        engine.set_sys(HCR_EL2, HCR)?;
        // SAFETY: the instance is initialised: registers have been written.
        unsafe { tuning::skip_checks_in_blocks(engine.handle(), PAGE_SIZE) };
        let exceptions = Exceptions::new(&engine)?;
        let tlbs = exceptions.tlbs(&engine);
        let core = Rc::new(Core {
            tlbs,
            engine,
            shared: Arc::clone(shared),
            kick: Arc::default(),
            exit: Cell::new(None),
            has_irq: Cell::new(false),
            hidden: Cell::new(None),
            is_misaligned: Cell::new(false),
            exceptions,
            is_calibrating: Cell::new(false),
            link: Link::default(),
        });
        let seat = shared.turns.join(Arc::clone(&core.kick));
        shared.processors.fetch_add(1, Ordering::SeqCst);
        let cpu = Self {
            carrier: Carrier::new(Rc::clone(&core))?,
            core,
            owner: thread_number(),
            seat,
            mapped: Vec::new(),
            generation: 0,
            code_epoch: 0,
            has_maintenance_hook: false,
        };
        cpu.add_hook(Event::Interrupt, on_interrupt as *mut c_void)?;
        cpu.add_hook(Event::NewBlock, on_edge as *mut c_void)?;
        if cpu.core.tlbs.is_some() {
            cpu.add_hook(Event::KernelMaintenance, on_maintenance as *mut c_void)?;
            cpu.add_hook(Event::SystemWrite, on_system_write as *mut c_void)?;
        }
        cpu.calibrate()?;
        cpu.core.kick.attach(&cpu.core.engine);
        Ok(cpu)
    }

    fn add_hook(&self, event: Event, callback: *mut c_void) -> Result<(), HvError> {
        let data = Rc::as_ptr(&self.core).cast_mut().cast();
        // SAFETY: each callback has the signature of its kind and takes the core, which
        // owns the engine and does not move.
        unsafe { self.core.engine.hook(event, callback, data) }
    }

    /// Faults at a known address, to learn where the processor model keeps syndrome
    /// and address of an exception. A page of its own holds the empty table.
    fn calibrate(&self) -> Result<(), HvError> {
        let engine = &self.core.engine;
        let mut table = vec![0_u8; 3 * 4096];
        let start = table.as_mut_ptr();
        let page = start.wrapping_add(start.align_offset(4096));
        // SAFETY: the page is within `table`, which lives until the unmap below.
        unsafe { engine.map(0, 4096, 3, page) }?;
        let registers = [
            (SysReg::TCR, 16 | 16 << 16 | 2 << 30 | 2 << 32),
            (SysReg::TTBR0, 0),
            (SysReg::TTBR1, 0),
            (SysReg::SCTLR, 0x30d0_0980 | 1),
        ];
        for (register, value) in registers {
            engine.set_sys(register.into(), value)?;
        }
        self.set_state(0x3c5);
        engine.set(RegisterARM64::PC, PROBE_ADDRESS);
        self.core.is_calibrating.set(true);
        let outcome = engine.run();
        let is_found = !self.core.is_calibrating.replace(false);
        engine.set_sys(SysReg::SCTLR.into(), 0x30d0_0980)?;
        engine.unmap(0, 4096)?;
        outcome?;
        if is_found {
            Ok(())
        } else {
            Err(HvError::Other(1))
        }
    }

    fn check_owner(&self) -> Result<(), HvError> {
        let is_owner = thread_number() == self.owner;
        if is_owner {
            Ok(())
        } else {
            Err(HvError::BadArgument)
        }
    }

    /// Sets `PSTATE`; switches the stack pointer with the exception level.
    fn set_state(&self, value: u64) {
        let engine = &self.core.engine;
        let bank = |state: u64| match state & 0xf {
            5 => RegisterARM64::SP_EL1,
            _ => RegisterARM64::SP_EL0,
        };
        let old = engine.get(RegisterARM64::PSTATE);
        engine.set(bank(old), engine.get(RegisterARM64::SP));
        engine.set(RegisterARM64::PSTATE, value);
        engine.set(RegisterARM64::SP, engine.get(bank(value)));
        // Any system register makes the processor look at its new state.
        let written = engine.set_sys(HCR_EL2, HCR);
        debug_assert!(written.is_ok());
    }

    /// Does what has to be done before the guest goes on. Some of it ends the run that
    /// is in progress first.
    fn prepare(&mut self) -> Result<(), HvError> {
        let shared = &self.core.shared;
        let has_mappings = shared.generation.load(Ordering::SeqCst) != self.generation;
        let has_code = shared.code_epoch.load(Ordering::SeqCst) != self.code_epoch;
        let is_shared = shared.processors.load(Ordering::Relaxed) > 1;
        let has_company = is_shared && !self.has_maintenance_hook;
        if !(has_mappings || has_code || has_company || self.core.has_irq.get()) {
            return Ok(());
        }
        self.carrier.bring_out()?;
        self.sync_mappings()?;
        self.sync_code()?;
        if self.core.has_irq.get() {
            self.core.raise()?;
        }
        Ok(())
    }

    /// Takes over the mappings that changed.
    fn sync_mappings(&mut self) -> Result<(), HvError> {
        let generation = self.core.shared.generation.load(Ordering::SeqCst);
        if generation == self.generation {
            return Ok(());
        }
        let engine = &self.core.engine;
        let wanted = self.core.shared.mappings().clone();
        let mut is_less = false;
        self.core.drop_kept();
        for old in self.mapped.iter().filter(|old| !wanted.contains(old)) {
            engine.unmap(old.ipa, old.len)?;
            is_less = true;
        }
        for new in wanted.iter().filter(|new| !self.mapped.contains(new)) {
            let host = std::ptr::with_exposed_provenance_mut(new.host);
            // SAFETY: whoever mapped it promised that the memory stays.
            unsafe { engine.map(new.ipa, new.len, new.perms.bits(), host) }?;
        }
        if is_less {
            self.core.forget_translations();
            engine.forget_code();
        }
        self.mapped = wanted;
        self.generation = generation;
        Ok(())
    }

    /// Follows what other processors said about instructions they wrote.
    fn sync_code(&mut self) -> Result<(), HvError> {
        let shared = &self.core.shared;
        let is_shared = shared.processors.load(Ordering::Relaxed) > 1;
        if is_shared && !self.has_maintenance_hook {
            self.add_hook(Event::Maintenance, on_maintenance as *mut c_void)?;
            self.has_maintenance_hook = true;
            self.core.engine.forget_code();
        }
        let epoch = self.core.shared.code_epoch.load(Ordering::SeqCst);
        if epoch != self.code_epoch {
            self.code_epoch = epoch;
            self.core.engine.forget_code();
        }
        Ok(())
    }
}

impl Drop for SimVcpu {
    fn drop(&mut self) {
        self.core.shared.turns.part(&self.seat);
        self.core.kick.detach();
        self.core.shared.processors.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Vcpu for SimVcpu {
    fn run(&mut self) -> Result<Exit, HvError> {
        self.check_owner()?;
        let core = Rc::clone(&self.core);
        // A kick before the run is kept or lost by chance: nobody may rely on either.
        if core.kick.take() && core.shared.toss() {
            core.has_irq.set(false);
            return Ok(Exit::Canceled);
        }
        let exit = loop {
            let turn = core.shared.turns.take(&self.seat);
            self.prepare()?;
            let report = self.carrier.go();
            core.reveal();
            if let Report::Inside(exit) = report {
                break exit;
            }
            if core.is_misaligned.take() {
                core.take_misaligned();
            }
            drop(turn);
            if let Report::Outside(outcome) = report {
                outcome?;
            }
            if let Some(exit) = core.exit.take() {
                break exit;
            }
            if core.kick.take() {
                break Exit::Canceled;
            }
        };
        self.core.has_irq.set(false);
        if exit == Exit::Canceled {
            // Whoever is kicked has run for a while: let the cache of translations
            // grow, which it only does when it is emptied.
            self.core.engine.forget_translations();
        }
        Ok(exit)
    }

    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError> {
        self.check_owner()?;
        Ok(self.core.engine.get(register(reg)?))
    }

    fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError> {
        self.check_owner()?;
        match reg {
            Reg::Cpsr => self.set_state(value),
            reg => self.core.engine.set(register(reg)?, value),
        }
        Ok(())
    }

    fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError> {
        self.check_owner()?;
        let engine = &self.core.engine;
        if reg == SysReg::SP_EL1 {
            engine.set(RegisterARM64::SP_EL1, value);
            if engine.get(RegisterARM64::PSTATE) & 0xf == 5 {
                engine.set(RegisterARM64::SP, value);
            }
            return Ok(());
        }
        self.core.drop_kept();
        engine.set_sys(reg.into(), value)
    }

    fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError> {
        self.check_owner()?;
        self.core.has_irq.set(on);
        Ok(())
    }

    fn invalidate_icache(&mut self) {
        // Nothing is lost with an error: the next run reports it again.
        let is_out = self.carrier.bring_out();
        debug_assert!(is_out.is_ok(), "end the run in progress");
        self.core.engine.forget_code();
    }

    fn kick_handle(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.core.kick) as Arc<dyn Kick>
    }
}

/// A number of the calling thread that no other thread ever has.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// The general registers.
pub(crate) const X: [RegisterARM64; 31] = [
    RegisterARM64::X0,
    RegisterARM64::X1,
    RegisterARM64::X2,
    RegisterARM64::X3,
    RegisterARM64::X4,
    RegisterARM64::X5,
    RegisterARM64::X6,
    RegisterARM64::X7,
    RegisterARM64::X8,
    RegisterARM64::X9,
    RegisterARM64::X10,
    RegisterARM64::X11,
    RegisterARM64::X12,
    RegisterARM64::X13,
    RegisterARM64::X14,
    RegisterARM64::X15,
    RegisterARM64::X16,
    RegisterARM64::X17,
    RegisterARM64::X18,
    RegisterARM64::X19,
    RegisterARM64::X20,
    RegisterARM64::X21,
    RegisterARM64::X22,
    RegisterARM64::X23,
    RegisterARM64::X24,
    RegisterARM64::X25,
    RegisterARM64::X26,
    RegisterARM64::X27,
    RegisterARM64::X28,
    RegisterARM64::X29,
    RegisterARM64::X30,
];

fn register(reg: Reg) -> Result<RegisterARM64, HvError> {
    match reg {
        Reg::X(n) => X.get(usize::from(n)).copied().ok_or(HvError::BadArgument),
        Reg::Pc => Ok(RegisterARM64::PC),
        Reg::Cpsr => Ok(RegisterARM64::PSTATE),
    }
}
