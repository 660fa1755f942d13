// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of processes.
//!
//! [`Mm`] is an address space: the areas that a program mapped ([`VmaMap`]) and the
//! page tables behind them ([`elfuse_machine::AddressSpace`]), filled on demand by
//! [`Mm::fault`]. What can be mapped is a [`Mappable`]: files, shared memory. One
//! lock per address space, held while a page is fetched from a `Mappable`, so
//! those must never touch user memory with a lock held that `page` takes.
//! Linux 6.12 `mm/mmap.c`, `mm/memory.c`.

mod advise;
mod fault;
mod fork;
mod map;
mod remap;
mod shared;
mod space;
mod user;
mod vma;

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use elfuse_machine::{FileWindow, Frame, Machine, NoWindow};
pub use elfuse_machine::{GuestAddr, Page};

pub use advise::Locking;
pub use fault::FaultError;
pub use map::{MapRequest, Place};
pub use shared::SharedMemory;
pub use space::{Layout, MemLimits, Mm, MmSummary};
pub use user::{IoVec, UserAddr, UserMemory};
pub use vma::{FileBacking, Vma, VmaFlags, VmaMap};

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// The first address that programs cannot use.
pub const TASK_SIZE: u64 = 1 << 48;
/// The lowest address that may be mapped (`vm.mmap_min_addr`).
pub const MMAP_MIN: u64 = 0x1_0000;

/// Why a page of a mapped object cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Behind the end of the file, or the file cannot be read: `SIGBUS`.
    Bus,
    /// No memory.
    OutOfMemory,
}

/// Something whose pages can be mapped.
///
/// `page` is called with the lock of an address space held, from any worker. It
/// must give the same page for the same index until the object is truncated.
pub trait Mappable: Send + Sync {
    /// The page with this index; `for_write` when it will be written through a
    /// shared mapping.
    ///
    /// # Errors
    /// [`MapError`].
    fn page(&self, page_index: u64, for_write: bool) -> Result<Page, MapError>;

    /// Writes what shared mappings changed to where the object lives (`msync`).
    ///
    /// # Errors
    /// [`MapError::Bus`] when it cannot be written.
    fn sync_pages(&self, _first: u64, _count: u64) -> Result<(), MapError> {
        Ok(())
    }
}

/// Where file systems get pages from.
#[derive(Clone)]
pub struct FrameSource {
    machine: Arc<Machine>,
}

impl FrameSource {
    /// Takes frames from `machine`.
    #[must_use]
    pub fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    /// A page of zeros.
    ///
    /// # Errors
    /// [`MapError::OutOfMemory`].
    pub fn alloc(&self) -> Result<Frame, MapError> {
        self.machine
            .alloc_frame_zeroed()
            .map_err(|_| MapError::OutOfMemory)
    }

    /// A window on the part of a file that begins at `offset`, a multiple of
    /// [`WINDOW_BYTES`](elfuse_machine::WINDOW_BYTES).
    ///
    /// # Errors
    /// [`NoWindow`]: the file's pages must be read.
    pub fn map_file(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Result<FileWindow, NoWindow> {
        self.machine.map_file(file, offset, len)
    }
}

/// Rounds down to a page.
#[must_use]
pub const fn page_floor(addr: u64) -> u64 {
    addr & !(PAGE - 1)
}

/// Rounds up to a page; `None` on overflow.
#[must_use]
pub fn page_ceil(addr: u64) -> Option<u64> {
    addr.checked_add(PAGE - 1).map(page_floor)
}
