// SPDX-License-Identifier: GPL-2.0-only
//! The virtual machine: its memory, and the lock under which processors run.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elfuse_machine::Ipa;
use elfuse_machine::hv::{HvError, HvPerms, Hypervisor, Vcpu, Vm};
use elfuse_machine::hwcap::IdRegisters;

use crate::turn::Turns;
use crate::vcpu::SimVcpu;

/// Unit of mappings (Apple's page size).
const GRANULE: u64 = 16 * 1024;

static EXISTS: AtomicBool = AtomicBool::new(false);

/// Makes the virtual machine of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulator;

impl Hypervisor for Simulator {
    fn create_vm(&self) -> Result<Box<dyn Vm>, HvError> {
        if EXISTS.swap(true, Ordering::SeqCst) {
            return Err(HvError::Busy);
        }
        Ok(Box::new(SimVm {
            shared: Arc::default(),
        }))
    }
}

/// Host memory at a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) host: usize,
    pub(crate) ipa: u64,
    pub(crate) len: u64,
    pub(crate) perms: HvPerms,
}

/// What the processors share.
#[derive(Default)]
pub(crate) struct Shared {
    mappings: Mutex<Vec<Mapping>>,
    /// Changes with every change of the mappings.
    pub(crate) generation: AtomicU64,
    /// Only one processor runs at a time: exclusive accesses of different instances
    /// would not see each other.
    pub(crate) turns: Turns,
    /// Processors that exist.
    pub(crate) processors: AtomicUsize,
    /// Changes when a processor says that it wrote instructions.
    pub(crate) code_epoch: AtomicU64,
    /// State of the generator behind [`Shared::toss`].
    coins: AtomicU64,
}

impl Shared {
    pub(crate) fn mappings(&self) -> MutexGuard<'_, Vec<Mapping>> {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mappings have changed: each processor sees it before it runs on.
    fn announce(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        // When it is the turn of nobody else, all have to begin one.
        let seat = self.turns.join(Arc::default());
        drop(self.turns.take(&seat));
        self.turns.part(&seat);
    }

    /// A coin whose sequence is the same in every run of a program.
    pub(crate) fn toss(&self) -> bool {
        // The top bit of Knuth's linear congruential generator.
        let step = |n: u64| {
            n.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        };
        let update = |n| Some(step(n));
        let last = self
            .coins
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        last.unwrap_or_else(|n| n) >> 63 == 0
    }
}

struct SimVm {
    shared: Arc<Shared>,
}

/// As the framework checks it, except that the host's own pages may be smaller.
fn is_aligned(host: usize, ipa: u64, len: u64) -> bool {
    let is_whole = ipa.is_multiple_of(GRANULE) && len.is_multiple_of(GRANULE);
    host.is_multiple_of(4096) && is_whole && len > 0
}

impl Vm for SimVm {
    unsafe fn map(
        &self,
        host: *mut u8,
        ipa: Ipa,
        len: usize,
        perms: HvPerms,
    ) -> Result<(), HvError> {
        let len = u64::try_from(len).map_err(|_| HvError::BadArgument)?;
        let host = host.expose_provenance();
        let end = ipa.0.checked_add(len).ok_or(HvError::BadArgument)?;
        if !is_aligned(host, ipa.0, len) || perms.is_empty() {
            return Err(HvError::BadArgument);
        }
        let mut mappings = self.shared.mappings();
        if mappings
            .iter()
            .any(|have| ipa.0 < have.ipa + have.len && have.ipa < end)
        {
            return Err(HvError::BadArgument);
        }
        mappings.push(Mapping {
            host,
            ipa: ipa.0,
            len,
            perms,
        });
        drop(mappings);
        self.shared.announce();
        Ok(())
    }

    fn unmap(&self, ipa: Ipa, len: usize) -> Result<(), HvError> {
        let len = u64::try_from(len).map_err(|_| HvError::BadArgument)?;
        let mut mappings = self.shared.mappings();
        let at = mappings
            .iter()
            .position(|have| have.ipa == ipa.0 && have.len == len);
        mappings.remove(at.ok_or(HvError::BadArgument)?);
        drop(mappings);
        self.shared.announce();
        Ok(())
    }

    fn create_vcpu(&self) -> Result<Box<dyn Vcpu>, HvError> {
        Ok(Box::new(SimVcpu::new(&self.shared)?))
    }

    /// What Unicorn's most capable processor has and the runtime keeps working: the
    /// values of the pinned version's processor model.
    fn id_registers(&self) -> IdRegisters {
        IdRegisters {
            pfr0: 0x0011_0011,
            isar0: 0x0021_1111_1021_2120,
            isar1: 0x0000_0011_0021_1002,
            mmfr2: 0,
        }
    }
}

impl Drop for SimVm {
    fn drop(&mut self) {
        EXISTS.store(false, Ordering::SeqCst);
    }
}
