// SPDX-License-Identifier: GPL-2.0-only
//! Exceptions of the guest, taken by hand.
//!
//! Unicorn stops at an exception and leaves its entry to a hook. The syndrome and
//! the faulting address are in the saved context, at offsets that [`Probe`] finds by
//! causing a fault at a known address.

use std::ffi::c_void;

use unicorn_engine::{RegisterARM64, Unicorn};

use crate::vcpu::{SysRegId, write_sys_reg};

/// `PSTATE` on entry: EL1 with its own stack pointer, everything masked.
const EL1H_MASKED: u64 = 0x3c5;
const SPSR_EL1: SysRegId = SysRegId {
    op0: 3,
    op1: 0,
    crn: 4,
    crm: 0,
    op2: 0,
};

unsafe extern "C" {
    fn uc_context_alloc(uc: *mut c_void, context: *mut *mut c_void) -> i32;
    fn uc_context_save(uc: *mut c_void, context: *mut c_void) -> i32;
    fn uc_context_size(uc: *mut c_void) -> usize;
    fn uc_context_free(context: *mut c_void) -> i32;
}

/// A saved context, read as bytes.
pub(crate) struct Probe {
    context: *mut c_void,
    size: usize,
    /// Offset of the faulting address; the syndrome is 8 bytes before it.
    at: usize,
}

impl Probe {
    /// Allocates a context; the offset is not known yet.
    pub(crate) fn new(uc: &Unicorn<'_, ()>) -> Option<Self> {
        let mut context = std::ptr::null_mut();
        let handle = uc.get_handle().cast();
        // SAFETY: the handle is alive, and `context` receives the allocation.
        let outcome = unsafe { uc_context_alloc(handle, &raw mut context) };
        // SAFETY: the handle is alive.
        let size = unsafe { uc_context_size(handle) };
        (outcome == 0 && !context.is_null()).then_some(Self {
            context,
            size,
            at: 0,
        })
    }

    fn save(&self, uc: &Unicorn<'_, ()>) {
        // SAFETY: both are alive and belong together.
        let outcome = unsafe { uc_context_save(uc.get_handle().cast(), self.context) };
        debug_assert_eq!(outcome, 0);
    }

    fn word(&self, at: usize) -> u64 {
        // SAFETY: `at` is at least 8 bytes before the end of the context.
        let from = unsafe { self.context.cast::<u8>().add(at) };
        // SAFETY: as above; the read need not be aligned.
        unsafe { from.cast::<u64>().read_unaligned() }
    }

    /// Finds the offset after an instruction abort at `address`, taken from EL1.
    pub(crate) fn calibrate(&mut self, uc: &Unicorn<'_, ()>, address: u64) -> bool {
        self.save(uc);
        let is_fault =
            |&at: &usize| self.word(at) == address && self.word(at - 8) >> 26 & 0x3f == 0x21;
        let found = (48..self.size - 8).step_by(8).find(is_fault);
        self.at = found.unwrap_or(0);
        found.is_some()
    }

    /// Syndrome and address of the exception that just happened.
    pub(crate) fn fault(&self, uc: &Unicorn<'_, ()>) -> (u64, u64) {
        self.save(uc);
        (self.word(self.at - 8) & 0xffff_ffff, self.word(self.at))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, not used afterwards.
        unsafe { uc_context_free(self.context) };
    }
}

fn get(uc: &Unicorn<'_, ()>, register: RegisterARM64) -> u64 {
    uc.reg_read(register).unwrap_or(0)
}

fn set(uc: &mut Unicorn<'_, ()>, register: RegisterARM64, value: u64) {
    let written = uc.reg_write(register, value);
    debug_assert!(written.is_ok());
}

/// Does the guest run at EL0?
pub(crate) fn is_el0(uc: &Unicorn<'_, ()>) -> bool {
    get(uc, RegisterARM64::PSTATE) & 0xf == 0
}

/// Are interrupts masked?
pub(crate) fn is_irq_masked(uc: &Unicorn<'_, ()>) -> bool {
    get(uc, RegisterARM64::PSTATE) & 0x80 != 0
}

/// Takes an exception to EL1: `offset` is that of the vector from EL0.
pub(crate) fn take(uc: &mut Unicorn<'_, ()>, offset: u64, syndrome: Option<(u64, Option<u64>)>) {
    let pstate = get(uc, RegisterARM64::PSTATE);
    let pc = get(uc, RegisterARM64::PC);
    let base = get(uc, RegisterARM64::VBAR_EL1);
    let from_el0 = pstate & 0xf == 0;
    if from_el0 {
        let sp = get(uc, RegisterARM64::SP);
        set(uc, RegisterARM64::SP_EL0, sp);
        let own = get(uc, RegisterARM64::SP_EL1);
        set(uc, RegisterARM64::SP, own);
    }
    set(uc, RegisterARM64::ELR_EL1, pc);
    if let Some((esr, far)) = syndrome {
        // The processor models the exception as taken from EL0 or EL1 correctly; only
        // the register is not written.
        set(uc, RegisterARM64::ESR_EL1, esr);
        if let Some(far) = far {
            set(uc, RegisterARM64::FAR_EL1, far);
        }
    }
    set(uc, RegisterARM64::PSTATE, EL1H_MASKED);
    // Writing this register also makes the processor look at its new state.
    write_sys_reg(uc, SPSR_EL1, pstate);
    let offset = if from_el0 { offset } else { offset - 0x200 };
    set(uc, RegisterARM64::PC, base + offset);
}
