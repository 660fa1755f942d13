// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first seam: a hypervisor, in the shape of Apple's Hypervisor.framework.
//!
//! [`Hypervisor`] makes the one [`Vm`] of the process, a `Vm` makes a [`Vcpu`] on the
//! thread that will run it, and a [`Kick`] is the only part of a processor that other
//! threads may touch. Everything above (the EL1 shim and the page tables included) is
//! the same on a Mac and on the simulator. What is assumed of real hardware, and where
//! it was read, stands in docs/hvf.md.

use std::sync::Arc;

mod registers;

pub use registers::{Reg, SysReg};

/// The granule of [`Vm::map`]: host address, IPA and length are multiples of it.
pub const MAP_GRANULE: usize = 16 * 1024;

/// An address in the guest's physical space, the input of stage 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipa(pub u64);

bitflags::bitflags! {
    /// What a stage 2 mapping permits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Permissions: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXEC = 4;
    }
}

/// The error codes of the framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HvError {
    /// `HV_ERROR`.
    #[error("unspecified hypervisor error")]
    Error,
    /// `HV_BUSY`: the process has a VM already, or the VM still has processors.
    #[error("hypervisor busy: one VM per process")]
    Busy,
    /// `HV_BAD_ARGUMENT`: alignment, overlap, or the wrong thread.
    #[error("bad argument to the hypervisor")]
    BadArgument,
    /// `HV_ILLEGAL_GUEST_STATE`.
    #[error("illegal guest state")]
    IllegalGuestState,
    /// `HV_NO_RESOURCES`.
    #[error("no hypervisor resources left")]
    NoResources,
    /// `HV_NO_DEVICE`.
    #[error("no VM or processor")]
    NoDevice,
    /// `HV_DENIED`: the executable lacks the entitlement, or the mapping asks for more
    /// than the host mapping permits.
    #[error("hypervisor access denied: entitlement com.apple.security.hypervisor missing?")]
    Denied,
    /// `HV_UNSUPPORTED`.
    #[error("not supported by this hypervisor")]
    Unsupported,
    /// A code that is not documented.
    #[error("hypervisor error {0:#x}")]
    Unknown(u32),
}

/// Why a processor stopped running guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Somebody kicked, or nothing happened: callers run again.
    Canceled,
    /// An exception was taken to EL2.
    Exception {
        /// `ESR_EL2`.
        syndrome: u64,
        /// `FAR_EL2`, where the syndrome has one.
        virtual_address: u64,
        /// The address whose stage 2 translation failed, where the syndrome has one.
        physical_address: Ipa,
    },
    /// The virtual timer fired; it is masked until [`Vcpu::set_vtimer_mask`] unmasks it.
    VirtualTimer,
    /// The framework does not say; callers run again.
    Unknown,
}

/// Makes the VM. One object per process; any thread.
pub trait Hypervisor: Send + Sync {
    /// Creates the process's VM.
    ///
    /// # Errors
    /// [`HvError::Busy`] while an earlier one exists, [`HvError::Denied`] without entitlement.
    fn create_vm(&self, config: &VmConfig) -> Result<Arc<dyn Vm>, HvError>;

    /// Bits of the largest guest physical address.
    ///
    /// # Errors
    /// What the framework reports.
    fn max_ipa_bits(&self) -> Result<u32, HvError>;

    /// How many processors a VM may have at once.
    ///
    /// # Errors
    /// What the framework reports.
    fn max_vcpus(&self) -> Result<u32, HvError>;

    /// What `CNTVCT_EL0` would read in the guest now.
    fn counter(&self) -> u64;

    /// `CNTFRQ_EL0` of the guest, in hertz.
    fn counter_frequency(&self) -> u64;
}

/// What a new VM is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmConfig {
    /// Bits of guest physical addresses, at most [`Hypervisor::max_ipa_bits`].
    pub ipa_bits: u32,
}

/// The guest's physical memory and the maker of its processors; any thread may use it.
/// Dropping the last reference destroys the VM, after its processors.
pub trait Vm: Send + Sync {
    /// Makes host memory visible at `ipa`. Host pages changed later by `mmap` over the
    /// same host address are not seen: unmap first, map again.
    ///
    /// # Errors
    /// [`HvError::BadArgument`] for a multiple of something else than [`MAP_GRANULE`], a
    /// range outside the guest physical space, an overlap, no permissions, or length 0.
    ///
    /// # Safety
    /// `host..host + len` stays mapped with the same permissions, and Rust holds no
    /// references into it, until the range is unmapped or the VM destroyed.
    unsafe fn map(
        &self,
        host: *mut u8,
        ipa: Ipa,
        len: usize,
        permissions: Permissions,
    ) -> Result<(), HvError>;

    /// Removes one mapping made by [`Vm::map`]: exactly its range, not a part. When it
    /// returns, no processor uses the host memory any more.
    ///
    /// # Errors
    /// [`HvError::BadArgument`] when no mapping has this range.
    fn unmap(&self, ipa: Ipa, len: usize) -> Result<(), HvError>;

    /// Makes the caller's thread the owner of a new processor.
    ///
    /// # Errors
    /// [`HvError::NoResources`] above [`Hypervisor::max_vcpus`].
    fn create_vcpu(self: Arc<Self>) -> Result<Box<dyn Vcpu>, HvError>;

    /// The host changed instructions in `ipa..ipa + len` (at `host`): afterwards no
    /// processor that runs `IC IALLU` or takes a context synchronisation sees old ones.
    ///
    /// # Safety
    /// `host..host + len` is mapped memory of this VM.
    unsafe fn code_changed(&self, host: *const u8, ipa: Ipa, len: usize);
}

/// One processor. It belongs to the thread that made it and is not `Send`.
pub trait Vcpu {
    /// Runs guest code until something happens. May return [`Exit::Canceled`] or
    /// [`Exit::Unknown`] without a cause.
    ///
    /// # Errors
    /// [`HvError::IllegalGuestState`] and what the framework reports.
    fn run(&mut self) -> Result<Exit, HvError>;

    /// Reads a register.
    ///
    /// # Errors
    /// [`HvError::BadArgument`] for a register that does not exist.
    fn reg(&self, reg: Reg) -> Result<u64, HvError>;

    /// Writes a register.
    ///
    /// # Errors
    /// As [`Vcpu::reg`].
    fn set_reg(&mut self, reg: Reg, value: u64) -> Result<(), HvError>;

    /// Reads a system register.
    ///
    /// # Errors
    /// As [`Vcpu::reg`].
    fn sys_reg(&self, reg: SysReg) -> Result<u64, HvError>;

    /// Writes a system register.
    ///
    /// # Errors
    /// As [`Vcpu::reg`].
    fn set_sys_reg(&mut self, reg: SysReg, value: u64) -> Result<(), HvError>;

    /// Raises the IRQ line for the next run, or lowers it. It falls when a run ends: who
    /// still wants the interrupt raises it again (docs/hvf.md, "Interrupts").
    ///
    /// # Errors
    /// What the framework reports.
    fn set_pending_irq(&mut self, pending: bool) -> Result<(), HvError>;

    /// Masks or unmasks [`Exit::VirtualTimer`].
    ///
    /// # Errors
    /// What the framework reports.
    fn set_vtimer_mask(&mut self, masked: bool) -> Result<(), HvError>;

    /// The part that other threads may use; harmless after the processor is gone.
    fn kick_handle(&self) -> Arc<dyn Kick>;
}

/// Cuts a run short from another thread.
pub trait Kick: Send + Sync {
    /// Makes a run that is in progress return [`Exit::Canceled`] soon. Whether a kick
    /// between two runs cuts the next one is not promised: who must not lose it keeps
    /// a flag and looks at it before running.
    fn kick(&self);
}
