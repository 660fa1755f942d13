// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vDSO that every program gets: clocks that need no system call, and the return
//! path of signal handlers.
//!
//! The code is one page that programs share, and before it one page of data, which the
//! host alone writes. Clocks are the processor's counter times a scale plus a distance
//! for each clock. A single word changes at a time, so readers need no lock. The scale
//! is 0, and programs make system calls, until a processor has read its counter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::host::HostClock;
use crate::layout::{VDSO_SIGRETURN, VVAR_BOOTTIME, VVAR_MONOTONIC, VVAR_REALTIME, VVAR_SCALE};
use crate::memory::Page;
use crate::slab::{Frame, OutOfMemory, Slab};
use crate::space::Prot;

static CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.bin"));
const _: () = assert!(CODE.len() > VDSO_SIGRETURN && CODE.len() <= crate::PAGE_SIZE);

/// Age at which the distances between clocks are measured again.
const FRESH_NS: u64 = 10_000_000;
/// How far the counter may be from the host's clock to count as the same: longer than
/// entering the guest takes, shorter than any machine has been up.
const SAME_NS: u64 = 1_000_000_000;

/// What is mapped into every program.
#[derive(Debug)]
pub struct VdsoImage {
    pages: Vec<(Page, Prot)>,
    data: Frame,
    measured_ns: AtomicU64,
    is_counter_known: AtomicBool,
}

impl VdsoImage {
    pub(crate) fn new(slab: &Arc<Slab>) -> Result<Self, OutOfMemory> {
        let (data, code) = (slab.alloc()?, slab.alloc()?);
        code.write(0, CODE);
        let pages = vec![
            (Page::Anon(data.clone()), Prot::READ),
            (Page::Anon(code), Prot::READ | Prot::EXEC),
        ];
        Ok(Self {
            pages,
            data,
            measured_ns: AtomicU64::new(0),
            is_counter_known: AtomicBool::new(false),
        })
    }

    /// The pages, in order.
    #[must_use]
    pub fn pages(&self) -> &[(Page, Prot)] {
        &self.pages
    }

    /// Offset of the ELF header.
    #[must_use]
    pub fn elf_offset(&self) -> u64 {
        4096
    }

    /// Offset of `__kernel_rt_sigreturn`.
    #[must_use]
    pub fn sigreturn(&self) -> u64 {
        self.elf_offset() + u64::try_from(VDSO_SIGRETURN).unwrap_or(0)
    }

    /// Measures the clocks again, if the last time was a while before `now_ns` on the
    /// monotonic clock.
    pub fn keep_fresh(&self, clock: &dyn HostClock, now_ns: u64) {
        let last = self.measured_ns.load(Ordering::Relaxed);
        if last != 0 && now_ns < last + FRESH_NS {
            return;
        }
        self.measured_ns.store(now_ns, Ordering::Relaxed);
        let base = self.data.long(VVAR_MONOTONIC).load(Ordering::Relaxed);
        let monotonic = clock.monotonic_ns();
        for (at, reading) in [
            (VVAR_REALTIME, clock.realtime_ns()),
            (VVAR_BOOTTIME, clock.boottime_ns()),
        ] {
            let distance = reading.wrapping_sub(monotonic).wrapping_add(base);
            self.data.long(at).store(distance, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_counter_known(&self) -> bool {
        self.is_counter_known.load(Ordering::Relaxed)
    }

    /// A processor's counter was `ticks` soon after `now_ns`. The host's monotonic clock
    /// is the same counter on both hosts (docs/hvf.md, "Time"); where it is not, the
    /// distance is measured.
    pub(crate) fn set_counter(&self, ticks: u64, hz: u64, now_ns: u64) {
        let Some((scale, shift)) = scale(hz) else {
            return;
        };
        if self.is_counter_known.swap(true, Ordering::Relaxed) {
            return;
        }
        let counted = u64::try_from((u128::from(ticks) * u128::from(scale)) >> shift).unwrap_or(0);
        if now_ns.abs_diff(counted) > SAME_NS {
            let base = now_ns.wrapping_sub(counted);
            for at in [VVAR_MONOTONIC, VVAR_REALTIME, VVAR_BOOTTIME] {
                self.data.long(at).fetch_add(base, Ordering::Relaxed);
            }
        }
        self.data
            .long(VVAR_SCALE + 8)
            .store(shift, Ordering::Relaxed);
        self.data.long(VVAR_SCALE).store(scale, Ordering::Release);
    }
}

/// Nanoseconds for each tick: a number and the power of two that it is too large by.
fn scale(hz: u64) -> Option<(u64, u64)> {
    let fixed =
        |shift: u32| u64::try_from((1_000_000_000_u128 << shift).checked_div(hz.into())?).ok();
    let shift = (1..=63).rev().find(|&shift| fixed(shift).is_some())?;
    Some((fixed(shift)?, shift.into()))
}

#[cfg(test)]
mod tests {
    use super::scale;

    #[test]
    fn apples_counter_is_exact_for_a_year() {
        let (scale, shift) = scale(24_000_000).unwrap();
        let ticks = 24_000_000 * 3600 * 24 * 365_u64;
        let ns = (u128::from(ticks) * u128::from(scale)) >> shift;
        let exact = u128::from(ticks) * 125 / 3;
        assert!(exact - ns <= 1, "{exact} {ns}");
    }

    #[test]
    fn a_counter_of_nanoseconds_stays_one() {
        assert_eq!(scale(1_000_000_000), Some((1 << 63, 63)));
        assert_eq!(scale(0), None);
    }
}
