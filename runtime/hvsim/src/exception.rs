// SPDX-License-Identifier: GPL-2.0-only
//! Exceptions of the guest, taken by hand.
//!
//! Unicorn stops at an exception and leaves its entry to a hook. The syndrome and
//! the faulting address are in the processor's state, at offsets that [`Exceptions`]
//! finds by causing a fault at a known address. Entry goes through the live state
//! (`live.rs`) where that is found, and through the interface otherwise.

use std::cell::Cell;

use unicorn_engine_sys::RegisterARM64;

use elfuse_machine::hv::HvError;

use crate::engine::{Engine, SavedState};
use crate::live::{Live, SPSR_EL1};
use crate::tlb::Tlbs;

/// `PSTATE` on entry: EL1 with its own stack pointer, everything masked.
const EL1H_MASKED: u64 = 0x3c5;
/// The conditions, which stay.
const CONDITIONS: u64 = 0xf000_0000;
/// Distance between the vectors for exceptions from EL0 and from EL1.
pub(crate) const FROM_EL1: u64 = 0x200;

/// What an exception comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syndrome {
    pub(crate) esr: u64,
    /// Faults only.
    pub(crate) far: Option<u64>,
}

/// The exceptions of one engine.
pub(crate) struct Exceptions {
    live: Option<Live>,
    saved: SavedState,
    /// Where the faulting address is in the live state, and in the saved one.
    at: Cell<(Option<usize>, usize)>,
}

impl Exceptions {
    /// Those of an engine that has not run; the offsets are not known yet.
    pub(crate) fn new(engine: &Engine) -> Result<Self, HvError> {
        Ok(Self {
            live: Live::find(engine),
            saved: SavedState::new(engine)?,
            at: Cell::new((None, 8)),
        })
    }

    /// The engine's tables of translations, which are emptied.
    pub(crate) fn tlbs(&self, engine: &Engine) -> Option<Tlbs> {
        self.live.as_ref()?.tlbs(engine)
    }

    /// Finds the offsets after an instruction abort at `address`, taken from EL1.
    pub(crate) fn calibrate(&self, engine: &Engine, address: u64) -> bool {
        self.saved.save(engine);
        let word = |at| self.saved.word(at);
        let is_abort = |at: usize| word(at - 8) >> 26 & 0x3f == 0x21;
        let mut places = (48..self.saved.size() - 8).step_by(8);
        let found = places.find(|&at| word(at) == address && is_abort(at));
        let live = self.live.as_ref().and_then(|live| live.find_fault(address));
        self.at.set((live, found.unwrap_or(8)));
        found.is_some()
    }

    /// Syndrome and address of the exception that just happened.
    pub(crate) fn fault(&self, engine: &Engine) -> (u64, u64) {
        if let ((Some(at), _), Some(live)) = (self.at.get(), &self.live) {
            return live.fault(at);
        }
        let (_, at) = self.at.get();
        self.saved.save(engine);
        (self.saved.word(at - 8) & 0xffff_ffff, self.saved.word(at))
    }

    /// Takes an exception to EL1: `offset` is that of the vector from EL0.
    pub(crate) fn take(&self, engine: &Engine, offset: u64, syndrome: Option<Syndrome>) {
        match &self.live {
            Some(live) => live.take(engine, offset, syndrome),
            None => take(engine, offset, syndrome),
        }
    }
}

/// Would the guest take an interrupt now? Only at EL0: EL1 keeps them masked.
pub(crate) fn is_open(engine: &Engine) -> bool {
    engine.get(RegisterARM64::PSTATE) & 0x8f == 0
}

/// The same through the interface.
fn take(engine: &Engine, offset: u64, syndrome: Option<Syndrome>) {
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
        (R::PSTATE, pstate & CONDITIONS | EL1H_MASKED),
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

#[cfg(test)]
mod tests {
    use elfuse_machine::hv::SysReg;
    use unicorn_engine_sys::RegisterARM64 as R;

    use super::*;

    const SEEN: [R; 9] = [
        R::PC,
        R::PSTATE,
        R::SP,
        R::SP_EL0,
        R::SP_EL1,
        R::ELR_EL1,
        R::ESR_EL1,
        R::FAR_EL1,
        R::X30,
    ];

    /// An engine in `state`, with another value in every register.
    fn engine(state: u64) -> (Engine, Exceptions) {
        let engine = Engine::new().expect("make an engine");
        let exceptions = Exceptions::new(&engine).expect("find its state");
        for (n, register) in (1..).zip(SEEN) {
            engine.set(register, n << 40 | n << 12);
        }
        engine.set(R::VBAR_EL1, 0xffff_8000_0000_0000);
        engine.set(R::PSTATE, state);
        (engine, exceptions)
    }

    #[test]
    fn the_state_is_found_in_the_pinned_version() {
        let (engine, exceptions) = engine(0);
        let live = exceptions.live.as_ref().expect("find the live state");
        assert!(live.is_muted());
        assert!(live.tlbs(&engine).is_some());
    }

    #[test]
    fn the_summary_of_the_state_is_what_unicorn_makes_it() {
        let (engine, exceptions) = engine(0);
        let live = exceptions.live.as_ref().expect("find the live state");
        for sctlr in [0x30d0_0980, 0x34d0_d985] {
            engine
                .set_sys(SysReg::SCTLR.into(), sctlr)
                .expect("write a register");
            for state in [0, 0x3c5, 0] {
                engine.set(R::PSTATE, state);
                exceptions.take(&engine, 0x400, None);
                let taken = live.summary();
                engine.set_sys(SPSR_EL1, 0).expect("write a register");
                assert_eq!(taken, live.summary(), "{sctlr:#x} {state:#x}");
            }
        }
    }

    #[test]
    fn both_ways_into_an_exception_end_alike() {
        let abort = Syndrome {
            esr: 0x9200_0045,
            far: Some(0x1234_5678_9abc),
        };
        let call = Syndrome {
            esr: 0x5600_0000,
            far: None,
        };
        for state in [0, 0x6000_0000, 0xb000_0000, 0x3c5, 0x9000_03c5] {
            for syndrome in [Some(abort), Some(call), None] {
                let (fast, exceptions) = engine(state);
                exceptions.take(&fast, 0x400, syndrome);
                let (slow, _) = engine(state);
                take(&slow, 0x400, syndrome);
                assert_eq!(fast.get_all(SEEN), slow.get_all(SEEN), "{state:#x}");
                let spsr = |engine: &Engine| engine.get_sys(SPSR_EL1);
                assert_eq!(spsr(&fast), spsr(&slow), "{state:#x}");
            }
        }
    }
}
