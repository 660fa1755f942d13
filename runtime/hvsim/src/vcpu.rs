// SPDX-License-Identifier: GPL-2.0-only
//! A virtual processor: one instance of Unicorn, bound to its thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use elfuse_machine::hv::{Exit, HvError, HvPerms, Kick, Reg, SysReg, Vcpu};
use unicorn_engine::{Arch, Arm64CpuModel, Mode, Prot, RegisterARM64, RegisterARM64CP, Unicorn};

use crate::exception::{self, Probe};
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

/// Blocks after which a processor lets another one have its turn.
const TURN_BLOCKS: u32 = 20_000;

/// The parts of a system register's number.
#[derive(Clone, Copy)]
pub(crate) struct SysRegId {
    pub(crate) op0: u32,
    pub(crate) op1: u32,
    pub(crate) crn: u32,
    pub(crate) crm: u32,
    pub(crate) op2: u32,
}

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

impl From<SysReg> for SysRegId {
    fn from(SysReg(number): SysReg) -> Self {
        let field = |shift: u16, bits: u16| u32::from(number >> shift & ((1 << bits) - 1));
        Self {
            op0: field(14, 2),
            op1: field(11, 3),
            crn: field(7, 4),
            crm: field(3, 4),
            op2: field(0, 3),
        }
    }
}

pub(crate) fn write_sys_reg(uc: &mut Unicorn<'_, ()>, id: SysRegId, value: u64) -> bool {
    let register = RegisterARM64CP {
        crn: id.crn,
        crm: id.crm,
        op0: id.op0,
        op1: id.op1,
        op2: id.op2,
        val: value,
    };
    uc.reg_write_arm64_coproc(&register).is_ok()
}

/// What hooks and the processor share.
struct Hooks {
    exit: Cell<Option<Exit>>,
    kick: Arc<SimKick>,
    shared: Arc<Shared>,
    blocks: Cell<u32>,
    probe: RefCell<Probe>,
    /// Immediates of `hvc` instructions by address.
    immediates: RefCell<HashMap<u64, u64>>,
    is_calibrating: Cell<bool>,
}

/// A sticky request to stop.
#[derive(Default)]
struct SimKick(AtomicBool);

impl Kick for SimKick {
    fn kick(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One instance of Unicorn.
pub(crate) struct SimVcpu {
    uc: Unicorn<'static, ()>,
    hooks: Rc<Hooks>,
    owner: ThreadId,
    has_irq: bool,
    mapped: Vec<Mapping>,
    generation: u64,
}

/// Where the calibration faults: an address that no register has by chance.
const PROBE_ADDRESS: u64 = 0x0000_5a5a_1234_5678;

impl SimVcpu {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, HvError> {
        let mut uc = Unicorn::new(Arch::ARM64, Mode::LITTLE_ENDIAN).map_err(other)?;
        uc.ctl_set_cpu_model(Arm64CpuModel::MAX as i32)
            .map_err(other)?;
        uc.ctl_exits_enable().map_err(other)?;
        uc.ctl_set_exits(&[]).map_err(other)?;
        // EL3 lets `hvc` through to EL2, which is us; EL2 lets pointer
        // authentication through and says that EL1 is 64-bit.
        write_sys_reg(&mut uc, SCR_EL3, 0x30d01);
        write_sys_reg(&mut uc, HCR_EL2, 1 << 31 | 1 << 40 | 1 << 41);
        let probe = Probe::new(&uc).ok_or(HvError::NoResources)?;
        let hooks = Rc::new(Hooks {
            exit: Cell::new(None),
            kick: Arc::default(),
            shared: Arc::clone(shared),
            blocks: Cell::new(0),
            probe: RefCell::new(probe),
            immediates: RefCell::default(),
            is_calibrating: Cell::new(false),
        });
        let for_interrupts = Rc::clone(&hooks);
        uc.add_intr_hook(move |uc, number| for_interrupts.interrupt(uc, number))
            .map_err(other)?;
        let for_blocks = Rc::clone(&hooks);
        uc.add_block_hook(1, 0, move |uc, _, _| for_blocks.block(uc))
            .map_err(other)?;
        let mut cpu = Self {
            uc,
            hooks,
            owner: std::thread::current().id(),
            has_irq: false,
            mapped: Vec::new(),
            generation: 0,
        };
        cpu.calibrate()?;
        Ok(cpu)
    }

    /// Faults at a known address, to learn where the processor model keeps syndrome
    /// and address of an exception.
    fn calibrate(&mut self) -> Result<(), HvError> {
        self.uc
            .mem_map(0, 0x4000, Prot::READ | Prot::WRITE)
            .map_err(other)?;
        let registers = [
            (SysReg::TCR, 16 | 16 << 16 | 2 << 30 | 2 << 32),
            (SysReg::TTBR0, 0),
            (SysReg::TTBR1, 0),
            (SysReg::SCTLR, 0x30d0_0980 | 1),
        ];
        for (register, value) in registers {
            self.set_sys_reg(register, value)?;
        }
        self.set_reg(Reg::Cpsr, 0x3c5)?;
        self.hooks.is_calibrating.set(true);
        let _ = self.uc.emu_start(PROBE_ADDRESS, 0, 0, 0);
        let is_found = !self.hooks.is_calibrating.replace(false);
        self.set_sys_reg(SysReg::SCTLR, 0x30d0_0980)?;
        self.uc.mem_unmap(0, 0x4000).map_err(other)?;
        if is_found {
            Ok(())
        } else {
            Err(HvError::Other(1))
        }
    }

    fn check_owner(&self) -> Result<(), HvError> {
        if std::thread::current().id() == self.owner {
            Ok(())
        } else {
            Err(HvError::IllegalState)
        }
    }

    /// Takes over the mappings that changed.
    fn sync_mappings(&mut self) -> Result<(), HvError> {
        let generation = self.hooks.shared.generation.load(Ordering::SeqCst);
        if generation == self.generation {
            return Ok(());
        }
        let wanted = self.hooks.shared.mappings().clone();
        for old in self.mapped.iter().filter(|old| !wanted.contains(old)) {
            self.uc.mem_unmap(old.ipa, old.len).map_err(other)?;
        }
        for new in wanted.iter().filter(|new| !self.mapped.contains(new)) {
            let mut perms = Prot::NONE;
            for (have, give) in [
                (HvPerms::READ, Prot::READ),
                (HvPerms::WRITE, Prot::WRITE),
                (HvPerms::EXEC, Prot::EXEC),
            ] {
                if new.perms.contains(have) {
                    perms |= give;
                }
            }
            let host = std::ptr::with_exposed_provenance_mut(new.host);
            // SAFETY: whoever mapped it promised that the memory stays.
            unsafe { self.uc.mem_map_ptr(new.ipa, new.len, perms, host) }.map_err(other)?;
        }
        self.mapped = wanted;
        self.generation = generation;
        Ok(())
    }

    fn run_once(&mut self) -> Result<(), HvError> {
        let pc = self.uc.pc_read().map_err(other)?;
        self.hooks.blocks.set(0);
        self.uc.emu_start(pc, 0, 0, 0).map_err(other)
    }
}

fn other(error: unicorn_engine::uc_error) -> HvError {
    HvError::Other(error as u32)
}

impl Hooks {
    fn stop(&self, uc: &mut Unicorn<'_, ()>, exit: Option<Exit>) {
        self.exit.set(exit);
        let stopped = uc.emu_stop();
        debug_assert!(stopped.is_ok());
    }

    fn block(&self, uc: &mut Unicorn<'_, ()>) {
        if self.kick.0.load(Ordering::Relaxed) {
            self.kick.0.store(false, Ordering::SeqCst);
            self.stop(uc, Some(Exit::Canceled));
            return;
        }
        let blocks = self.blocks.get() + 1;
        self.blocks.set(blocks);
        if blocks.is_multiple_of(TURN_BLOCKS) && self.shared.waiting.load(Ordering::Relaxed) > 0 {
            self.stop(uc, None);
        }
    }

    fn interrupt(&self, uc: &mut Unicorn<'_, ()>, number: u32) {
        if self.is_calibrating.get() {
            let is_found = self.probe.borrow_mut().calibrate(uc, PROBE_ADDRESS);
            self.is_calibrating.set(!is_found);
            self.stop(uc, None);
            return;
        }
        match number {
            EXCP_SWI => exception::take(uc, VECTOR_SYNC, Some((0x5600_0000, None))),
            EXCP_HVC => {
                let imm = self.hvc_immediate(uc);
                let syndrome = 0x5a00_0000 | imm;
                self.stop(
                    uc,
                    Some(Exit::Exception {
                        syndrome,
                        va: 0,
                        ipa: 0,
                    }),
                );
            }
            EXCP_UDEF | EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT | EXCP_BKPT => {
                let (syndrome, address) = self.probe.borrow().fault(uc);
                let is_abort = matches!(number, EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT);
                exception::take(
                    uc,
                    VECTOR_SYNC,
                    Some((syndrome, is_abort.then_some(address))),
                );
            }
            _ => {
                let va = uc.pc_read().unwrap_or(0);
                let syndrome = 0x3f << 26 | u64::from(number);
                self.stop(
                    uc,
                    Some(Exit::Exception {
                        syndrome,
                        va,
                        ipa: 0,
                    }),
                );
            }
        }
    }

    /// The immediate of the `hvc` before the program counter.
    fn hvc_immediate(&self, uc: &Unicorn<'_, ()>) -> u64 {
        let pc = uc.pc_read().unwrap_or(0);
        let mut known = self.immediates.borrow_mut();
        *known.entry(pc).or_insert_with(|| {
            let (syndrome, _) = self.probe.borrow().fault(uc);
            syndrome & 0xffff
        })
    }
}

impl Vcpu for SimVcpu {
    fn run(&mut self) -> Result<Exit, HvError> {
        self.check_owner()?;
        let shared = Arc::clone(&self.hooks.shared);
        loop {
            let turn = shared.turn();
            if self.hooks.kick.0.swap(false, Ordering::SeqCst) {
                return Ok(Exit::Canceled);
            }
            self.sync_mappings()?;
            if self.has_irq && exception::is_el0(&self.uc) && !exception::is_irq_masked(&self.uc) {
                exception::take(&mut self.uc, VECTOR_IRQ, None);
            }
            self.hooks.exit.set(None);
            self.run_once()?;
            drop(turn);
            match self.hooks.exit.take() {
                Some(exit) => return Ok(exit),
                None => std::thread::yield_now(),
            }
        }
    }

    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError> {
        self.check_owner()?;
        self.uc.reg_read(register(reg)?).map_err(other)
    }

    fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError> {
        self.check_owner()?;
        self.uc.reg_write(register(reg)?, value).map_err(other)
    }

    fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError> {
        self.check_owner()?;
        if reg == SysReg::SP_EL1 {
            self.uc
                .reg_write(RegisterARM64::SP_EL1, value)
                .map_err(other)?;
            // The processor starts at EL1, where this is the stack pointer in use.
            return self.uc.reg_write(RegisterARM64::SP, value).map_err(other);
        }
        if write_sys_reg(&mut self.uc, reg.into(), value) {
            Ok(())
        } else {
            Err(HvError::BadArgument)
        }
    }

    fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError> {
        self.check_owner()?;
        self.has_irq = on;
        Ok(())
    }

    fn invalidate_icache(&mut self) {
        let flushed = self.uc.ctl_flush_tb();
        debug_assert!(flushed.is_ok());
    }

    fn kick_handle(&self) -> Arc<dyn Kick> {
        Arc::clone(&self.hooks.kick) as Arc<dyn Kick>
    }
}

fn register(reg: Reg) -> Result<RegisterARM64, HvError> {
    const X: [RegisterARM64; 31] = {
        use RegisterARM64 as R;
        [
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
        ]
    };
    match reg {
        Reg::X(n) => X.get(usize::from(n)).copied().ok_or(HvError::BadArgument),
        Reg::Pc => Ok(RegisterARM64::PC),
        Reg::Cpsr => Ok(RegisterARM64::PSTATE),
    }
}
