// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor, in the shape of Apple's Hypervisor.framework (seam 1).
//!
//! One [`Vm`] per process; a [`Vcpu`] belongs to the thread that made it and is only
//! used there, except for its [`Kick`]. Numbers of registers are Apple's
//! (docs/hvf.md 1.1): a system register is `op0<<14|op1<<11|CRn<<7|CRm<<3|op2`.

use crate::Ipa;
use crate::hwcap::IdRegisters;

/// Why the hypervisor refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HvError {
    /// A virtual machine exists already, or the mapping is in use.
    #[error("busy")]
    Busy,
    /// A number that makes no sense.
    #[error("bad argument")]
    BadArgument,
    /// No more virtual processors or memory.
    #[error("no resources")]
    NoResources,
    /// The processor's state cannot be run, or it is used on another thread.
    #[error("illegal guest state")]
    IllegalState,
    /// The program may not use the hypervisor.
    #[error("denied")]
    Denied,
    /// Anything else.
    #[error("hypervisor error {0:#x}")]
    Other(u32),
}

bitflags::bitflags! {
    /// What the guest may do with physical memory.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HvPerms: u32 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute.
        const EXEC = 4;
    }
}

/// A general register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reg {
    /// `X0` to `X30`.
    X(u8),
    /// Program counter.
    Pc,
    /// `PSTATE`, as `SPSR` has it.
    Cpsr,
}

/// A system register by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SysReg(pub u16);

impl SysReg {
    /// `SCTLR_EL1`.
    pub const SCTLR: Self = Self(0xc080);
    /// `CPACR_EL1`.
    pub const CPACR: Self = Self(0xc082);
    /// `TTBR0_EL1`.
    pub const TTBR0: Self = Self(0xc100);
    /// `TTBR1_EL1`.
    pub const TTBR1: Self = Self(0xc101);
    /// `TCR_EL1`.
    pub const TCR: Self = Self(0xc102);
    /// `MAIR_EL1`.
    pub const MAIR: Self = Self(0xc510);
    /// `VBAR_EL1`.
    pub const VBAR: Self = Self(0xc600);
    /// `CNTKCTL_EL1`.
    pub const CNTKCTL: Self = Self(0xc708);
    /// `SP_EL1`.
    pub const SP_EL1: Self = Self(0xe208);
}

/// Why a processor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// [`Kick::kick`].
    Canceled,
    /// An exception to the host: syndrome, virtual and physical address.
    Exception {
        /// `ESR_EL2`.
        syndrome: u64,
        /// Faulting virtual address.
        va: u64,
        /// Faulting physical address.
        ipa: u64,
    },
    /// The virtual timer.
    Timer,
    /// The hypervisor does not say.
    Unknown,
}

/// Makes the virtual machine.
pub trait Hypervisor: Send + Sync {
    /// The virtual machine of this process.
    ///
    /// # Errors
    /// [`HvError::Busy`] while there is one, [`HvError::Denied`].
    fn create_vm(&self) -> Result<Box<dyn Vm>, HvError>;
}

/// The virtual machine.
pub trait Vm: Send + Sync {
    /// Maps host memory at a physical address; everything in units of 16 KiB.
    ///
    /// # Safety
    /// The memory stays mapped until it is unmapped here, and nothing else in Rust
    /// holds a reference into it.
    ///
    /// # Errors
    /// [`HvError::BadArgument`] for misaligned or overlapping ranges.
    unsafe fn map(
        &self,
        host: *mut u8,
        ipa: Ipa,
        len: usize,
        perms: HvPerms,
    ) -> Result<(), HvError>;

    /// Unmaps exactly what one `map` mapped.
    ///
    /// # Errors
    /// [`HvError::BadArgument`] for another range.
    fn unmap(&self, ipa: Ipa, len: usize) -> Result<(), HvError>;

    /// A processor for the calling thread.
    ///
    /// # Errors
    /// [`HvError::NoResources`].
    fn create_vcpu(&self) -> Result<Box<dyn Vcpu>, HvError>;

    /// What the processors can do.
    fn id_registers(&self) -> IdRegisters;
}

/// A virtual processor.
pub trait Vcpu {
    /// Runs until something happens.
    ///
    /// # Errors
    /// [`HvError`]; the processor cannot be used any more.
    fn run(&mut self) -> Result<Exit, HvError>;

    /// Reads a register.
    ///
    /// # Errors
    /// [`HvError::BadArgument`].
    fn get_reg(&mut self, reg: Reg) -> Result<u64, HvError>;

    /// Writes a register.
    ///
    /// # Errors
    /// [`HvError::BadArgument`].
    fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError>;

    /// Writes a system register.
    ///
    /// # Errors
    /// [`HvError::BadArgument`].
    fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError>;

    /// Raises or lowers the interrupt line. It falls when a run ends: who still wants
    /// the interrupt raises it again.
    ///
    /// # Errors
    /// [`HvError`].
    fn set_pending_irq(&mut self, on: bool) -> Result<(), HvError>;

    /// Host code has written instructions: forget old ones.
    fn invalidate_icache(&mut self);

    /// What stops it from another thread.
    fn kick_handle(&self) -> std::sync::Arc<dyn Kick>;
}

/// Stops a processor from any thread.
pub trait Kick: Send + Sync {
    /// Makes a run that is in progress return [`Exit::Canceled`] soon. Whether a kick
    /// between two runs cuts the next one is not promised.
    fn kick(&self);
}
