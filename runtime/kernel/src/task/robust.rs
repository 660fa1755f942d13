// SPDX-License-Identifier: MIT OR Apache-2.0
//! Robust futexes and restartable sequences: promises to user space that are
//! kept when a thread ends or is interrupted.
//!
//! Linux 6.12 `kernel/futex/core.c` (`exit_robust_list`), `kernel/rseq.c`.

use std::sync::atomic::Ordering;

use linux_abi::futex::{OWNER_DIED, ROBUST_LIST_LIMIT, RobustListHead, TID_MASK, WAITERS};
use linux_abi::rseq::{RseqCs, SIGNATURE_LEN};

use super::Task;
use crate::mm::{TASK_SIZE, UserAddr};

/// A registered `struct rseq`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RseqState {
    /// Address; 0 when not registered.
    pub addr: u64,
    /// Its length.
    pub len: u32,
    /// Must stand before every abort address.
    pub signature: u32,
}

/// Offset of `rseq_cs` in `struct rseq`.
const RSEQ_CS_OFFSET: u64 = 8;

impl Task {
    /// Marks the futexes that the thread still holds as left by a dead owner.
    pub(super) fn release_robust_futexes(&self) {
        let head_addr = self.robust_list.swap(0, Ordering::Relaxed);
        if head_addr == 0 {
            return;
        }
        let Ok(head) = self.read_value::<RobustListHead>(UserAddr(head_addr)) else {
            return;
        };
        let word_of = |entry: u64| UserAddr((entry & !1).wrapping_add_signed(head.futex_offset));
        let pending = head.pending & !1;
        let mut entry = head.next;
        for _ in 0..ROBUST_LIST_LIMIT {
            if entry & !1 == head_addr {
                break;
            }
            let next = self.read_value::<u64>(UserAddr(entry & !1));
            if entry & !1 != pending && !self.leave_futex(word_of(entry), entry & 1 != 0, false) {
                return;
            }
            let Ok(next) = next else { return };
            entry = next;
        }
        if pending != 0 {
            self.leave_futex(word_of(pending), head.pending & 1 != 0, true);
        }
    }

    fn leave_futex(&self, word: UserAddr, is_pi: bool, is_pending: bool) -> bool {
        let Ok(memory) = self.memory() else {
            return false;
        };
        let Ok(value) = memory.load_u32(word) else {
            return false;
        };
        let mine = self.tid().cast_unsigned();
        if is_pending && !is_pi && value == 0 {
            let _ = self.kernel.futexes().wake(self, word, false, 1, u32::MAX);
            return true;
        }
        if value & TID_MASK != mine {
            return true;
        }
        let Ok(old) = memory.update_u32(word, |value| (value & WAITERS) | OWNER_DIED) else {
            return false;
        };
        if old & WAITERS != 0 {
            let _ = self.kernel.futexes().wake(self, word, false, 1, u32::MAX);
        }
        true
    }

    /// The thread was interrupted: a restartable sequence it was in starts again.
    /// False when the registration is broken and the program must die.
    pub(super) fn abort_sequence(&self) -> bool {
        let rseq = *self.rseq.lock();
        if rseq.addr == 0 {
            return true;
        }
        let slot = UserAddr(rseq.addr.wrapping_add(RSEQ_CS_OFFSET));
        let Ok(cs_addr) = self.read_value::<u64>(slot) else {
            return false;
        };
        if cs_addr == 0 {
            return true;
        }
        let Ok(cs) = self.read_value::<RseqCs>(UserAddr(cs_addr)) else {
            return false;
        };
        let is_sane = cs.version == 0
            && cs.start_ip < TASK_SIZE
            && cs
                .start_ip
                .checked_add(cs.post_commit_offset)
                .is_some_and(|end| end < TASK_SIZE)
            && cs.abort_ip < TASK_SIZE
            && cs.abort_ip.wrapping_sub(cs.start_ip) >= cs.post_commit_offset;
        if !is_sane {
            return false;
        }
        let signature = self.read_value::<u32>(UserAddr(cs.abort_ip.wrapping_sub(SIGNATURE_LEN)));
        if signature != Ok(rseq.signature) {
            return false;
        }
        let mut registers = self.registers();
        let is_inside = registers.pc().wrapping_sub(cs.start_ip) < cs.post_commit_offset;
        if is_inside {
            registers.set_pc(cs.abort_ip);
        }
        drop(registers);
        self.write_value(slot, &0u64).is_ok()
    }
}
