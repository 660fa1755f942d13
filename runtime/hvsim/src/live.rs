// SPDX-License-Identifier: GPL-2.0-only
//! The processor's state where Unicorn keeps it, for what is too slow through calls.
//!
//! [`Live::find`] learns where the state is by putting values there through the
//! interface and looking for them, and where each field is by what changes with it.
//! Whatever is not found exactly once makes it give up: then everything goes through
//! the interface, which is slower, nothing else. An engine's own thread uses this,
//! while the engine is in a hook or does not run.

use std::cell::Cell;

use elfuse_machine::hv::SysReg;
use unicorn_engine_sys::RegisterARM64 as R;

use crate::engine::{Engine, SavedState, SysRegId};
use crate::exception::{FROM_EL1, Syndrome};
use crate::listeners::Muted;
use crate::peek::Peek;
use crate::tlb::Tlbs;
use crate::vcpu::X;

/// `SPSR_EL1`.
pub(crate) const SPSR_EL1: SysRegId = SysRegId {
    op0: 3,
    op1: 0,
    crn: 4,
    crm: 0,
    op2: 0,
};
/// `MDSCR_EL1`.
const MDSCR_EL1: SysRegId = SysRegId {
    op0: 2,
    op1: 0,
    crn: 0,
    crm: 2,
    op2: 2,
};

/// Words that are read behind a pointer in search of the state.
const REACH: usize = 8 * 1024;
/// Words of the state before the first register: those of 32-bit programs.
const BEFORE: usize = 16;
/// Words of a saved state before the registers, at most.
const HEADER: usize = 64;
/// Two values without a half in common.
const PATTERNS: [u64; 2] = [0x5a5a_1237_89ab_cde0, 0x25a5_4448_7654_3218];
/// `PSTATE` at EL1, masked.
const EL1: u64 = 0x3c5;

/// Distances of fields from the first register, in words of 32 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    pc: usize,
    sp: usize,
    sp_el0: usize,
    sp_el1: usize,
    elr: usize,
    spsr: usize,
    esr: usize,
    far: usize,
    vbar: usize,
    negative: usize,
    zero: usize,
    carry: usize,
    overflow: usize,
    branch: usize,
    masks: usize,
    mode: usize,
    flags: usize,
    regime: [usize; 4],
}

/// The state of one engine.
pub(crate) struct Live {
    first: *mut u32,
    len: usize,
    fields: Fields,
    muted: Option<Muted>,
    /// The summary of the state at EL1, and the registers it was made from.
    summary: Cell<([u64; 4], u32)>,
}

impl Live {
    /// Looks for the state of an engine that has not run, and leaves its registers
    /// zero.
    pub(crate) fn find(engine: &Engine) -> Option<Self> {
        let size = SavedState::new(engine).ok()?.size() / 4;
        let first = first_register(engine);
        X.iter().for_each(|&register| engine.set(register, 0));
        let mut live = Self {
            first: first?,
            len: size.checked_sub(2 * HEADER)?,
            fields: Fields::default(),
            muted: None,
            summary: Cell::new(([u64::MAX; 4], 0)),
        };
        live.fields = live.find_fields(engine)?;
        let is_right = live.is_right(engine);
        for register in [R::PC, R::SP, R::SP_EL0, R::SP_EL1, R::ELR_EL1] {
            engine.set(register, 0);
        }
        if !is_right {
            return None;
        }
        let end = live.first.wrapping_add(live.len).cast();
        // SAFETY: the end of the state that has just been found; the engine is dropped
        // after this.
        live.muted = unsafe { Muted::new(end) };
        Some(live)
    }

    fn find_fields(&self, engine: &Engine) -> Option<Fields> {
        engine.set(R::PSTATE, EL1);
        let long = |register| self.long(|value| engine.set(register, value));
        let flags = self.flags(engine)?;
        let system = |id: SysRegId, bit: u32| self.system(engine, id, bit, &[flags]);
        // The word of the sign holds a copy of all others.
        let negative = self.only(&[], |on| set_state(engine, EL1, 31, on))?;
        let state = |bit| self.only(&[negative], |on| set_state(engine, EL1, bit, on));
        Some(Fields {
            pc: long(R::PC)?,
            sp: long(R::SP)?,
            sp_el0: long(R::SP_EL0)?,
            sp_el1: long(R::SP_EL1)?,
            elr: long(R::ELR_EL1)?,
            spsr: self.long(|value| set_system(engine, SPSR_EL1, value))?,
            esr: long(R::ESR_EL1)?,
            far: long(R::FAR_EL1)?,
            vbar: long(R::VBAR_EL1)?,
            negative,
            zero: state(30)?,
            carry: state(29)?,
            overflow: state(28)?,
            branch: state(10)?,
            masks: state(6)?,
            mode: state(0)?,
            flags,
            regime: [
                system(SysReg::SCTLR.into(), 1)?,
                system(SysReg::TCR.into(), 37)?,
                system(SysReg::CPACR.into(), 20)?,
                system(MDSCR_EL1, 0)?,
            ],
        })
    }
}

/// Finding fields.
impl Live {
    /// The one word that differs between two states, but for those in `known`.
    fn only(&self, known: &[usize], set: impl Fn(bool)) -> Option<usize> {
        set(false);
        let before = self.words();
        set(true);
        let after = self.words();
        set(false);
        let differs = |&n: &usize| before[n] != after[n] && !known.contains(&n);
        let mut changed = (0..self.len).filter(differs);
        let at = changed.next()?;
        changed.next().is_none().then_some(at)
    }

    /// The field of 64 bits that takes the value of a register.
    fn long(&self, set: impl Fn(u64)) -> Option<usize> {
        let places = PATTERNS.map(|value| {
            set(value);
            let words = self.words();
            let found = |&n: &usize| u64::from(words[n + 1]) << 32 | u64::from(words[n]) == value;
            (0..self.len - 1).filter(found).collect::<Vec<_>>()
        });
        set(0);
        match &places {
            [first, second] if first == second && first.len() == 1 => first.first().copied(),
            _ => None,
        }
    }

    /// The field of a system register in which `bit` is a bit that it has.
    fn system(&self, engine: &Engine, id: SysRegId, bit: u32, known: &[usize]) -> Option<usize> {
        let reset = engine.get_sys(id).ok()?;
        let value = reset & !(1 << bit);
        let at = self.only(known, |on| {
            set_system(engine, id, value | u64::from(on) << bit);
        });
        set_system(engine, id, reset);
        let at = at?;
        // The low half, where the value is read as a whole.
        Some(if bit < 32 { at } else { at - 1 })
    }

    /// The summary of the state that the translator looks at: it follows the state when
    /// any system register is written, and not before.
    fn flags(&self, engine: &Engine) -> Option<usize> {
        let refresh = |on: bool| {
            if on {
                set_system(engine, SPSR_EL1, 0);
            }
        };
        set_system(engine, SPSR_EL1, 0);
        engine.set(R::PSTATE, 0);
        let at = self.only(&[], refresh);
        engine.set(R::PSTATE, EL1);
        set_system(engine, SPSR_EL1, 0);
        at
    }

    /// Does what is read here agree with the interface, and the other way round?
    fn is_right(&self, engine: &Engine) -> bool {
        let states = [0x3c5, 0x6000_0000, 0x9000_0145, 0x5000_0c00, 0xf000_0004];
        let is_read = states.iter().all(|&state| {
            engine.set(R::PSTATE, state);
            self.state() == state
        });
        engine.set(R::PSTATE, 0xf000_0000);
        self.enter_el1();
        self.set_pc(PATTERNS[0]);
        is_read && engine.get(R::PSTATE) == 0xf000_0000 | EL1 && engine.get(R::PC) == PATTERNS[0]
    }

    /// All words of the state.
    fn words(&self) -> Vec<u32> {
        (0..self.len).map(|at| self.word(at)).collect()
    }
}

/// Using them.
impl Live {
    /// Where the address of the last exception is: the syndrome is 8 bytes before it.
    pub(crate) fn find_fault(&self, address: u64) -> Option<usize> {
        let is_abort = |at: usize| self.word(at - 2) >> 26 == 0x21;
        let is_it = |&at: &usize| self.get_long(at) == address && is_abort(at);
        let mut places = (2..self.len - 1).step_by(2).filter(is_it);
        let at = places.next()?;
        places.next().is_none().then_some(at)
    }

    /// Syndrome and address of the exception that just happened.
    pub(crate) fn fault(&self, at: usize) -> (u64, u64) {
        (u64::from(self.word(at - 2)), self.get_long(at))
    }

    fn place(&self, at: usize) -> *mut u32 {
        debug_assert!(at < self.len);
        self.first.wrapping_add(at)
    }

    fn word(&self, at: usize) -> u32 {
        // SAFETY: within the state of an engine that is alive, on its own thread.
        unsafe { self.place(at).read() }
    }

    fn set_word(&self, at: usize, value: u32) {
        // SAFETY: as in `word`; any value is one.
        unsafe { self.place(at).write(value) }
    }

    fn get_long(&self, at: usize) -> u64 {
        // SAFETY: as in `word`; fields of 64 bits are found as such.
        unsafe { self.place(at).cast::<u64>().read_unaligned() }
    }

    fn set_long(&self, at: usize, value: u64) {
        // SAFETY: as in `get_long`.
        unsafe { self.place(at).cast::<u64>().write_unaligned(value) }
    }

    /// The summary of the state as it is now.
    #[cfg(test)]
    pub(crate) fn summary(&self) -> u32 {
        self.word(self.fields.flags)
    }

    /// Are the counters off?
    #[cfg(test)]
    pub(crate) fn is_muted(&self) -> bool {
        self.muted.is_some()
    }

    /// `PSTATE`.
    pub(crate) fn state(&self) -> u64 {
        let fields = &self.fields;
        let flag = |is_set: bool, bit: u32| u32::from(is_set) << bit;
        let sign = 1 << 31;
        let state = flag(self.word(fields.negative) & sign != 0, 31)
            | flag(self.word(fields.zero) == 0, 30)
            | flag(self.word(fields.carry) != 0, 29)
            | flag(self.word(fields.overflow) & sign != 0, 28)
            | self.word(fields.branch) << 10
            | self.word(fields.masks)
            | self.word(fields.mode);
        u64::from(state)
    }

    /// Masks everything at EL1 with its own stack pointer; conditions stay.
    fn enter_el1(&self) {
        let fields = &self.fields;
        self.set_word(fields.branch, 0);
        self.set_word(fields.masks, 0x3c0);
        self.set_word(fields.mode, 5);
    }

    /// Takes an exception to EL1; `offset` is that of the vector from EL0.
    pub(crate) fn take(&self, engine: &Engine, offset: u64, syndrome: Option<Syndrome>) {
        let fields = &self.fields;
        let old = self.state();
        self.set_long(fields.elr, self.get_long(fields.pc));
        self.set_long(fields.spsr, old);
        if let Some(Syndrome { esr, far }) = syndrome {
            self.set_long(fields.esr, esr);
            if let Some(far) = far {
                self.set_long(fields.far, far);
            }
        }
        let is_from_el0 = old & 0xf == 0;
        if is_from_el0 {
            self.set_long(fields.sp_el0, self.get_long(fields.sp));
            self.set_long(fields.sp, self.get_long(fields.sp_el1));
        }
        self.enter_el1();
        self.refresh(engine, old);
        let from_el1 = if is_from_el0 { 0 } else { FROM_EL1 };
        self.set_pc(self.get_long(fields.vbar) + offset - from_el1);
    }

    /// Makes the summary of the state that of EL1. It depends on few registers: the
    /// last one stays right while they have the same values.
    fn refresh(&self, engine: &Engine, spsr: u64) {
        let regime = self.fields.regime.map(|at| self.get_long(at));
        let (known, summary) = self.summary.get();
        if regime == known {
            self.set_word(self.fields.flags, summary);
        } else {
            set_system(engine, SPSR_EL1, spsr);
            self.summary.set((regime, self.word(self.fields.flags)));
        }
    }

    /// The tables of translations, if they are where they should be; they are emptied.
    pub(crate) fn tlbs(&self, engine: &Engine) -> Option<Tlbs> {
        engine.forget_translations();
        Tlbs::find(self.first.wrapping_sub(BEFORE).cast())
    }

    fn set_pc(&self, value: u64) {
        self.set_long(self.fields.pc, value);
    }
}

fn set_state(engine: &Engine, state: u64, bit: u32, on: bool) {
    engine.set(R::PSTATE, state & !(1 << bit) | u64::from(on) << bit);
}

/// A register that is none is noticed when nothing changes.
fn set_system(engine: &Engine, id: SysRegId, value: u64) {
    let _ = engine.set_sys(id, value);
}

/// Where the first register is: behind a pointer in the instance, and all others after
/// it.
fn first_register(engine: &Engine) -> Option<*mut u32> {
    let value = |n: u64| PATTERNS[0].wrapping_mul(2 * n + 1);
    let numbers = 0..31_u64;
    for (register, n) in X.into_iter().zip(numbers.clone()) {
        engine.set(register, value(n));
    }
    let wanted: Vec<u64> = numbers.map(value).collect();
    let peek = Peek::new();
    let handle = engine.handle();
    // SAFETY: an instance is one allocation of `malloc`.
    let size = unsafe { libc::malloc_usable_size(handle) };
    let mut instance = vec![0; size / 8];
    peek.words(handle.expose_provenance(), &mut instance);
    let mut behind = vec![0; REACH];
    for pointer in instance {
        let Ok(pointer) = usize::try_from(pointer) else {
            continue;
        };
        if pointer == 0 || pointer % 16 != 0 {
            continue;
        }
        let count = peek.words(pointer, &mut behind);
        let is_it = |&at: &usize| behind[at] == wanted[0] && behind[at..at + 31] == wanted;
        let at = (0..count.saturating_sub(30)).find(is_it);
        let at = at.map(|at| pointer + at * 8);
        // The values are in other places too, as here.
        let follows = |&at: &usize| {
            let mut now = [0];
            engine.set(R::X0, 0);
            let count = peek.words(at, &mut now);
            engine.set(R::X0, value(0));
            count == 1 && now == [0]
        };
        if let Some(at) = at.filter(follows) {
            return Some(std::ptr::with_exposed_provenance_mut(at));
        }
    }
    None
}
