// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of a guest thread, in a page that host and shim share.
//!
//! While the thread runs, its registers are in the processor; the shim writes them
//! here before every exit, and reads them before it goes back. The page belongs to
//! one [`ThreadState`]; only the attention word is touched by others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::layout::{
    THREAD_ATTENTION, THREAD_ESR, THREAD_FPSR, THREAD_IDS, THREAD_PSTATE, THREAD_SP, THREAD_V,
};
use crate::slab::{Frame, OutOfMemory, Slab};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What of `SPSR` a program can have: flags, and EL0.
const PSTATE_USER: u64 = 0xf000_0000;

/// The vector registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpState {
    /// `V0` to `V31`.
    pub v: [u128; 32],
    /// Status.
    pub fpsr: u32,
    /// Control.
    pub fpcr: u32,
}

/// What fast system calls answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Parent.
    pub ppid: u32,
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Real group.
    pub gid: u32,
    /// Effective group.
    pub egid: u32,
}

/// Turns fast system calls of a thread off and on.
#[derive(Clone, Debug)]
pub struct AttentionHandle(Arc<Frame>);

impl AttentionHandle {
    /// Every system call comes to the host.
    pub fn raise(&self) {
        self.0.word(THREAD_ATTENTION).store(1, Ordering::SeqCst);
    }

    /// The shim answers what it can.
    pub fn clear(&self) {
        self.0.word(THREAD_ATTENTION).store(0, Ordering::SeqCst);
    }
}

/// The registers of a guest thread.
#[derive(Debug)]
pub struct ThreadState {
    page: Arc<Frame>,
    pub(crate) id: u64,
    /// The processor whose vector registers are this thread's; 0 for none.
    pub(crate) fp_on: u64,
    /// Was a register other than `X0` to `X3` set since the thread ran? Those the shim
    /// loads anyway.
    pub(crate) is_changed: bool,
}

impl ThreadState {
    pub(crate) fn new(slab: &Arc<Slab>) -> Result<Self, OutOfMemory> {
        let page = Arc::new(slab.alloc()?);
        Ok(Self {
            page,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fp_on: 0,
            is_changed: true,
        })
    }

    pub(crate) fn page(&self) -> &Frame {
        &self.page
    }

    fn get(&self, at: usize) -> u64 {
        self.page.long(at).load(Ordering::Relaxed)
    }

    fn set(&mut self, at: usize, value: u64) {
        self.page.long(at).store(value, Ordering::Relaxed);
    }

    /// `X0` to `X30`; others read as 0.
    #[must_use]
    pub fn x(&self, n: usize) -> u64 {
        if n < 31 { self.get(n * 8) } else { 0 }
    }

    /// Sets `X0` to `X30`.
    pub fn set_x(&mut self, n: usize, value: u64) {
        if n < 31 {
            self.set(n * 8, value);
            self.is_changed |= n > 3;
        }
    }

    /// Program counter.
    #[must_use]
    pub fn pc(&self) -> u64 {
        self.get(THREAD_SP + 8)
    }

    /// Sets the program counter.
    pub fn set_pc(&mut self, value: u64) {
        self.set(THREAD_SP + 8, value);
        self.is_changed = true;
    }

    /// Stack pointer.
    #[must_use]
    pub fn sp(&self) -> u64 {
        self.get(THREAD_SP)
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, value: u64) {
        self.set(THREAD_SP, value);
        self.is_changed = true;
    }

    /// Processor state.
    #[must_use]
    pub fn pstate(&self) -> u64 {
        self.get(THREAD_PSTATE)
    }

    /// Sets what a program may have of the processor state.
    pub fn set_pstate(&mut self, value: u64) {
        self.set(THREAD_PSTATE, value & PSTATE_USER);
        self.is_changed = true;
    }

    /// Thread pointer.
    #[must_use]
    pub fn tpidr(&self) -> u64 {
        self.get(THREAD_PSTATE + 8)
    }

    /// Sets the thread pointer.
    pub fn set_tpidr(&mut self, value: u64) {
        self.set(THREAD_PSTATE + 8, value);
        self.is_changed = true;
    }

    pub(crate) fn esr(&self) -> u64 {
        self.get(THREAD_ESR)
    }

    pub(crate) fn far(&self) -> u64 {
        self.get(THREAD_ESR + 8)
    }

    /// Number of the system call.
    #[must_use]
    pub fn syscall_nr(&self) -> u64 {
        self.x(8) & 0xffff_ffff
    }

    /// Vector registers.
    #[must_use]
    pub fn fp(&self) -> FpState {
        let word = |at: usize| self.page.word(at).load(Ordering::Relaxed);
        let half = |at: usize| u128::from(self.get(at));
        FpState {
            v: std::array::from_fn(|n| half(THREAD_V + n * 16) | half(THREAD_V + n * 16 + 8) << 64),
            fpsr: word(THREAD_FPSR),
            fpcr: word(THREAD_FPSR + 8),
        }
    }

    /// Sets the vector registers.
    pub fn set_fp(&mut self, fp: &FpState) {
        for (n, value) in fp.v.iter().enumerate() {
            let bytes = value.to_le_bytes();
            self.page.write(THREAD_V + n * 16, &bytes);
        }
        self.set(THREAD_FPSR, u64::from(fp.fpsr));
        self.set(THREAD_FPSR + 8, u64::from(fp.fpcr));
        self.fp_on = 0;
    }

    /// Sets what fast system calls answer.
    pub fn set_ids(&mut self, ids: Ids) {
        let words = [
            ids.pid, ids.ppid, ids.uid, ids.euid, ids.gid, ids.egid, ids.tid,
        ];
        for (n, word) in words.iter().enumerate() {
            self.page
                .word(THREAD_IDS + n * 4)
                .store(*word, Ordering::Relaxed);
        }
    }

    /// What turns fast system calls off.
    #[must_use]
    pub fn attention(&self) -> AttentionHandle {
        AttentionHandle(Arc::clone(&self.page))
    }

    /// Takes over all registers of another thread.
    pub fn fork_from(&mut self, other: &Self) {
        self.page.copy_from(&other.page);
        self.page.word(THREAD_ATTENTION).store(0, Ordering::Relaxed);
        self.fp_on = 0;
    }
}
