// SPDX-License-Identifier: MIT OR Apache-2.0
//! Resource limits of a process.
//!
//! Shared by its threads, copied by `fork`. Every cell is an atomic pair behind one
//! small lock; reads copy. Defaults are those of a Linux login.

use linux_abi::Errno;
use linux_abi::resource::{
    RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_AS, RLIMIT_CORE, RLIMIT_DATA, RLIMIT_MEMLOCK,
    RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RTPRIO, RLIMIT_SIGPENDING,
    RLIMIT_STACK, Rlimit,
};

use crate::mm::MemLimits;
use crate::sync::{Rank, Ranked};

/// The highest limit of descriptors (`fs.nr_open`).
const NR_OPEN: u64 = 1 << 20;

/// All limits of a process.
pub struct Limits {
    table: Ranked<[Rlimit; RLIM_NLIMITS]>,
}

impl Default for Limits {
    fn default() -> Self {
        let mut table = [Rlimit {
            cur: RLIM_INFINITY,
            max: RLIM_INFINITY,
        }; RLIM_NLIMITS];
        table[RLIMIT_STACK].cur = 8 << 20;
        table[RLIMIT_CORE].cur = 0;
        table[RLIMIT_NPROC] = Rlimit {
            cur: 32768,
            max: 32768,
        };
        table[RLIMIT_NOFILE] = Rlimit {
            cur: 1024,
            max: NR_OPEN,
        };
        table[RLIMIT_MEMLOCK] = Rlimit {
            cur: 8 << 20,
            max: 8 << 20,
        };
        table[RLIMIT_SIGPENDING] = Rlimit {
            cur: 32768,
            max: 32768,
        };
        table[RLIMIT_MSGQUEUE] = Rlimit {
            cur: 819_200,
            max: 819_200,
        };
        table[RLIMIT_NICE] = Rlimit { cur: 0, max: 0 };
        table[RLIMIT_RTPRIO] = Rlimit { cur: 0, max: 0 };
        Self {
            table: Ranked::new(Rank::Fields, table),
        }
    }
}

impl Limits {
    /// A copy for a child.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            table: Ranked::new(Rank::Fields, *self.table.lock()),
        }
    }

    /// One limit.
    ///
    /// # Errors
    /// `EINVAL` for a number that is no limit.
    pub fn get(&self, which: usize) -> Result<Rlimit, Errno> {
        self.table.lock().get(which).copied().ok_or(Errno::EINVAL)
    }

    /// The soft limit; unlimited for a number that is no limit.
    #[must_use]
    pub fn soft(&self, which: usize) -> u64 {
        self.table
            .lock()
            .get(which)
            .map_or(RLIM_INFINITY, |limit| limit.cur)
    }

    /// Sets one limit and returns the old one.
    ///
    /// # Errors
    /// `EINVAL` when soft exceeds hard, `EPERM` to raise the hard limit.
    pub fn set(&self, which: usize, new: Rlimit, is_privileged: bool) -> Result<Rlimit, Errno> {
        let mut table = self.table.lock();
        let slot = table.get_mut(which).ok_or(Errno::EINVAL)?;
        if new.cur > new.max {
            return Err(Errno::EINVAL);
        }
        if which == RLIMIT_NOFILE && new.max > NR_OPEN {
            return Err(Errno::EPERM);
        }
        if new.max > slot.max && !is_privileged {
            return Err(Errno::EPERM);
        }
        Ok(std::mem::replace(slot, new))
    }

    /// The number below which descriptors must stay.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        usize::try_from(self.soft(RLIMIT_NOFILE)).unwrap_or(usize::MAX)
    }

    /// What memory calls look at.
    #[must_use]
    pub fn memory(&self, may_lock: bool) -> MemLimits {
        let table = self.table.lock();
        MemLimits {
            address_space: table[RLIMIT_AS].cur,
            data: table[RLIMIT_DATA].cur,
            stack: table[RLIMIT_STACK].cur,
            locked: if may_lock {
                RLIM_INFINITY
            } else {
                table[RLIMIT_MEMLOCK].cur
            },
        }
    }
}
