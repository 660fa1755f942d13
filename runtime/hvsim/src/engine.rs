// SPDX-License-Identifier: GPL-2.0-only
//! One instance of Unicorn: thin methods over its C interface.
//!
//! An [`Engine`] belongs to one thread. Its hooks get a pointer that the owner keeps
//! alive longer than the engine. Register names are Unicorn's own numbers.

use std::ffi::{c_int, c_void};

use unicorn_engine_sys::{
    Arch, Arm64CpuModel, Arm64Insn, ControlType, HookType, Mode, RegisterARM64, RegisterARM64CP,
    uc_close, uc_context, uc_context_alloc, uc_context_free, uc_context_save, uc_context_size,
    uc_ctl, uc_emu_start, uc_emu_stop, uc_engine, uc_error, uc_hook_add, uc_mem_map_ptr,
    uc_mem_unmap, uc_open, uc_reg_read, uc_reg_read_batch, uc_reg_write, uc_reg_write_batch,
};

use elfuse_machine::hv::{HvError, SysReg};

/// The granule of Unicorn's own translation cache.
pub(crate) const PAGE_SIZE: u32 = 4096;

/// A mapped range cannot be executed, read or written otherwise.
const PROT_MAX: u32 = 7;

/// `uc_ctl` with `count` arguments that are written.
const fn control(kind: ControlType, count: u32) -> ControlType {
    const WRITE: u32 = 1;
    ControlType(kind.0 | count << 26 | WRITE << 30)
}

fn check(status: uc_error) -> Result<(), HvError> {
    if status == uc_error::OK {
        Ok(())
    } else {
        Err(HvError::Other(status as u32))
    }
}

/// The encoding of a system register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SysRegId {
    pub(crate) op0: u32,
    pub(crate) op1: u32,
    pub(crate) crn: u32,
    pub(crate) crm: u32,
    pub(crate) op2: u32,
}

impl SysRegId {
    fn with_value(self, val: u64) -> RegisterARM64CP {
        let Self {
            op0,
            op1,
            crn,
            crm,
            op2,
        } = self;
        RegisterARM64CP {
            crn,
            crm,
            op0,
            op1,
            op2,
            val,
        }
    }
}

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

/// What a hook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An exception.
    Interrupt,
    /// Code that was translated and runs next.
    NewBlock,
    /// An instruction that maintains caches or translations.
    Maintenance,
    /// The same in the upper half of addresses, where EL1 is.
    KernelMaintenance,
    /// A write of a system register in the upper half.
    SystemWrite,
}

/// Bytes of translated code that an instance keeps before it begins anew. Every program
/// adds to them each time it starts, as it lies at other addresses; Unicorn's own limit
/// is a gigabyte.
const TRANSLATIONS: c_int = 128 << 20;

/// One instance.
pub(crate) struct Engine {
    handle: *mut uc_engine,
}

impl Engine {
    /// An arm64 processor with every feature that Unicorn has.
    pub(crate) fn new() -> Result<Self, HvError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` receives the instance.
        check(unsafe { uc_open(Arch::ARM64, Mode::LITTLE_ENDIAN, &raw mut handle) })?;
        let engine = Self { handle };
        engine.set_up(ControlType::CPU_MODEL, Arm64CpuModel::MAX as c_int)?;
        engine.set_up(ControlType::UC_PAGE_SIZE, PAGE_SIZE.cast_signed())?;
        // Runs end by hooks only; without this an address is looked up as the end.
        engine.set_up(ControlType::UC_USE_EXITS, 1)?;
        engine.set_up(ControlType::TCG_BUFFER_SIZE, TRANSLATIONS)?;
        Ok(engine)
    }

    fn set_up(&self, kind: ControlType, value: c_int) -> Result<(), HvError> {
        // SAFETY: these controls take one `int`.
        check(unsafe { uc_ctl(self.handle, control(kind, 1), value) })
    }

    /// For what looks into the instance.
    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.cast()
    }

    /// Adds a hook.
    ///
    /// # Safety
    /// `callback` has the signature that the event calls, and `data` is what it expects,
    /// alive as long as the engine.
    pub(crate) unsafe fn hook(
        &self,
        event: Event,
        callback: *mut c_void,
        data: *mut c_void,
    ) -> Result<(), HvError> {
        let insn = match event {
            Event::SystemWrite => Arm64Insn::UC_ARM64_INS_MSR,
            _ => Arm64Insn::UC_ARM64_INS_SYS,
        };
        let kind = match event {
            Event::Interrupt => HookType::INTR,
            Event::NewBlock => HookType::EDGE_GENERATED,
            _ => HookType::INSN,
        };
        // An empty range means everywhere.
        let (begin, end) = match event {
            Event::SystemWrite | Event::KernelMaintenance => (1 << 63, u64::MAX),
            _ => (1, 0),
        };
        let mut id = 0;
        // SAFETY: the caller's promise; only instruction hooks look at the last argument.
        check(unsafe {
            uc_hook_add(
                self.handle,
                &raw mut id,
                kind.0.cast_signed(),
                callback,
                data,
                begin,
                end,
                insn as c_int,
            )
        })
    }

    pub(crate) fn get(&self, register: RegisterARM64) -> u64 {
        let mut value = 0_u64;
        let number = register as c_int;
        // SAFETY: every register used here has at most 64 bits.
        let status = unsafe { uc_reg_read(self.handle, number, (&raw mut value).cast()) };
        debug_assert_eq!(status, uc_error::OK, "read {register:?}");
        value
    }

    /// Reads several registers.
    pub(crate) fn get_all<const N: usize>(&self, registers: [RegisterARM64; N]) -> [u64; N] {
        let names = registers.map(|register| register as c_int);
        let mut values = [0_u64; N];
        let base = values.as_mut_ptr();
        let mut places: [*mut c_void; N] = std::array::from_fn(|n| base.wrapping_add(n).cast());
        let count = c_int::try_from(N).unwrap_or(0);
        // SAFETY: `count` names, each with a pointer to a value of 64 bits.
        let status =
            unsafe { uc_reg_read_batch(self.handle, names.as_ptr(), places.as_mut_ptr(), count) };
        debug_assert_eq!(status, uc_error::OK);
        values
    }

    pub(crate) fn set(&self, register: RegisterARM64, value: u64) {
        // SAFETY: as in `get`.
        let status =
            unsafe { uc_reg_write(self.handle, register as c_int, (&raw const value).cast()) };
        debug_assert_eq!(status, uc_error::OK, "write {register:?}");
    }

    /// Writes several registers, the last of which may be the program counter. Writing
    /// `SPSR_EL1` among them makes the processor look at its new state.
    pub(crate) fn set_all(
        &self,
        registers: &[(RegisterARM64, u64)],
        spsr: (SysRegId, u64),
        pc: u64,
    ) {
        let saved = spsr.0.with_value(spsr.1);
        let mut names = [0; 8];
        let mut values = [std::ptr::null_mut::<c_void>(); 8];
        let mut count = 0;
        let mut push = |name: RegisterARM64, value: *const c_void| {
            names[count] = name as c_int;
            values[count] = value.cast_mut();
            count += 1;
        };
        for (name, value) in registers {
            push(*name, (&raw const *value).cast());
        }
        push(RegisterARM64::CP_REG, (&raw const saved).cast());
        push(RegisterARM64::PC, (&raw const pc).cast());
        let total = c_int::try_from(count).unwrap_or(0);
        // SAFETY: `total` names, each with a pointer to a value of its size.
        let status =
            unsafe { uc_reg_write_batch(self.handle, names.as_ptr(), values.as_ptr(), total) };
        debug_assert_eq!(status, uc_error::OK);
    }

    pub(crate) fn get_sys(&self, id: SysRegId) -> Result<u64, HvError> {
        let mut register = id.with_value(0);
        let number = RegisterARM64::CP_REG as c_int;
        // SAFETY: this register takes a description with room for the value.
        let status = unsafe { uc_reg_read(self.handle, number, (&raw mut register).cast()) };
        check(status).map_err(|_| HvError::BadArgument)?;
        Ok(register.val)
    }

    pub(crate) fn set_sys(&self, id: SysRegId, value: u64) -> Result<(), HvError> {
        let register = id.with_value(value);
        let number = RegisterARM64::CP_REG as c_int;
        // SAFETY: as in `get_sys`.
        let status = unsafe { uc_reg_write(self.handle, number, (&raw const register).cast()) };
        check(status).map_err(|_| HvError::BadArgument)
    }

    /// Maps host memory at a physical address.
    ///
    /// # Safety
    /// The memory stays until it is unmapped here or the engine is dropped.
    pub(crate) unsafe fn map(
        &self,
        ipa: u64,
        len: u64,
        perms: u32,
        host: *mut u8,
    ) -> Result<(), HvError> {
        debug_assert!(perms <= PROT_MAX);
        // SAFETY: the caller's promise.
        check(unsafe { uc_mem_map_ptr(self.handle, ipa, len, perms, host.cast()) })
    }

    pub(crate) fn unmap(&self, ipa: u64, len: u64) -> Result<(), HvError> {
        // SAFETY: takes memory from the guest only.
        check(unsafe { uc_mem_unmap(self.handle, ipa, len) })
    }

    /// Forgets all translated code.
    pub(crate) fn forget_code(&self) {
        // SAFETY: no arguments; not called while the engine runs.
        let status = unsafe { uc_ctl(self.handle, control(ControlType::TB_FLUSH, 0)) };
        debug_assert_eq!(status, uc_error::OK);
    }

    /// Empties the translation cache, which also lets it grow.
    pub(crate) fn forget_translations(&self) {
        // SAFETY: as in `forget_code`.
        let status = unsafe { uc_ctl(self.handle, control(ControlType::TLB_FLUSH, 0)) };
        debug_assert_eq!(status, uc_error::OK);
    }

    /// What stops the engine from another thread.
    pub(crate) fn remote(&self) -> Remote {
        Remote(self.handle)
    }

    /// Runs from the program counter until a hook or a [`Remote`] stops it.
    pub(crate) fn run(&self) -> Result<(), HvError> {
        let pc = self.get(RegisterARM64::PC);
        // SAFETY: hooks reach the engine and its owner only through shared references.
        check(unsafe { uc_emu_start(self.handle, pc, 0, 0, 0) })
    }

    /// Ends the run; only from a hook.
    pub(crate) fn stop(&self) {
        // SAFETY: a hook of this engine is running, on its thread.
        let status = unsafe { uc_emu_stop(self.handle) };
        debug_assert_eq!(status, uc_error::OK);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: made by `uc_open`, not used afterwards.
        unsafe { uc_close(self.handle) };
    }
}

/// Stops an engine from any thread.
pub(crate) struct Remote(*mut uc_engine);

// SAFETY: `stop` writes flags that the engine reads at the start of each block.
unsafe impl Send for Remote {}

impl Remote {
    /// Ends the run that is in progress, if there is one.
    ///
    /// # Safety
    /// The engine is alive, and its checks in the middle of blocks are off or nothing
    /// minds an atomic instruction that runs twice.
    pub(crate) unsafe fn stop(&self) {
        // SAFETY: the caller's promise.
        let status = unsafe { uc_emu_stop(self.0) };
        debug_assert_eq!(status, uc_error::OK);
    }
}

/// A saved processor state, read as bytes.
pub(crate) struct SavedState {
    context: *mut uc_context,
    size: usize,
}

impl SavedState {
    pub(crate) fn new(engine: &Engine) -> Result<Self, HvError> {
        let mut context = std::ptr::null_mut();
        // SAFETY: `context` receives the allocation.
        check(unsafe { uc_context_alloc(engine.handle, &raw mut context) })?;
        // SAFETY: the engine is alive.
        let size = unsafe { uc_context_size(engine.handle) };
        Ok(Self { context, size })
    }

    /// Bytes that [`SavedState::word`] can read.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn save(&self, engine: &Engine) {
        // SAFETY: the state was allocated for an engine of this kind.
        let status = unsafe { uc_context_save(engine.handle, self.context) };
        debug_assert_eq!(status, uc_error::OK);
    }

    pub(crate) fn word(&self, at: usize) -> u64 {
        assert!(at + 8 <= self.size, "a word within the saved state");
        // SAFETY: within the allocation.
        let from = unsafe { self.context.cast::<u8>().add(at) };
        // SAFETY: as above; the read need not be aligned.
        unsafe { from.cast::<u64>().read_unaligned() }
    }
}

impl Drop for SavedState {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, not used afterwards.
        unsafe { uc_context_free(self.context) };
    }
}
