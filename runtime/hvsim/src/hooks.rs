// SPDX-License-Identifier: GPL-2.0-only
//! What happens while the engine runs: the hooks, and the state they share with the
//! processor that owns them.
//!
//! Hooks see the processor through shared references, so what they change is in cells.
//! Nothing is called for each block of guest code: a kick stops the engine from its own
//! thread, an interrupt that has to wait for EL0 lets the first fetch there fail, and a
//! misaligned program counter shows when a block is translated.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use elfuse_machine::hv::{Exit, HvError, SysReg};
use unicorn_engine_sys::{RegisterARM64, RegisterARM64CP, TranslationBlock, uc_engine};

use crate::carrier::{Link, Order, Rider};
use crate::engine::Engine;
use crate::exception::{self, Exceptions, Syndrome};
use crate::kick::SimKick;
use crate::tlb::Tlbs;
use crate::vm::Shared;

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

/// `ESR`: class of a trapped `WFI`.
const CLASS_WAIT: u64 = 0x01;
/// `TCR_EL1`: no walks of the lower half.
const EPD0: u64 = 1 << 7;

/// Where the calibration faults: an address that no register has by chance.
pub(crate) const PROBE_ADDRESS: u64 = 0x0000_5a5a_1234_5678;

/// What hooks and the processor share.
pub(crate) struct Core {
    /// Dropped before the engine, whose state it uses.
    pub(crate) exceptions: Exceptions,
    pub(crate) tlbs: Option<Tlbs>,
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) kick: Arc<SimKick>,
    pub(crate) exit: Cell<Option<Exit>>,
    pub(crate) has_irq: Cell<bool>,
    /// `TCR_EL1` as it was before the lower half was hidden.
    pub(crate) hidden: Cell<Option<u64>>,
    pub(crate) is_misaligned: Cell<bool>,
    pub(crate) is_calibrating: Cell<bool>,
    pub(crate) link: Link,
}

impl Rider for Core {
    fn run(&self) -> Result<(), HvError> {
        self.engine.run()
    }

    fn link(&self) -> &Link {
        &self.link
    }
}

impl Core {
    fn stop(&self, exit: Option<Exit>) {
        self.exit.set(exit);
        self.engine.stop();
    }

    /// An exit after which the guest can go on where it is.
    fn hand_over(&self, exit: Exit) {
        match self.link.hand_over(exit) {
            Some(Order::Run) => {}
            Some(Order::Leave) => self.stop(None),
            None => self.stop(Some(exit)),
        }
    }

    /// Writes `TTBR0_EL1`, if that changes the tag and translations are kept.
    fn change_space(&self, value: u64) -> bool {
        const TAG: u32 = 48;
        let old = self.engine.get(RegisterARM64::TTBR0_EL1) >> TAG;
        let (Some(tlbs), true) = (&self.tlbs, old != value >> TAG) else {
            return false;
        };
        tlbs.switch(old, value >> TAG, || {
            let written = self.engine.set_sys(SysReg::TTBR0.into(), value);
            debug_assert!(written.is_ok(), "write TTBR0_EL1");
        });
        true
    }

    /// Translations of other address spaces may be wrong from now on.
    pub(crate) fn drop_kept(&self) {
        if let Some(tlbs) = &self.tlbs {
            tlbs.drop_all();
        }
    }

    /// Empties all tables of translations.
    pub(crate) fn forget_translations(&self) {
        self.drop_kept();
        self.engine.forget_translations();
    }

    /// The processor model does not check the alignment of the program counter.
    pub(crate) fn take_misaligned(&self) {
        let far = self.engine.get(RegisterARM64::PC);
        let syndrome = Syndrome {
            esr: PC_ALIGNMENT,
            far: Some(far),
        };
        self.exceptions
            .take(&self.engine, VECTOR_SYNC, Some(syndrome));
        // The block is not announced again while it is known.
        self.engine.forget_code();
    }

    /// Raises the interrupt: now, or at the first fetch of EL0.
    pub(crate) fn raise(&self) -> Result<(), HvError> {
        if exception::is_open(&self.engine) {
            self.has_irq.set(false);
            self.exceptions.take(&self.engine, VECTOR_IRQ, None);
        } else if self.hidden.get().is_none() {
            let tcr = self.engine.get_sys(SysReg::TCR.into())?;
            self.engine.set_sys(SysReg::TCR.into(), tcr | EPD0)?;
            self.hidden.set(Some(tcr));
            // What is cached would still be found.
            self.forget_translations();
        }
        Ok(())
    }

    /// Undoes what [`Core::raise`] did to wait for EL0.
    pub(crate) fn reveal(&self) -> bool {
        let Some(tcr) = self.hidden.take() else {
            return false;
        };
        let written = self.engine.set_sys(SysReg::TCR.into(), tcr);
        debug_assert!(written.is_ok());
        true
    }

    /// A fault, an undefined instruction, or one that waits.
    fn fault(&self, number: u32) {
        let (esr, address) = self.exceptions.fault(&self.engine);
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
            return self.exceptions.take(&self.engine, VECTOR_IRQ, None);
        }
        if number == EXCP_PREFETCH_ABORT && pc & 3 != 0 {
            let syndrome = Syndrome {
                esr: PC_ALIGNMENT,
                far: Some(pc),
            };
            return self
                .exceptions
                .take(&self.engine, VECTOR_SYNC, Some(syndrome));
        }
        let is_abort = matches!(number, EXCP_PREFETCH_ABORT | EXCP_DATA_ABORT);
        let syndrome = Syndrome {
            esr,
            far: is_abort.then_some(address),
        };
        self.exceptions
            .take(&self.engine, VECTOR_SYNC, Some(syndrome));
    }

    fn interrupt(&self, number: u32) {
        if self.is_calibrating.get() {
            let is_found = self.exceptions.calibrate(&self.engine, PROBE_ADDRESS);
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
                self.exceptions
                    .take(&self.engine, VECTOR_SYNC, Some(syndrome));
            }
            EXCP_HVC => {
                let syndrome = HVC_SYNDROME | self.exceptions.fault(&self.engine).0 & 0xffff;
                self.hand_over(Exit::Exception {
                    syndrome,
                    va: 0,
                    ipa: 0,
                });
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
}

pub(crate) extern "C" fn on_interrupt(_: *mut uc_engine, number: u32, data: *mut c_void) {
    // SAFETY: the hook was added with the core, which outlives the engine.
    let core = unsafe { &*data.cast::<Core>() };
    core.interrupt(number);
}

/// A block was translated, and runs next.
pub(crate) extern "C" fn on_edge(
    _: *mut uc_engine,
    block: *mut TranslationBlock,
    _: *mut TranslationBlock,
    data: *mut c_void,
) {
    // SAFETY: as in `on_interrupt`.
    let core = unsafe { &*data.cast::<Core>() };
    // SAFETY: Unicorn describes the block for the time of the call.
    let address = unsafe { &*block }.pc;
    core.drop_kept();
    if address & 3 != 0 {
        core.is_misaligned.set(true);
        core.stop(None);
    }
}

/// Maintenance. After `IC IVAU` other processors may have translated what was there;
/// TLBI may be about what is kept. Everything goes on as usual afterwards.
pub(crate) extern "C" fn on_maintenance(
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
    if register.crn == 8 {
        core.drop_kept();
    }
    0
}

/// EL1 writes a system register. Answers whether that is done: the address space is
/// changed here.
pub(crate) extern "C" fn on_system_write(
    _: *mut uc_engine,
    _: u32,
    register: *const RegisterARM64CP,
    data: *mut c_void,
) -> u32 {
    // SAFETY: as in `on_interrupt`.
    let core = unsafe { &*data.cast::<Core>() };
    // SAFETY: as in `on_maintenance`.
    let register = unsafe { &*register };
    match (register.crn, register.crm, register.op1, register.op2) {
        (2, 0, 0, 0) => u32::from(core.change_space(register.val)),
        // Of the regime: `SCTLR_EL1`, the others of the tables, `MAIR_EL1`.
        (1 | 2 | 10, ..) => {
            core.drop_kept();
            0
        }
        _ => 0,
    }
}
