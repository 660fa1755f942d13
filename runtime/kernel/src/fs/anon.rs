// SPDX-License-Identifier: MIT OR Apache-2.0
//! Inodes of files outside every tree: pipes, sockets, `anon_inode`s.

use std::sync::Arc;

use linux_abi::Errno;

use crate::pipe::Pipe;
use crate::vfs::{
    Attachments, Attr, Clock, FileSystem, FsStat, Inode, Kind, SetAttr, SetTime, Timespec,
};
use std::sync::{Mutex, PoisonError};

/// `statfs` magic of anonymous inodes.
const ANON_MAGIC: u32 = 0x0904_1934;

#[derive(Clone, Copy)]
struct Meta {
    perm: u32,
    uid: u32,
    gid: u32,
    atime: Timespec,
    mtime: Timespec,
}

/// The inode of a file outside every tree.
pub struct AnonInode {
    dev: u64,
    kind: Kind,
    ino: u64,
    born: Timespec,
    meta: Mutex<Meta>,
    attachments: Attachments,
}

impl AnonInode {
    /// An inode of a kind, with a number.
    #[must_use]
    pub fn new(dev: u64, kind: Kind, ino: u64, clock: &Clock) -> Arc<Self> {
        let born = clock.now();
        let perm = if kind == Kind::Socket { 0o777 } else { 0o600 };
        let meta = Meta {
            perm,
            uid: 0,
            gid: 0,
            atime: born,
            mtime: born,
        };
        let attachments = Attachments::default();
        Arc::new(Self {
            dev,
            kind,
            ino,
            born,
            meta: Mutex::new(meta),
            attachments,
        })
    }

    /// Makes `/proc/PID/fd/N` open another end of `pipe`.
    pub fn set_pipe(&self, pipe: &Arc<Pipe>) {
        self.attachments.set_fifo(pipe);
    }
}

impl Inode for AnonInode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let meta = *self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Attr {
            kind: self.kind,
            ino: self.ino,
            dev: self.dev,
            perm: meta.perm,
            nlink: 1,
            uid: meta.uid,
            gid: meta.gid,
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: 4096,
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: self.born,
            btime: None,
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let time = |set: SetTime| match set {
            SetTime::Now => self.born,
            SetTime::To(time) => time,
        };
        let mut meta = self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        meta.perm = change.perm.unwrap_or(meta.perm);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        meta.atime = change.atime.map_or(meta.atime, time);
        meta.mtime = change.mtime.map_or(meta.mtime, time);
        Ok(())
    }

    fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}

/// The file system of files outside every tree; it has no names.
pub struct AnonFs {
    dev: u64,
    root: Arc<AnonInode>,
}

impl AnonFs {
    /// For device number `dev`.
    #[must_use]
    pub fn new(dev: u64, clock: &Clock) -> Arc<Self> {
        Arc::new(Self {
            dev,
            root: AnonInode::new(dev, Kind::Regular, 0, clock),
        })
    }
}

impl FileSystem for AnonFs {
    fn name(&self) -> &'static str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        FsStat {
            magic: ANON_MAGIC,
            block_size: 4096,
            ..FsStat::default()
        }
    }

    fn dev(&self) -> u64 {
        self.dev
    }
}
