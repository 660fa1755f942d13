// SPDX-License-Identifier: GPL-2.0-only
//! Exceptions of the guest, taken by hand.
//!
//! Unicorn stops at an exception and leaves its entry to a hook. The syndrome and
//! the faulting address are in the saved state, at offsets that [`Probe`] finds by
//! causing a fault at a known address.

use unicorn_engine_sys::RegisterARM64;

use elfuse_machine::hv::HvError;

use crate::engine::{Engine, SavedState, SysRegId};

/// `PSTATE` on entry: EL1 with its own stack pointer, everything masked.
const EL1H_MASKED: u64 = 0x3c5;
const SPSR_EL1: SysRegId = SysRegId {
    op0: 3,
    op1: 0,
    crn: 4,
    crm: 0,
    op2: 0,
};
/// Distance between the vectors for exceptions from EL0 and from EL1.
const FROM_EL1: u64 = 0x200;

/// What an exception comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syndrome {
    pub(crate) esr: u64,
    /// Faults only.
    pub(crate) far: Option<u64>,
}

/// Finds out what an exception came with.
pub(crate) struct Probe {
    state: SavedState,
    /// Offset of the faulting address; the syndrome is 8 bytes before it.
    at: usize,
}

impl Probe {
    /// The offset is not known yet.
    pub(crate) fn new(engine: &Engine) -> Result<Self, HvError> {
        Ok(Self {
            state: SavedState::new(engine)?,
            at: 8,
        })
    }

    /// Finds the offset after an instruction abort at `address`, taken from EL1.
    pub(crate) fn calibrate(&mut self, engine: &Engine, address: u64) -> bool {
        self.state.save(engine);
        let word = |at| self.state.word(at);
        let is_abort = |at: usize| word(at - 8) >> 26 & 0x3f == 0x21;
        let mut places = (48..self.state.size() - 8).step_by(8);
        let found = places.find(|&at| word(at) == address && is_abort(at));
        self.at = found.unwrap_or(8);
        found.is_some()
    }

    /// Syndrome and address of the exception that just happened.
    pub(crate) fn fault(&self, engine: &Engine) -> (u64, u64) {
        self.state.save(engine);
        (
            self.state.word(self.at - 8) & 0xffff_ffff,
            self.state.word(self.at),
        )
    }
}

/// Would the guest take an interrupt now? Only at EL0: EL1 keeps them masked.
pub(crate) fn is_open(engine: &Engine) -> bool {
    engine.get(RegisterARM64::PSTATE) & 0x8f == 0
}

/// Takes an exception to EL1: `offset` is that of the vector from EL0.
pub(crate) fn take(engine: &Engine, offset: u64, syndrome: Option<Syndrome>) {
    use RegisterARM64 as R;
    let [pstate, base, pc, sp, own] =
        engine.get_all([R::PSTATE, R::VBAR_EL1, R::PC, R::SP, R::SP_EL1]);
    let from_el0 = pstate & 0xf == 0;
    let offset = if from_el0 { offset } else { offset - FROM_EL1 };
    if let Some(far) = syndrome.and_then(|syndrome| syndrome.far) {
        engine.set(R::FAR_EL1, far);
    }
    if let Some(Syndrome { esr, .. }) = syndrome {
        engine.set(R::ESR_EL1, esr);
    }
    let registers = [
        (R::ELR_EL1, pc),
        (R::PSTATE, EL1H_MASKED),
        (R::SP_EL0, sp),
        (R::SP, own),
    ];
    // The stack pointers are switched by hand: setting the state does not.
    let registers = if from_el0 {
        &registers[..]
    } else {
        &registers[..2]
    };
    engine.set_all(registers, (SPSR_EL1, pstate & 0xffff_ffff), base + offset);
}
