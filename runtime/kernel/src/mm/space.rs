// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address space of a process.
//!
//! [`Mm`] is shared by the tasks of a process and by `vfork` and `CLONE_VM`
//! children. The page tables live in the machine and lock themselves; the lock of
//! [`Mm`] (rank [`Rank::Memory`]) orders changes of the areas and faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use elfuse_machine::{AddressSpace, Machine};

use super::{GuestAddr, PAGE, TASK_SIZE, VmaFlags, VmaMap};
use crate::file::OpenFile;
use crate::gauge::{self, Counted};
use crate::sync::{Rank, Ranked, RankedGuard};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Distance between the highest mapping and the end of the address space, when
/// the stack limit is smaller.
const MIN_STACK_GAP: u64 = 128 << 20;

/// Where things are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Mappings go below this.
    pub mmap_base: u64,
    /// First address of the heap.
    pub brk_start: u64,
    /// Current end of the heap.
    pub brk: u64,
    /// Initial stack pointer.
    pub stack_start: u64,
    /// First argument string.
    pub arg_start: u64,
    /// End of the argument strings.
    pub arg_end: u64,
    /// First environment string.
    pub env_start: u64,
    /// End of the environment strings.
    pub env_end: u64,
    /// ELF header of the vDSO.
    pub vdso: u64,
    /// Address of `__kernel_rt_sigreturn`.
    pub sigreturn: u64,
    /// First address of the program's code.
    pub code_start: u64,
    /// End of the program's code.
    pub code_end: u64,
}

impl Layout {
    /// The usual top-down layout below a stack that may grow to `stack_limit`.
    #[must_use]
    pub fn mmap_base_for(stack_limit: u64, random_pages: u64) -> u64 {
        let gap = stack_limit.clamp(MIN_STACK_GAP, TASK_SIZE / 6 * 5);
        super::page_floor(TASK_SIZE - gap - random_pages * PAGE)
    }
}

/// The limits that memory calls look at, read once per call.
#[derive(Clone, Copy, Debug)]
pub struct MemLimits {
    /// `RLIMIT_AS`, bytes.
    pub address_space: u64,
    /// `RLIMIT_DATA`, bytes.
    pub data: u64,
    /// `RLIMIT_STACK`, bytes.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`, bytes; no limit with `CAP_IPC_LOCK`.
    pub locked: u64,
}

pub(super) struct State {
    pub(super) vmas: VmaMap,
    pub(super) layout: Layout,
    /// Flags that new areas get (`mlockall(MCL_FUTURE)`).
    pub(super) default_flags: VmaFlags,
    pub(super) auxv: Arc<[u8]>,
    pub(super) exe: Option<Arc<OpenFile>>,
    pub(super) peak_pages: u64,
    pub(super) data_bytes: u64,
}

/// Sizes for `/proc/PID/status` and `statm`, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MmSummary {
    /// Mapped.
    pub total: u64,
    /// In memory.
    pub resident: u64,
    /// Largest `resident` seen.
    pub peak_resident: u64,
    /// Writable and private.
    pub data: u64,
    /// Stack.
    pub stack: u64,
    /// Code.
    pub text: u64,
    /// Locked.
    pub locked: u64,
}

/// An address space.
pub struct Mm {
    pub(super) machine: Arc<Machine>,
    pub(super) space: AddressSpace,
    id: u64,
    state: Ranked<State>,
    pub(super) minor_faults: AtomicU64,
    pub(super) major_faults: AtomicU64,
    /// Kinds of `membarrier` that the program has announced.
    pub(crate) barriers: AtomicU32,
    _counted: Counted,
}

impl Mm {
    /// An empty address space.
    ///
    /// # Errors
    /// [`OutOfMemory`](elfuse_machine::OutOfMemory) without memory for tables.
    pub fn new(
        machine: &Arc<Machine>,
        layout: Layout,
    ) -> Result<Self, elfuse_machine::OutOfMemory> {
        let state = State {
            vmas: VmaMap::default(),
            layout,
            default_flags: VmaFlags::empty(),
            auxv: Arc::from([]),
            exe: None,
            peak_pages: 0,
            data_bytes: 0,
        };
        Ok(Self {
            machine: Arc::clone(machine),
            space: machine.new_space()?,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            state: Ranked::new(Rank::Memory, state),
            minor_faults: AtomicU64::new(0),
            major_faults: AtomicU64::new(0),
            barriers: AtomicU32::new(0),
            _counted: gauge::SPACES.count(),
        })
    }

    pub(super) fn lock(&self) -> RankedGuard<'_, State> {
        self.state.lock()
    }

    /// The page tables: what a processor runs with.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// A number that no other address space ever has (key of private futexes).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where things are.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.lock().layout
    }

    /// Changes where things are (`execve`, `prctl(PR_SET_MM)`).
    pub fn update_layout(&self, change: impl FnOnce(&mut Layout)) {
        change(&mut self.lock().layout);
    }

    /// The auxiliary vector, as the program got it.
    #[must_use]
    pub fn auxv(&self) -> Arc<[u8]> {
        Arc::clone(&self.lock().auxv)
    }

    /// Remembers the auxiliary vector.
    pub fn set_auxv(&self, auxv: &[u8]) {
        self.lock().auxv = Arc::from(auxv);
    }

    /// The program that runs in it.
    #[must_use]
    pub fn exe(&self) -> Option<Arc<OpenFile>> {
        self.lock().exe.clone()
    }

    /// Remembers the program.
    pub fn set_exe(&self, exe: Arc<OpenFile>) {
        let old = self.lock().exe.replace(exe);
        drop(old);
    }

    /// A copy of the areas, for `/proc/PID/maps`.
    #[must_use]
    pub fn areas(&self) -> VmaMap {
        self.lock().vmas.clone()
    }

    /// Does `addr` lie in a shared mapping?
    #[must_use]
    pub fn is_shared_at(&self, addr: u64) -> bool {
        let state = self.lock();
        state
            .vmas
            .find(addr)
            .is_some_and(|vma| vma.flags.contains(VmaFlags::SHARED))
    }

    /// Faults so far: without and with I/O.
    #[must_use]
    pub fn faults(&self) -> (u64, u64) {
        (
            self.minor_faults.load(Ordering::Relaxed),
            self.major_faults.load(Ordering::Relaxed),
        )
    }

    /// Sizes.
    #[must_use]
    pub fn summary(&self) -> MmSummary {
        let mut state = self.lock();
        let mut sum = MmSummary {
            total: state.vmas.total(),
            ..MmSummary::default()
        };
        for vma in state.vmas.iter() {
            let resident = self.space.resident_pages(GuestAddr(vma.start), vma.len());
            sum.resident += u64::try_from(resident).unwrap_or(0) * PAGE;
            if vma.flags.contains(VmaFlags::LOCKED) {
                sum.locked += vma.len();
            }
            if vma.flags.contains(VmaFlags::STACK) {
                sum.stack += vma.len();
            } else if super::map::is_data(vma) {
                sum.data += vma.len();
            } else if vma.prot.contains(linux_abi::mman::ProtFlags::EXEC) {
                sum.text += vma.len();
            }
        }
        state.peak_pages = state.peak_pages.max(sum.resident / PAGE);
        sum.peak_resident = state.peak_pages * PAGE;
        sum
    }
}
