// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories of the host: the read-only lower layer, and bind mounts.
//!
//! A [`HostFs`] that is immutable (an unpacked image) reads every directory once
//! and answers from memory after that; one that is live asks the host every time,
//! because the user works in it, too. Everything goes through
//! [`HostDir`] handles and single names. Locks: leaf locks only; none is held
//! while the host is asked, except the one of a page that is being read.

mod node;
mod pages;
mod windows;
mod xattrs;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use elfuse_machine::host::HostDir;
use linux_abi::Errno;

pub use node::HostInode;

use self::pages::CleanPages;
use crate::mm::FrameSource;
use crate::vfs::{Clock, FileSystem, FsStat, Inode};

/// Files of one file system that are kept open without anybody having them open.
const KEPT_OPEN: usize = 256;
/// `statfs` magic: what programs expect below a container, ext4's.
const HOST_MAGIC: u32 = 0xef53;

/// Does anybody else change the directory?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostMode {
    /// Nobody, and the guest does not either.
    Immutable,
    /// The user and the guest.
    Live,
}

/// What the nodes of one host directory share.
struct Shared {
    dev: u64,
    host_dev: u64,
    mode: HostMode,
    clock: Clock,
    frames: Option<FrameSource>,
    open: Mutex<VecDeque<Weak<HostInode>>>,
    clean_pages: CleanPages,
}

impl Shared {
    /// Remembers that `inode` holds a descriptor; lets the oldest go of its own.
    fn note_open(&self, inode: Weak<HostInode>) {
        let oldest = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push_back(inode);
            if open.len() > KEPT_OPEN {
                open.pop_front()
            } else {
                None
            }
        };
        if let Some(inode) = oldest.and_then(|weak| weak.upgrade()) {
            inode.close_idle();
        }
    }
}

/// A directory of the host as a file system.
pub struct HostFs {
    shared: Arc<Shared>,
    dir: Arc<dyn HostDir>,
    root: Arc<HostInode>,
}

impl HostFs {
    /// Shows `dir` as device `dev`.
    ///
    /// # Errors
    /// What asking for the directory's attributes answers.
    pub fn new(
        dev: u64,
        dir: Arc<dyn HostDir>,
        mode: HostMode,
        clock: Clock,
        frames: Option<FrameSource>,
    ) -> Result<Arc<Self>, Errno> {
        let stat = dir.stat(None)?;
        let open = Mutex::default();
        let shared = Arc::new(Shared {
            dev,
            host_dev: stat.dev,
            mode,
            clock,
            frames,
            open,
            clean_pages: CleanPages::default(),
        });
        let root = HostInode::root(&shared, dir.clone(), &stat);
        Ok(Arc::new(Self { shared, dir, root }))
    }
}

impl HostFs {
    /// Lets go of guest memory that holds what can be read again. Waits for no lock.
    pub fn evict_pages(&self) {
        self.shared.clean_pages.evict();
    }
}

impl FileSystem for HostFs {
    fn name(&self) -> &'static str {
        "ext4"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        let stat = self.dir.fs_stat().unwrap_or_default();
        FsStat {
            magic: HOST_MAGIC,
            block_size: u32::try_from(stat.block_size).unwrap_or(4096),
            blocks: stat.blocks,
            free: stat.free,
            files: stat.files,
            files_free: stat.files_free,
        }
    }

    fn dev(&self) -> u64 {
        self.shared.dev
    }

    fn is_volatile(&self) -> bool {
        self.shared.mode == HostMode::Live
    }
}

#[cfg(test)]
#[path = "host/tests.rs"]
mod tests;
