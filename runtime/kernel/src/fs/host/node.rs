// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file of the host.
//!
//! A directory holds its handle; any other file is reached through the handle of
//! its directory and its name, and holds a descriptor while it is used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use elfuse_machine::host::{
    HostDir, HostFile, HostKind, HostNode, HostOpen, HostSetAttr, HostStat,
};
use linux_abi::Errno;
use linux_abi::stat::make_dev;

use super::pages::PageCache;
use super::windows::Windows;
use super::{HostMode, Shared};
use crate::file::{Caller, IoSink, IoSource};
use crate::mm::{MapError, Mappable, Page};
use crate::vfs::{
    Attachments, Attr, DirEntry, Directory, Inode, Kind, NewKind, NewNode, Regular, SetAttr,
    SetTime, Timespec, Xattrs,
};

/// Bytes moved at a time.
const CHUNK: usize = 128 * 1024;

type Listing = HashMap<Box<[u8]>, (u64, Kind)>;

#[derive(Clone)]
pub(super) struct Place {
    pub(super) dir: Arc<HostInode>,
    pub(super) name: Box<[u8]>,
}

#[derive(Default)]
struct Open {
    read: Option<Arc<dyn HostFile>>,
    write: Option<Arc<dyn HostFile>>,
}

/// A file of the host.
pub struct HostInode {
    me: Weak<Self>,
    shared: Arc<Shared>,
    kind: Kind,
    ino: u64,
    /// Where it is; `None` for the root.
    place: Mutex<Option<Place>>,
    /// The handle of a directory, while it is kept; the root's always is.
    handle: Mutex<Option<Arc<dyn HostDir>>>,
    /// Attributes of an immutable file.
    frozen: Option<Attr>,
    listing: OnceLock<Listing>,
    open: Mutex<Open>,
    pages: Arc<PageCache>,
    windows: Windows,
    attachments: Attachments,
}

const fn kind_of(kind: HostKind) -> Kind {
    match kind {
        HostKind::Regular => Kind::Regular,
        HostKind::Directory => Kind::Directory,
        HostKind::Symlink => Kind::Symlink,
        HostKind::Char => Kind::Char,
        HostKind::Block => Kind::Block,
        HostKind::Fifo => Kind::Fifo,
        HostKind::Socket => Kind::Socket,
    }
}

fn attr_of(dev: u64, stat: &HostStat) -> Attr {
    let time = |(sec, nsec)| Timespec { sec, nsec };
    Attr {
        kind: kind_of(stat.kind),
        ino: stat.ino,
        dev,
        perm: stat.perm,
        nlink: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        rdev: make_dev(stat.rdev.0, stat.rdev.1),
        size: stat.size,
        blocks: stat.blocks,
        blksize: 4096,
        atime: time(stat.atime),
        mtime: time(stat.mtime),
        ctime: time(stat.ctime),
        btime: None,
    }
}

impl HostInode {
    pub(super) fn root(shared: &Arc<Shared>, dir: Arc<dyn HostDir>, stat: &HostStat) -> Arc<Self> {
        let root = Self::make(shared, None, stat);
        *root.lock_handle() = Some(dir);
        root
    }

    fn make(shared: &Arc<Shared>, place: Option<Place>, stat: &HostStat) -> Arc<Self> {
        let attr = attr_of(shared.dev, stat);
        let is_frozen = shared.mode == HostMode::Immutable;
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            shared: shared.clone(),
            kind: attr.kind,
            ino: attr.ino,
            place: Mutex::new(place),
            handle: Mutex::default(),
            frozen: is_frozen.then_some(attr),
            listing: OnceLock::new(),
            open: Mutex::default(),
            pages: Arc::default(),
            windows: Windows::default(),
            attachments: Attachments::default(),
        })
    }

    pub(super) fn place(&self) -> Result<Place, Errno> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.clone().ok_or(Errno::EBUSY)
    }

    fn lock_handle(&self) -> MutexGuard<'_, Option<Arc<dyn HostDir>>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle(&self) -> Result<Arc<dyn HostDir>, Errno> {
        if let Some(handle) = &*self.lock_handle() {
            return Ok(handle.clone());
        }
        let opened = self.open_handle()?;
        *self.lock_handle() = Some(opened.clone());
        self.shared.note_open(self.me.clone());
        Ok(opened)
    }

    /// The handle that is kept, or a new one: opened from the nearest directory above
    /// that has one, step by step, as directories nest deeper than the host's stack.
    fn open_handle(&self) -> Result<Arc<dyn HostDir>, Errno> {
        if let Some(handle) = &*self.lock_handle() {
            return Ok(handle.clone());
        }
        let mut below = vec![(self.place()?, self.ino)];
        let mut at = loop {
            let (last, _) = below.last().ok_or(Errno::ESTALE)?;
            let dir = last.dir.clone();
            if let Some(handle) = &*dir.lock_handle() {
                break handle.clone();
            }
            below.push((dir.place()?, dir.ino));
        };
        for (place, ino) in below.iter().rev() {
            at = at.open_dir(&place.name)?;
            if at.stat(None)?.ino != *ino {
                return Err(Errno::ESTALE);
            }
        }
        Ok(at)
    }

    fn file(&self, writable: bool) -> Result<Arc<dyn HostFile>, Errno> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &open.write {
            return Ok(file.clone());
        }
        if let Some(file) = open.read.as_ref().filter(|_| !writable) {
            return Ok(file.clone());
        }
        let place = self.place()?;
        let how = if writable {
            HostOpen::ReadWrite
        } else {
            HostOpen::Read
        };
        let file = place.dir.handle()?.open_file(&place.name, how)?;
        if file.stat()?.ino != self.ino {
            return Err(Errno::ESTALE);
        }
        let slot = if writable {
            &mut open.write
        } else {
            &mut open.read
        };
        *slot = Some(file.clone());
        drop(open);
        self.shared.note_open(self.me.clone());
        Ok(file)
    }

    /// Lets go of descriptors; a removed file keeps them, they are all it has.
    pub(super) fn close_idle(&self) {
        let place = self
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(place) = place else { return };
        let is_still_there = || {
            let dir = place.dir.open_handle();
            dir.and_then(|dir| dir.stat(Some(&place.name)))
                .is_ok_and(|stat| stat.ino == self.ino)
        };
        if self.shared.mode == HostMode::Immutable || is_still_there() {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Open::default();
            *self.lock_handle() = None;
        }
    }

    fn stat(&self) -> Result<HostStat, Errno> {
        {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = open.write.as_ref().or(open.read.as_ref()) {
                return file.stat();
            }
        }
        if self.kind == Kind::Directory {
            return self.handle()?.stat(None);
        }
        let place = self.place()?;
        place.dir.handle()?.stat(Some(&place.name))
    }

    fn read_listing(&self) -> Result<Listing, Errno> {
        let handle = self.handle()?;
        let mut listing = Listing::new();
        for entry in handle.list()? {
            let kind = match entry.kind {
                Some(kind) => kind,
                None => match handle.stat(Some(&entry.name)) {
                    Ok(stat) => stat.kind,
                    Err(Errno::ENOENT) => continue,
                    Err(error) => return Err(error),
                },
            };
            listing.insert(entry.name.into(), (entry.ino, kind_of(kind)));
        }
        Ok(listing)
    }

    /// The names of an immutable directory.
    fn known_names(&self) -> Result<Option<&Listing>, Errno> {
        if self.shared.mode == HostMode::Live {
            return Ok(None);
        }
        if self.listing.get().is_none() {
            let listing = self.read_listing()?;
            return Ok(Some(self.listing.get_or_init(|| listing)));
        }
        Ok(self.listing.get())
    }

    fn want_live(&self) -> Result<(), Errno> {
        if self.shared.mode == HostMode::Live {
            Ok(())
        } else {
            Err(Errno::EROFS)
        }
    }

    fn find(&self, name: &[u8]) -> Result<Arc<Self>, Errno> {
        if self
            .known_names()?
            .is_some_and(|names| !names.contains_key(name))
        {
            return Err(Errno::ENOENT);
        }
        let stat = self.handle()?.stat(Some(name))?;
        // What is mounted on the host below the directory is not part of it.
        if stat.dev != self.shared.host_dev && self.shared.mode == HostMode::Immutable {
            return Err(Errno::ENOENT);
        }
        let dir = self.me.upgrade().ok_or(Errno::ESTALE)?;
        Ok(Self::make(
            &self.shared,
            Some(Place {
                dir,
                name: name.into(),
            }),
            &stat,
        ))
    }

    fn same_fs<'a>(&self, other: &'a Arc<dyn Inode>) -> Result<&'a Self, Errno> {
        let other = other.downcast::<Self>().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&other.shared, &self.shared) {
            Ok(other)
        } else {
            Err(Errno::EXDEV)
        }
    }
}

impl Inode for HostInode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attr(&self) -> Result<Attr, Errno> {
        match self.frozen {
            Some(attr) => Ok(attr),
            None => Ok(attr_of(self.shared.dev, &self.stat()?)),
        }
    }

    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        self.want_live()?;
        let now = self.shared.clock.now();
        let time = |set: SetTime| match set {
            SetTime::Now => (now.sec, now.nsec),
            SetTime::To(time) => (time.sec, time.nsec),
        };
        let change = HostSetAttr {
            perm: change.perm,
            uid: change.uid,
            gid: change.gid,
            atime: change.atime.map(time),
            mtime: change.mtime.map(time),
        };
        if self.kind == Kind::Directory {
            return self.handle()?.set_attr(None, &change);
        }
        let place = self.place()?;
        place.dir.handle()?.set_attr(Some(&place.name), &change)
    }

    fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Those of an image; what the host keeps with the user's own files is its business.
    fn as_xattrs(&self) -> Option<&dyn Xattrs> {
        (self.shared.mode == HostMode::Immutable).then_some(self)
    }

    fn as_dir(&self) -> Option<&dyn Directory> {
        (self.kind == Kind::Directory).then_some(self as &dyn Directory)
    }

    fn as_regular(&self) -> Option<&dyn Regular> {
        (self.kind == Kind::Regular).then_some(self as &dyn Regular)
    }

    fn read_link(&self, _caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        if self.kind != Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        let place = self.place()?;
        place.dir.handle()?.read_link(&place.name)
    }
}

impl Directory for HostInode {
    fn lookup(&self, _caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.find(name).map(|inode| inode as Arc<dyn Inode>)
    }

    fn list(&self, _caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let entries = |names: &Listing| -> Vec<DirEntry> {
            let all = names.iter();
            let mut all: Vec<DirEntry> = all
                .map(|(name, (ino, kind))| DirEntry {
                    name: name.clone(),
                    ino: *ino,
                    kind: *kind,
                })
                .collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        };
        match self.known_names()? {
            Some(names) => Ok(entries(names)),
            None => Ok(entries(&self.read_listing()?)),
        }
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        self.want_live()?;
        let handle = self.handle()?;
        match &node.kind {
            NewKind::Regular => drop(handle.open_file(name, HostOpen::Create(node.perm))?),
            NewKind::Directory => handle.make(name, &HostNode::Directory, node.perm)?,
            NewKind::Symlink(target) => {
                handle.make(name, &HostNode::Symlink(target.clone()), node.perm)?;
            }
            _ => return Err(Errno::EPERM),
        }
        // The host's umask may have taken bits away.
        if !matches!(node.kind, NewKind::Symlink(_)) {
            let perm = HostSetAttr {
                perm: Some(node.perm),
                ..HostSetAttr::default()
            };
            handle.set_attr(Some(name), &perm)?;
        }
        self.find(name).map(|inode| inode as Arc<dyn Inode>)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.want_live()?;
        let place = self.same_fs(target)?.place()?;
        place
            .dir
            .handle()?
            .link(&place.name, &*self.handle()?, name)
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.want_live()?;
        self.handle()?.remove(name, false)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.want_live()?;
        self.handle()?.remove(name, true)
    }

    fn rename(
        &self,
        name: &[u8],
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        exchange: bool,
    ) -> Result<(), Errno> {
        self.want_live()?;
        let new_dir = self.same_fs(new_dir)?;
        self.handle()?
            .rename(name, &*new_dir.handle()?, new_name, exchange)
    }

    fn renamed(&self, child: &Arc<dyn Inode>, name: &[u8]) {
        let (Some(child), Some(dir)) = (child.downcast::<Self>(), self.me.upgrade()) else {
            return;
        };
        let place = Place {
            dir,
            name: name.into(),
        };
        let old = child
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(place);
        drop(old);
    }

    fn revalidate(&self, _caller: &Caller<'_>, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let Some(child) = child.downcast::<Self>() else {
            return false;
        };
        self.handle()
            .and_then(|handle| handle.stat(Some(name)))
            .is_ok_and(|stat| stat.ino == child.ino && kind_of(stat.kind) == child.kind)
    }
}

impl Regular for HostInode {
    fn read_at(&self, dst: &mut dyn IoSink, pos: u64) -> Result<usize, Errno> {
        let file = self.file(false)?;
        let mut buf = vec![0; dst.remaining().min(CHUNK)];
        let mut done = 0;
        while dst.remaining() > 0 {
            let want = dst.remaining().min(buf.len());
            let at = pos.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            let got = match file.read_at(&mut buf[..want], at) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            };
            match dst.put(&buf[..got]) {
                Ok(n) => done += n,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_at(&self, src: &mut dyn IoSource, pos: Option<u64>) -> Result<(usize, u64), Errno> {
        self.want_live()?;
        let file = self.file(true)?;
        let mut at = match pos {
            Some(pos) => pos,
            None => file.stat()?.size,
        };
        let mut buf = vec![0; src.remaining().min(CHUNK)];
        let mut done = 0;
        while src.remaining() > 0 {
            let want = src.remaining().min(buf.len());
            let moved = src
                .get(&mut buf[..want])
                .and_then(|got| file.write_at(&buf[..got], at));
            match moved {
                Ok(0) => break,
                Ok(n) => {
                    self.pages.update(at, &buf[..n]);
                    done += n;
                    at += u64::try_from(n).unwrap_or(0);
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok((done, at))
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.want_live()?;
        self.file(true)?.set_size(size)?;
        self.pages.truncate(size);
        Ok(())
    }

    fn next_extent(&self, pos: u64, _size: u64, is_hole: bool) -> Result<u64, Errno> {
        self.file(false)?.next_extent(pos, is_hole)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.file(false)?.sync()
    }

    fn mappable(&self) -> Option<Arc<dyn Mappable>> {
        self.shared.frames.as_ref()?;
        self.me.upgrade().map(|inode| inode as Arc<dyn Mappable>)
    }
}

impl Mappable for HostInode {
    fn page(&self, page_index: u64, for_write: bool) -> Result<Page, MapError> {
        let frames = self.shared.frames.as_ref().ok_or(MapError::Bus)?;
        if for_write && self.shared.mode == HostMode::Immutable {
            return Err(MapError::Bus);
        }
        if let Some(attr) = &self.frozen {
            let open = || self.file(false).ok();
            if let Some(page) = self.windows.page(page_index, attr.size, frames, open) {
                return Ok(page);
            }
        }
        let file = self.file(for_write).map_err(|_| MapError::Bus)?;
        let size = self.attr().map_err(|_| MapError::Bus)?.size;
        // Twice in the list does no harm, should two of us come first.
        if self.shared.mode == HostMode::Immutable && self.pages.is_empty() {
            self.shared.clean_pages.add(&self.pages);
        }
        self.pages.page(page_index, size, &*file, frames)
    }

    fn sync_pages(&self, first: u64, count: u64) -> Result<(), MapError> {
        if self.shared.mode == HostMode::Immutable {
            return Ok(());
        }
        let file = self.file(true).map_err(|_| MapError::Bus)?;
        let size = file.stat().map_err(|_| MapError::Bus)?.size;
        self.pages
            .write_back(first..first.saturating_add(count), size, &*file)
    }
}

impl Drop for HostInode {
    /// Lets go of the directories above one by one: see `Dentry`.
    fn drop(&mut self) {
        let take = |inode: &mut Self| {
            inode
                .place
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        };
        let mut next = take(self).map(|place| place.dir);
        while let Some(dir) = next {
            next = Arc::into_inner(dir)
                .and_then(|mut inode| take(&mut inode))
                .map(|p| p.dir);
        }
    }
}
