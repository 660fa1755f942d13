// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: one virtual machine with memory, processors and the shim.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::addr::{LINEAR_BASE, SHIM_BASE, SLAB_BASE};
use crate::cpu::Cpu;
use crate::host::tear;
use crate::hv::{HvError, HvPerms, Hypervisor, Vm};
use crate::hwcap::IdRegisters;
use crate::memory::Memory;
use crate::registry::Registry;
use crate::slab::{Frame, OutOfMemory, Reclaim, Slab};
use crate::table::{TABLE, VALID, el1_block, el1_code};
use crate::vdso::VdsoImage;
use crate::window::{FileWindow, NoWindow, Windows};
use crate::{AddressSpace, Ipa, PAGE_SIZE, ThreadState};

static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim.bin"));
const _: () = assert!(SHIM.len() > 0x800 && SHIM.len() <= PAGE_SIZE);

/// Why a machine or a part of it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The hypervisor refuses.
    #[error("use the hypervisor: {0}")]
    Hypervisor(#[from] HvError),
    /// No guest memory is left.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The host gives no memory.
    #[error("reserve guest memory: {0}")]
    Host(#[from] std::io::Error),
}

/// What the machine is made like.
#[derive(Clone, Copy, Debug)]
pub struct MachineConfig {
    /// Guest memory; rounded up to 16 KiB.
    pub ram_bytes: u64,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Exits of the virtual machine.
    pub exits: u64,
    /// System calls that the shim answered.
    pub fast_calls: u64,
    /// Memory faults of programs.
    pub faults: u64,
    /// Kicks that stopped a program.
    pub kicks: u64,
    /// Switches from one thread to another.
    pub thread_switches: u64,
    /// Pages invalidated one by one.
    pub tlb_pages: u64,
    /// Address spaces invalidated.
    pub tlb_spaces: u64,
    /// Registers read or written through the hypervisor.
    pub register_calls: u64,
    /// Exits with which the host had nothing to do.
    pub stray_exits: u64,
}

#[derive(Default)]
pub(crate) struct AtomicCounters {
    pub(crate) exits: AtomicU64,
    pub(crate) fast_calls: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) kicks: AtomicU64,
    pub(crate) thread_switches: AtomicU64,
    pub(crate) tlb_pages: AtomicU64,
    pub(crate) tlb_spaces: AtomicU64,
    pub(crate) register_calls: AtomicU64,
    pub(crate) stray_exits: AtomicU64,
}

/// Numbers of address spaces that processors know: 1 to 65535.
pub(crate) struct Asids {
    state: Mutex<(u16, Vec<u16>)>,
}

impl Asids {
    pub(crate) fn take(&self) -> Option<u16> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asid) = state.1.pop() {
            return Some(asid);
        }
        state.0 = state.0.checked_add(1)?;
        Some(state.0)
    }

    pub(crate) fn give_back(&self, asid: u16) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .push(asid);
    }
}

/// What processors share.
pub(crate) struct Shared {
    pub(crate) vm: Box<dyn Vm>,
    pub(crate) slab: Arc<Slab>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) counters: AtomicCounters,
    /// An empty table for processors that run nothing yet.
    pub(crate) empty_root: Frame,
    /// What the processors can do.
    pub(crate) ids: IdRegisters,
    pub(crate) vdso: Arc<VdsoImage>,
    el1: Vec<Frame>,
}

impl Shared {
    pub(crate) fn el1_root(&self) -> u64 {
        self.el1.first().map_or(0, |frame| frame.ipa().0)
    }
}

/// One virtual machine.
pub struct Machine {
    shared: Arc<Shared>,
    asids: Arc<Asids>,
}

impl Machine {
    /// Makes the virtual machine of this process.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn new(hv: &dyn Hypervisor, config: MachineConfig) -> Result<Arc<Self>, MachineError> {
        let vm = hv.create_vm()?;
        let bytes = config.ram_bytes.next_multiple_of(16 * 1024);
        let slab = Slab::new(bytes)?;
        let perms = HvPerms::READ | HvPerms::WRITE | HvPerms::EXEC;
        // SAFETY: the slab lives as long as `Shared`, which owns the virtual machine
        // and drops it first; it is only reached by pointer.
        unsafe { vm.map(slab.base(), Ipa(SLAB_BASE), slab.len(), perms) }?;
        let el1 = el1_tables(&slab)?;
        let end = SLAB_BASE + u64::try_from(slab.len()).unwrap_or(0);
        let memory = Memory {
            slab: Arc::clone(&slab),
            windows: Windows::new(end),
        };
        let shared = Shared {
            registry: Arc::default(),
            counters: AtomicCounters::default(),
            empty_root: slab.alloc()?,
            ids: vm.id_registers(),
            el1,
            vdso: Arc::new(VdsoImage::new(&slab)?),
            memory: Arc::new(memory),
            slab,
            vm,
        };
        Ok(Arc::new(Self {
            shared: Arc::new(shared),
            asids: Arc::new(Asids {
                state: Mutex::new((0, Vec::new())),
            }),
        }))
    }

    /// A frame of zeros.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn alloc_frame_zeroed(&self) -> Result<Frame, OutOfMemory> {
        self.shared.slab.alloc()
    }

    /// Says what lets go of frames when none is left. It is called with locks held: it
    /// may wait for none and allocate nothing.
    pub fn set_reclaim(&self, reclaim: Reclaim) {
        self.shared.slab.set_reclaim(reclaim);
    }

    /// Frames that somebody holds.
    #[must_use]
    pub fn frames_in_use(&self) -> usize {
        self.shared.slab.in_use() - self.shared.registry.retired_frames()
    }

    /// Frames that were held at the same time, at most.
    #[must_use]
    pub fn frames_peak(&self) -> usize {
        self.shared.slab.peak()
    }

    /// All frames.
    #[must_use]
    pub fn frames_total(&self) -> usize {
        self.shared.slab.frames()
    }

    /// Shows `len` bytes of a file from `offset` on in a window, read-only. `offset` is
    /// a multiple of [`crate::WINDOW_BYTES`], of which a window has no more. Should the
    /// file change, the window changes; should it be cut short, see [`Self::tears`].
    ///
    /// # Errors
    /// [`NoWindow`] when all are in use, or the host or the hypervisor refuses.
    pub fn map_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Result<FileWindow, NoWindow> {
        let shared = &self.shared;
        let windows = &shared.memory.windows;
        let (window, was_used) = windows.open(&*shared.vm, file, offset, len)?;
        if was_used {
            shared.slab.new_code_epoch();
        }
        Ok(window)
    }

    /// Windows that there are.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.shared.memory.windows.in_use()
    }

    /// How often the end of a file that was cut short has been met in a window. Whoever
    /// sees it grow has all address spaces forget such windows
    /// ([`AddressSpace::unmap_torn`]) before a program runs again.
    #[must_use]
    pub fn tears(&self) -> u64 {
        tear::count()
    }

    /// An empty address space.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new_space(&self) -> Result<AddressSpace, OutOfMemory> {
        AddressSpace::new(&self.shared.memory, &self.shared.registry, &self.asids)
    }

    /// Registers of a new thread, all 0.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new_thread(&self) -> Result<ThreadState, OutOfMemory> {
        ThreadState::new(&self.shared.slab)
    }

    /// A processor for the calling thread.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn new_cpu(&self) -> Result<Cpu, MachineError> {
        Cpu::new(&self.shared)
    }

    /// What is mapped into every program.
    #[must_use]
    pub fn vdso(&self) -> &VdsoImage {
        &self.shared.vdso
    }

    /// `AT_HWCAP` and `AT_HWCAP2`.
    #[must_use]
    pub fn hwcap(&self) -> [u64; 2] {
        self.shared.ids.hwcap()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let from = &self.shared.counters;
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counters {
            exits: load(&from.exits),
            fast_calls: load(&from.fast_calls),
            faults: load(&from.faults),
            kicks: load(&from.kicks),
            thread_switches: load(&from.thread_switches),
            tlb_pages: load(&from.tlb_pages),
            tlb_spaces: load(&from.tlb_spaces),
            register_calls: load(&from.register_calls),
            stray_exits: load(&from.stray_exits),
        }
    }
}

/// The upper half: guest memory in blocks of 1 GiB, and the shim's page. The root
/// is the first frame.
fn el1_tables(slab: &Arc<Slab>) -> Result<Vec<Frame>, OutOfMemory> {
    let alloc = || slab.alloc();
    let (root, linear, shim1, shim2, shim3, code) =
        (alloc()?, alloc()?, alloc()?, alloc()?, alloc()?, alloc()?);
    code.write(0, SHIM);
    let link = |table: &Frame, at: u64, to: &Frame| {
        let offset = usize::try_from(at * 8).unwrap_or(0);
        table
            .long(offset)
            .store(to.ipa().0 | VALID | TABLE, Ordering::SeqCst);
    };
    let top = |va: u64| va >> 39 & 511;
    link(&root, top(LINEAR_BASE), &linear);
    link(&root, top(SHIM_BASE), &shim1);
    link(&shim1, 0, &shim2);
    link(&shim2, 0, &shim3);
    shim3.long(0).store(el1_code(code.ipa()), Ordering::SeqCst);
    let end = SLAB_BASE + u64::try_from(slab.len()).unwrap_or(0);
    for gib in SLAB_BASE >> 30..end.div_ceil(1 << 30) {
        let offset = usize::try_from(gib * 8).unwrap_or(0);
        linear
            .long(offset)
            .store(el1_block(Ipa(gib << 30)), Ordering::SeqCst);
    }
    Ok(vec![root, linear, shim1, shim2, shim3, code])
}
