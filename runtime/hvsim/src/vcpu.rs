// SPDX-License-Identifier: GPL-2.0-only
//! A virtual processor: one instance of Unicorn, bound to its thread.
//!
//! Hooks run inside `Engine::run` and see the processor through shared references, so
//! what they change is in cells. Nothing is called for each block of guest code: a kick
//! stops the engine from its own thread, an interrupt that has to wait for EL0 lets the
//! first fetch there fail, and a misaligned program counter shows when a block is
//! translated.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::ThreadId;

use elfuse_machine::hv::{Exit, HvError, Kick, Reg, SysReg, Vcpu};
use unicorn_engine_sys::{HookType, RegisterARM64, RegisterARM64CP, TranslationBlock, uc_engine};

use crate::engine::{Engine, PAGE_SIZE, SysRegId};
use crate::exception::{self, Probe, Syndrome};
use crate::kick::SimKick;
use crate::tuning;
use crate::vm::{Mapping, Shared};

/// Interrupt numbers of the processor model (QEMU `EXCP_*`).
const EXCP_UDEF: u32 = 1;
const EXCP_SWI: u32 = 2;
const EXCP_PREFETCH_ABORT: u32 = 3;
const EXCP_DATA_ABORT: u32 = 4;
const EXCP_BKPT: u32 = 7;
const EXCP_HVC: u32 = 11;

/// Vectors for exceptions from EL0.
const VECTOR_SYNC: u64 = 0x400;
const VECTOR_IRQ: u64 = 0x480;

/// `ESR`: `SVC #0` and `HVC #0` of AArch64, with the length bit.
const SVC_SYNDROME: u64 = 0x5600_0000;
const HVC_SYNDROME: u64 = 0x5a00_0000;
/// `ESR`: the program counter is not aligned.
const PC_ALIGNMENT: u64 = 0x8a00_0000;

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
/// `ESR`: class of a trapped `WFI`.
const CLASS_WAIT: u64 = 0x01;
/// `TCR_EL1`: no walks of the lower half.
const EPD0: u64 = 1 << 7;

/// What hooks and the processor share.
struct Core {
    engine: Engine,
    shared: Arc<Shared>,
    kick: Arc<SimKick>,
    exit: Cell<Option<Exit>>,
    has_irq: Cell<bool>,
    /// `TCR_EL1` as it was before the lower half was hidden.
    hidden: Cell<Option<u64>>,
    is_misaligned: Cell<bool>,
    probe: RefCell<Probe>,
    /// Immediates of `hvc` instructions by the address after them.
    immediates: RefCell<BTreeMap<u64, u64>>,
    is_calibrating: Cell<bool>,
}

/// One processor.
pub(crate) struct SimVcpu {
    core: Box<Core>,
    owner: ThreadId,
    mapped: Vec<Mapping>,
    generation: u64,
    code_epoch: u64,
    has_maintenance_hook: bool,
}

/// Where the calibration faults: an address that no register has by chance.
const PROBE_ADDRESS: u64 = 0x0000_5a5a_1234_5678;

impl SimVcpu {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, HvError> {
        let engine = Engine::new()?;
        // EL3 lets `hvc` through to EL2, which is us.
        engine.set_sys(SCR_EL3, 0x30d01)?;
        engine.set_sys(HCR_EL2, HCR)?;
        // SAFETY: the instance is initialised: registers have been written.
        unsafe { tuning::skip_checks_in_blocks(engine.handle(), PAGE_SIZE) };
        let probe = RefCell::new(Probe::new(&engine)?);
        let core = Box::new(Core {
            engine,
            shared: Arc::clone(shared),
            kick: Arc::default(),
            exit: Cell::new(None),
            has_irq: Cell::new(false),
            hidden: Cell::new(None),
            is_misaligned: Cell::new(false),
            probe,
            immediates: RefCell::default(),
            is_calibrating: Cell::new(false),
        });
        let cpu = Self {
            core,
            owner: std::thread::current().id(),
            mapped: Vec::new(),
            generation: 0,
            code_epoch: 0,
            has_maintenance_hook: false,
        };
        cpu.add_hook(HookType::INTR, on_interrupt as *mut c_void)?;
        cpu.add_hook(HookType::EDGE_GENERATED, on_edge as *mut c_void)?;
        cpu.calibrate()?;
        cpu.core.kick.attach(&cpu.core.engine);
        shared.processors.fetch_add(1, Ordering::SeqCst);
        Ok(cpu)
    }

    fn add_hook(&self, kind: HookType, callback: *mut c_void) -> Result<(), HvError> {
        let data = (&raw const *self.core).cast_mut().cast();
        // SAFETY: each callback has the signature of its kind and takes the core, which
        // owns the engine and does not move.
        unsafe { self.core.engine.hook(kind, callback, data) }
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
        let is_owner = std::thread::current().id() == self.owner;
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

    /// Takes over the mappings that changed.
    fn sync_mappings(&mut self) -> Result<(), HvError> {
        let generation = self.core.shared.generation.load(Ordering::SeqCst);
        if generation == self.generation {
            return Ok(());
        }
        let engine = &self.core.engine;
        let wanted = self.core.shared.mappings().clone();
        let mut is_less = false;
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
            engine.forget_translations();
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
            self.add_hook(HookType::INSN, on_maintenance as *mut c_void)?;
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
        self.core.kick.detach();
        self.core.shared.processors.fetch_sub(1, Ordering::SeqCst);
    }
}

extern "C" fn on_interrupt(_: *mut uc_engine, number: u32, data: *mut c_void) {
    // SAFETY: the hook was added with the core, which outlives the engine.
    let core = unsafe { &*data.cast::<Core>() };
    core.interrupt(number);
}

/// A block was translated, and runs next.
extern "C" fn on_edge(
    _: *mut uc_engine,
    block: *mut TranslationBlock,
    _: *mut TranslationBlock,
    data: *mut c_void,
) {
    // SAFETY: as in `on_interrupt`.
    let core = unsafe { &*data.cast::<Core>() };
    // SAFETY: Unicorn describes the block for the time of the call.
    let address = unsafe { &*block }.pc;
    if address & 3 != 0 {
        core.is_misaligned.set(true);
        core.stop(None);
    }
}

/// Cache maintenance by address, `IC IVAU`: other processors may have translated what
/// was there. Everything goes on as usual afterwards.
extern "C" fn on_maintenance(
    _: *mut uc_engine,
    _: u32,
    register: *const RegisterARM64CP,
    data: *mut c_void,
) -> u32 {
    // SAFETY: as in `on_interrupt`.
    let core = unsafe { &*data.cast::<Core>() };
    // SAFETY: Unicorn describes the instruction for the time of the call.
    let register = unsafe { &*register };
    if (register.op1, register.crn, register.crm, register.op2) == (3, 7, 5, 1) {
        core.shared.code_epoch.fetch_add(1, Ordering::SeqCst);
    }
    0
}

impl Core {
    fn stop(&self, exit: Option<Exit>) {
        self.exit.set(exit);
        self.engine.stop();
    }

    /// The processor model does not check the alignment of the program counter.
    fn take_misaligned(&self) {
        let far = self.engine.get(RegisterARM64::PC);
        let syndrome = Syndrome {
            esr: PC_ALIGNMENT,
            far: Some(far),
        };
        exception::take(&self.engine, VECTOR_SYNC, Some(syndrome));
        // The block is not announced again while it is known.
        self.engine.forget_code();
    }

    /// Raises the interrupt: now, or at the first fetch of EL0.
    fn raise(&self) -> Result<(), HvError> {
        if exception::is_open(&self.engine) {
            self.has_irq.set(false);
            exception::take(&self.engine, VECTOR_IRQ, None);
        } else if self.hidden.get().is_none() {
            let tcr = self.engine.get_sys(SysReg::TCR.into())?;
            self.engine.set_sys(SysReg::TCR.into(), tcr | EPD0)?;
            self.hidden.set(Some(tcr));
            // What is cached would still be found.
            self.engine.forget_translations();
        }
        Ok(())
    }

    /// Undoes what [`Core::raise`] did to wait for EL0.
    fn reveal(&self) -> bool {
        let Some(tcr) = self.hidden.take() else {
            return false;
        };
        let written = self.engine.set_sys(SysReg::TCR.into(), tcr);
        debug_assert!(written.is_ok());
        true
    }

    /// A fault, an undefined instruction, or one that waits.
    fn fault(&self, number: u32) {
        let (esr, address) = self.probe.borrow().fault(&self.engine);
        let pc = self.engine.get(RegisterARM64::PC);
        if esr >> 26 == CLASS_WAIT {
            return self.stop(Some(Exit::Exception {
                syndrome: esr,
                va: 0,
                ipa: 0,
            }));
        }
        if number == EXCP_PREFETCH_ABORT && self.reveal() && exception::is_open(&self.engine) {
            self.has_irq.set(false);
            return exception::take(&self.engine, VECTOR_IRQ, None);
        }
        if number == EXCP_PREFETCH_ABORT && pc & 3 != 0 {
            let syndrome = Syndrome {
                esr: PC_ALIGNMENT,
                far: Some(pc),
            };
            return exception::take(&self.engine, VECTOR_SYNC, Some(syndrome));
        }
        let is_abort = matches!(number, EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT);
        let syndrome = Syndrome {
            esr,
            far: is_abort.then_some(address),
        };
        exception::take(&self.engine, VECTOR_SYNC, Some(syndrome));
    }

    fn interrupt(&self, number: u32) {
        if self.is_calibrating.get() {
            let is_found = self
                .probe
                .borrow_mut()
                .calibrate(&self.engine, PROBE_ADDRESS);
            self.is_calibrating.set(!is_found);
            self.stop(None);
            return;
        }
        match number {
            EXCP_SWI => {
                let syndrome = Syndrome {
                    esr: SVC_SYNDROME,
                    far: None,
                };
                exception::take(&self.engine, VECTOR_SYNC, Some(syndrome));
            }
            EXCP_HVC => {
                let syndrome = HVC_SYNDROME | self.hvc_immediate();
                self.stop(Some(Exit::Exception {
                    syndrome,
                    va: 0,
                    ipa: 0,
                }));
            }
            EXCP_UDEF | EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT | EXCP_BKPT => self.fault(number),
            _ => {
                let va = self.engine.get(RegisterARM64::PC);
                let syndrome = 0x3f << 26 | u64::from(number);
                self.stop(Some(Exit::Exception {
                    syndrome,
                    va,
                    ipa: 0,
                }));
            }
        }
    }

    /// The immediate of the `hvc` before the program counter.
    fn hvc_immediate(&self) -> u64 {
        let pc = self.engine.get(RegisterARM64::PC);
        let mut known = self.immediates.borrow_mut();
        *known
            .entry(pc)
            .or_insert_with(|| self.probe.borrow().fault(&self.engine).0 & 0xffff)
    }
}

impl Vcpu for SimVcpu {
    fn run(&mut self) -> Result<Exit, HvError> {
        self.check_owner()?;
        let shared = Arc::clone(&self.core.shared);
        let core = &*self.core;
        // A kick before the run is kept or lost by chance: nobody may rely on either.
        if core.kick.take() && shared.toss() {
            core.has_irq.set(false);
            return Ok(Exit::Canceled);
        }
        let exit = loop {
            let turn = shared.turns.take(&self.core.kick);
            self.sync_mappings()?;
            self.sync_code()?;
            if self.core.has_irq.get() {
                self.core.raise()?;
            }
            self.core.exit.set(None);
            self.core.engine.run()?;
            self.core.reveal();
            if self.core.is_misaligned.take() {
                self.core.take_misaligned();
            }
            drop(turn);
            if let Some(exit) = self.core.exit.take() {
                break exit;
            }
            if self.core.kick.take() {
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
        engine.set_sys(reg.into(), value)
    }

    fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError> {
        self.check_owner()?;
        self.core.has_irq.set(on);
        Ok(())
    }

    fn invalidate_icache(&mut self) {
        self.core.engine.forget_code();
        self.core.immediates.borrow_mut().clear();
    }

    fn kick_handle(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.core.kick) as Arc<dyn Kick>
    }
}

fn register(reg: Reg) -> Result<RegisterARM64, HvError> {
    use RegisterARM64 as R;
    const X: [RegisterARM64; 31] = [
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
        Reg::X(n) => X.get(usize::from(n)).copied().ok_or(HvError::BadArgument),
        Reg::Pc => Ok(R::PC),
        Reg::Cpsr => Ok(R::PSTATE),
    }
}
