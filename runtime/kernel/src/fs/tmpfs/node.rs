// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file in memory: metadata, entries or bytes.

mod regular;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use linux_abi::Errno;
use linux_abi::fcntl as seal;

use super::data::Data;
use super::{BLOCK_LEN, Shared};
use crate::file::Caller;
use crate::vfs::{
    Attachments, Attr, DirEntry, Directory, Inode, Kind, NewKind, NewNode, Regular, SetAttr,
    SetTime, Timespec, XattrSet, Xattrs,
};

/// Bytes of extended attributes that one file may have.
const XATTR_SPACE: usize = 1 << 20;

struct Meta {
    perm: u32,
    nlink: u32,
    uid: u32,
    gid: u32,
    atime: Timespec,
    mtime: Timespec,
    ctime: Timespec,
    btime: Timespec,
    /// A file from `O_TMPFILE`: may get its first name.
    is_linkable: bool,
}

#[derive(Default)]
struct Entries {
    by_name: BTreeMap<Box<[u8]>, Arc<TmpNode>>,
    is_removed: bool,
}

#[derive(Default)]
struct Bytes {
    io: Mutex<()>,
    data: RwLock<Data>,
    seals: AtomicU32,
}

enum Body {
    Directory(Mutex<Entries>),
    Regular(Bytes),
    Symlink(Vec<u8>),
    Node(u64),
}

/// A file in memory.
pub struct TmpNode {
    me: std::sync::Weak<Self>,
    shared: Arc<Shared>,
    kind: Kind,
    ino: u64,
    meta: Mutex<Meta>,
    body: Body,
    xattrs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    attachments: Attachments,
}

impl TmpNode {
    pub(super) fn new(shared: &Arc<Shared>, node: &NewNode) -> Result<Arc<Self>, Errno> {
        let ino = shared.take_inode()?;
        let now = shared.clock.now();
        let kind = node.kind.kind();
        let body = match &node.kind {
            NewKind::Regular => Body::Regular(Bytes::default()),
            NewKind::Directory => Body::Directory(Mutex::default()),
            NewKind::Symlink(target) => Body::Symlink(target.clone()),
            NewKind::Char(dev) | NewKind::Block(dev) => Body::Node(*dev),
            NewKind::Fifo | NewKind::Socket => Body::Node(0),
        };
        let meta = Meta {
            perm: node.perm,
            nlink: if kind == Kind::Directory { 2 } else { 1 },
            uid: node.uid,
            gid: node.gid,
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            is_linkable: false,
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            shared: shared.clone(),
            kind,
            ino,
            meta: Mutex::new(meta),
            body,
            xattrs: Mutex::default(),
            attachments: Attachments::default(),
        }))
    }

    pub(super) fn new_unnamed(shared: &Arc<Shared>, node: &NewNode) -> Result<Arc<Self>, Errno> {
        let made = Self::new(shared, node)?;
        made.set_unnamed();
        Ok(made)
    }

    fn set_unnamed(&self) {
        let mut meta = self.meta();
        meta.nlink = 0;
        meta.is_linkable = true;
    }

    fn meta(&self) -> MutexGuard<'_, Meta> {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> Result<MutexGuard<'_, Entries>, Errno> {
        match &self.body {
            Body::Directory(entries) => Ok(entries.lock().unwrap_or_else(PoisonError::into_inner)),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn bytes(&self) -> Result<&Bytes, Errno> {
        match &self.body {
            Body::Regular(bytes) => Ok(bytes),
            _ => Err(Errno::EINVAL),
        }
    }

    fn touch_content(&self) {
        let now = self.shared.clock.now();
        let mut meta = self.meta();
        meta.mtime = now;
        meta.ctime = now;
    }

    fn touch_change(&self) {
        let now = self.shared.clock.now();
        self.meta().ctime = now;
    }

    /// Keeps the access time as `relatime` does.
    fn touch_access(&self) {
        let now = self.shared.clock.now();
        let mut meta = self.meta();
        let is_old = now.sec - meta.atime.sec >= 24 * 3600;
        if meta.atime <= meta.mtime || meta.atime <= meta.ctime || is_old {
            meta.atime = now;
        }
    }

    fn change_links(&self, delta: i32) {
        let now = self.shared.clock.now();
        let mut meta = self.meta();
        meta.nlink = meta.nlink.saturating_add_signed(delta);
        meta.ctime = now;
    }

    /// Adds an entry; the `names` lock is held.
    fn insert(&self, name: &[u8], child: &Arc<Self>) -> Result<(), Errno> {
        let mut entries = self.entries()?;
        if entries.is_removed {
            return Err(Errno::ENOENT);
        }
        if entries.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.by_name.insert(name.into(), child.clone());
        drop(entries);
        self.touch_content();
        if child.kind == Kind::Directory {
            self.change_links(1);
        }
        Ok(())
    }

    /// Takes an entry out; the `names` lock is held.
    fn take(&self, name: &[u8]) -> Result<Arc<Self>, Errno> {
        let child = self.entries()?.by_name.remove(name).ok_or(Errno::ENOENT)?;
        self.touch_content();
        if child.kind == Kind::Directory {
            self.change_links(-1);
        }
        Ok(child)
    }

    fn get(&self, name: &[u8]) -> Result<Arc<Self>, Errno> {
        self.entries()?
            .by_name
            .get(name)
            .cloned()
            .ok_or(Errno::ENOENT)
    }

    /// Closes a directory for good, when it is empty.
    fn close_directory(&self) -> Result<(), Errno> {
        let mut entries = self.entries()?;
        if !entries.by_name.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        entries.is_removed = true;
        drop(entries);
        self.change_links(-2);
        Ok(())
    }

    /// A name of the file went away.
    fn lost_name(&self) {
        self.change_links(-1);
    }

    fn same_fs(&self, other: &Arc<dyn Inode>) -> Result<Arc<Self>, Errno> {
        let other = other.downcast::<Self>().ok_or(Errno::EXDEV)?;
        let is_ours = Arc::ptr_eq(&other.shared, &self.shared);
        other.me.upgrade().filter(|_| is_ours).ok_or(Errno::EXDEV)
    }

    /// Takes the tree apart without recursion.
    pub(super) fn dismantle(&self) {
        let mut todo: Vec<Arc<Self>> = Vec::new();
        let empty = |node: &Self| -> Vec<Arc<Self>> {
            let Ok(mut entries) = node.entries() else {
                return Vec::new();
            };
            std::mem::take(&mut entries.by_name).into_values().collect()
        };
        todo.extend(empty(self));
        while let Some(node) = todo.pop() {
            todo.extend(empty(&node));
        }
    }

    /// The seals of a memfd.
    #[must_use]
    pub fn seals(&self) -> u32 {
        self.bytes().map_or(0, |b| b.seals.load(Ordering::Acquire))
    }

    /// Forbids further seals: a file that is no sealable memfd.
    pub fn set_unsealable(&self) {
        if let Ok(bytes) = self.bytes() {
            bytes.seals.store(seal::F_SEAL_SEAL, Ordering::Release);
        }
    }

    /// Adds seals.
    ///
    /// # Errors
    /// `EPERM` when sealing is sealed.
    pub fn add_seals(&self, seals: u32) -> Result<(), Errno> {
        let bytes = self.bytes()?;
        let _io = bytes.io.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seals() & seal::F_SEAL_SEAL != 0 {
            return Err(Errno::EPERM);
        }
        bytes.seals.fetch_or(seals, Ordering::AcqRel);
        Ok(())
    }
}

impl Drop for TmpNode {
    fn drop(&mut self) {
        if let Body::Regular(bytes) = &mut self.body {
            let data = bytes.data.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.shared.give_blocks(data.block_count());
        }
        self.shared.inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inode for TmpNode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let (size, blocks, rdev) = match &self.body {
            Body::Directory(entries) => {
                let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                let count = u64::try_from(entries.by_name.len()).unwrap_or(u64::MAX);
                ((count + 2) * 20, 0, 0)
            }
            Body::Regular(bytes) => {
                let data = bytes.data.read().unwrap_or_else(PoisonError::into_inner);
                (data.size, data.block_count() * (BLOCK_LEN / 512), 0)
            }
            Body::Symlink(target) => (u64::try_from(target.len()).unwrap_or(0), 0, 0),
            Body::Node(dev) => (0, 0, *dev),
        };
        let meta = self.meta();
        Ok(Attr {
            kind: self.kind,
            ino: self.ino,
            dev: self.shared.dev,
            perm: meta.perm,
            nlink: meta.nlink,
            uid: meta.uid,
            gid: meta.gid,
            rdev,
            size,
            blocks,
            blksize: 4096,
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: meta.ctime,
            btime: Some(meta.btime),
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let now = self.shared.clock.now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        let mut meta = self.meta();
        meta.perm = change.perm.unwrap_or(meta.perm);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        meta.atime = change.atime.map_or(meta.atime, time);
        meta.mtime = change.mtime.map_or(meta.mtime, time);
        meta.ctime = now;
        Ok(())
    }

    fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    fn as_dir(&self) -> Option<&dyn Directory> {
        (self.kind == Kind::Directory).then_some(self as &dyn Directory)
    }

    fn as_regular(&self) -> Option<&dyn Regular> {
        (self.kind == Kind::Regular).then_some(self as &dyn Regular)
    }

    fn as_xattrs(&self) -> Option<&dyn Xattrs> {
        Some(self)
    }

    fn read_link(&self, _caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        match &self.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Directory for TmpNode {
    fn lookup(&self, _caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.get(name).map(|node| node as Arc<dyn Inode>)
    }

    fn list(&self, _caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        self.touch_access();
        let entries = self.entries()?;
        let all = entries.by_name.iter();
        let all = all.map(|(name, node)| (name.clone(), node.ino, node.kind));
        Ok(all
            .map(|(name, ino, kind)| DirEntry { name, ino, kind })
            .collect())
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let child = Self::new(&self.shared, node)?;
        self.insert(name, &child)?;
        Ok(child)
    }

    fn create_unnamed(&self, node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Ok(Self::new_unnamed(&self.shared, node)?)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.same_fs(target)?;
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        {
            let meta = target.meta();
            if meta.nlink == 0 && !meta.is_linkable {
                return Err(Errno::ENOENT);
            }
        }
        self.insert(name, &target)?;
        target.change_links(1);
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.get(name)?.kind == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        self.take(name)?.lost_name();
        Ok(())
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.get(name)?.close_directory()?;
        self.take(name).map(drop)
    }

    fn rename(
        &self,
        name: &[u8],
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        exchange: bool,
    ) -> Result<(), Errno> {
        let new_dir = self.same_fs(new_dir)?;
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if new_dir.entries()?.is_removed {
            return Err(Errno::ENOENT);
        }
        let source = self.get(name)?;
        let target = new_dir.get(new_name).ok();
        if exchange {
            target.ok_or(Errno::ENOENT)?;
            let (a, b) = (self.take(name)?, new_dir.take(new_name)?);
            self.insert(name, &b)?;
            new_dir.insert(new_name, &a)?;
            a.touch_change();
            b.touch_change();
            return Ok(());
        }
        if let Some(target) = target {
            if target.kind == Kind::Directory {
                target.close_directory()?;
            } else {
                target.lost_name();
            }
            new_dir.take(new_name)?;
        }
        self.take(name)?;
        new_dir.insert(new_name, &source)?;
        source.touch_change();
        Ok(())
    }
}

impl Xattrs for TmpNode {
    fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let xattrs = self.xattrs.lock().unwrap_or_else(PoisonError::into_inner);
        xattrs.get(name).cloned().ok_or(Errno::ENODATA)
    }

    fn set(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        let mut xattrs = self.xattrs.lock().unwrap_or_else(PoisonError::into_inner);
        match (how, xattrs.contains_key(name)) {
            (XattrSet::Create, true) => return Err(Errno::EEXIST),
            (XattrSet::Replace, false) => return Err(Errno::ENODATA),
            _ => {}
        }
        let used: usize = xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if used + name.len() + value.len() > XATTR_SPACE {
            return Err(Errno::ENOSPC);
        }
        xattrs.insert(name.to_vec(), value.to_vec());
        drop(xattrs);
        self.touch_change();
        Ok(())
    }

    fn list(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let xattrs = self.xattrs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(xattrs.keys().cloned().collect())
    }

    fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        let mut xattrs = self.xattrs.lock().unwrap_or_else(PoisonError::into_inner);
        xattrs.remove(name).ok_or(Errno::ENODATA)?;
        drop(xattrs);
        self.touch_change();
        Ok(())
    }
}
