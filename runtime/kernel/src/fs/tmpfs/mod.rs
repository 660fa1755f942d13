// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file system in memory: `/tmp`, `/dev/shm`, memfds, the overlay's upper layer.
//!
//! Locks: `names` of the file system serialises all changes of names; then the
//! entries of one directory; then a node's metadata. A regular file has `io`
//! (one writer at a time, held while user memory is read) and `data` (leaf,
//! also taken by page faults, never held while user memory is touched).
//! Linux 6.12 `mm/shmem.c`.

mod data;
mod node;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use linux_abi::Errno;

pub use node::TmpNode;

use crate::budget::FILES;
use crate::mm::FrameSource;
use crate::vfs::{Clock, FileSystem, FsStat, Inode, NewKind, NewNode};

/// Bytes in a block.
const BLOCK: usize = 4096;
/// [`BLOCK`] as a file offset.
const BLOCK_LEN: u64 = 4096;
/// `statfs` magic of tmpfs.
const TMPFS_MAGIC: u32 = 0x0102_1994;

/// Limits of a file system in memory.
#[derive(Clone, Copy, Debug)]
pub struct TmpLimits {
    /// Bytes of content.
    pub bytes: u64,
    /// Files.
    pub inodes: u64,
}

impl TmpLimits {
    /// Linux's for `memory` bytes: as many files as there are blocks.
    #[must_use]
    pub const fn of(memory: u64) -> Self {
        Self {
            bytes: memory,
            inodes: memory / BLOCK_LEN,
        }
    }
}

fn bytes_of(blocks: u64) -> usize {
    usize::try_from(blocks.saturating_mul(BLOCK_LEN)).unwrap_or(usize::MAX)
}

/// What the nodes of one file system share.
struct Shared {
    dev: u64,
    clock: Clock,
    frames: Option<FrameSource>,
    blocks_max: u64,
    blocks: AtomicU64,
    inodes_max: u64,
    inodes: AtomicU64,
    next_ino: AtomicU64,
    names: Mutex<()>,
}

impl Shared {
    fn take_blocks(&self, n: u64) -> Result<(), Errno> {
        let max = self.blocks_max;
        if !FILES.take(bytes_of(n)) {
            return Err(Errno::ENOSPC);
        }
        let step = |used: u64| used.checked_add(n).filter(|&sum| sum <= max);
        let taken = self
            .blocks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        taken.map(drop).map_err(|_| {
            FILES.give(bytes_of(n));
            Errno::ENOSPC
        })
    }

    fn give_blocks(&self, n: u64) {
        self.blocks.fetch_sub(n, Ordering::Relaxed);
        FILES.give(bytes_of(n));
    }

    fn take_inode(&self) -> Result<u64, Errno> {
        let max = self.inodes_max;
        let step = |used: u64| (used < max).then_some(used + 1);
        let taken = self
            .inodes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        taken.map_err(|_| Errno::ENOSPC)?;
        Ok(self.next_ino.fetch_add(1, Ordering::Relaxed))
    }
}

/// A file system in memory.
pub struct TmpFs {
    shared: Arc<Shared>,
    root: Arc<TmpNode>,
    name: &'static str,
}

impl TmpFs {
    /// An empty file system whose root has `perm` and belongs to root. Mapped
    /// files take their pages from `frames`.
    ///
    /// # Errors
    /// `ENOSPC` when the limits do not even allow a root.
    pub fn new(
        dev: u64,
        clock: Clock,
        limits: TmpLimits,
        frames: Option<FrameSource>,
        perm: u32,
    ) -> Result<Arc<Self>, Errno> {
        let shared = Arc::new(Shared {
            dev,
            clock,
            frames,
            blocks_max: limits.bytes / BLOCK_LEN,
            blocks: AtomicU64::new(0),
            inodes_max: limits.inodes,
            inodes: AtomicU64::new(0),
            next_ino: AtomicU64::new(1),
            names: Mutex::new(()),
        });
        let node = NewNode {
            kind: NewKind::Directory,
            perm,
            uid: 0,
            gid: 0,
        };
        let root = TmpNode::new(&shared, &node)?;
        Ok(Arc::new(Self {
            shared,
            root,
            name: "tmpfs",
        }))
    }

    /// A regular file without a name (memfd, shared anonymous memory).
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn unnamed_file(&self, perm: u32, uid: u32, gid: u32) -> Result<Arc<TmpNode>, Errno> {
        let node = NewNode {
            kind: NewKind::Regular,
            perm,
            uid,
            gid,
        };
        TmpNode::new_unnamed(&self.shared, &node)
    }
}

impl FileSystem for TmpFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        let used = self.shared.blocks.load(Ordering::Relaxed);
        let files = self.shared.inodes.load(Ordering::Relaxed);
        FsStat {
            magic: TMPFS_MAGIC,
            block_size: 4096,
            blocks: self.shared.blocks_max,
            free: self.shared.blocks_max.saturating_sub(used),
            files: self.shared.inodes_max,
            files_free: self.shared.inodes_max.saturating_sub(files),
        }
    }

    fn dev(&self) -> u64 {
        self.shared.dev
    }
}

impl Drop for TmpFs {
    fn drop(&mut self) {
        self.root.dismantle();
    }
}
