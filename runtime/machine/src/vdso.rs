// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page of code that every program gets.
//!
//! It holds the return path of signal handlers. A vDSO with clocks is not there yet:
//! programs find no `AT_SYSINFO_EHDR` and use system calls.

use std::sync::Arc;

use crate::slab::{OutOfMemory, Page, Slab};
use crate::space::Prot;

static CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.bin"));
/// Offset of the return path.
const SIGRETURN: u64 = 4;

/// What is mapped into every program.
#[derive(Debug)]
pub struct VdsoImage {
    pages: Vec<(Page, Prot)>,
}

impl VdsoImage {
    pub(crate) fn new(slab: &Arc<Slab>) -> Result<Self, OutOfMemory> {
        let frame = slab.alloc()?;
        frame.write(0, CODE);
        Ok(Self {
            pages: vec![(Page::Anon(frame), Prot::READ | Prot::EXEC)],
        })
    }

    /// The pages, in order.
    #[must_use]
    pub fn pages(&self) -> &[(Page, Prot)] {
        &self.pages
    }

    /// Offset of the ELF header, when there is one.
    #[must_use]
    pub fn elf_offset(&self) -> Option<u64> {
        None
    }

    /// Offset of `__kernel_rt_sigreturn`.
    #[must_use]
    pub fn sigreturn(&self) -> u64 {
        SIGRETURN
    }
}
