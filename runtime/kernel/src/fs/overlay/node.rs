// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file of the overlay: what it is made of, and the operations that do not
//! change names.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use linux_abi::Errno;

use super::{Key, PRIVATE_PREFIX, Shared, UPPER_INO_BASE, origin};
use crate::file::{Caller, IoSink, IoSource};
use crate::mm::{MapError, Mappable, Page};
use crate::vfs::{
    Attachments, Attr, Directory, Fallocate, Inode, Kind, Regular, SetAttr, XattrSet, Xattrs,
};

/// The layers that a file is made of, and where its name is.
pub(super) struct Layers {
    pub(super) upper: Option<Arc<dyn Inode>>,
    pub(super) lower: Option<Arc<dyn Inode>>,
    /// Directory and name by which it is copied up; `None` for the root.
    pub(super) home: Option<(Arc<OverlayNode>, Box<[u8]>)>,
    /// Path in the lower layer, for directories that are there.
    pub(super) lower_path: Option<Vec<u8>>,
}

/// A file of the overlay.
pub struct OverlayNode {
    pub(super) me: Weak<Self>,
    pub(super) shared: Arc<Shared>,
    kind: Kind,
    ino: u64,
    /// What the link count of the real file is off by: lower names that a
    /// copied-up file still has, lower names that are whited out.
    pub(super) hidden_links: AtomicI64,
    /// The home name is whited out: a copy-up must not bring it back.
    pub(super) is_homeless: AtomicBool,
    pub(super) layers: RwLock<Layers>,
    attachments: Attachments,
}

impl OverlayNode {
    pub(super) fn root(shared: &Arc<Shared>, upper: Arc<dyn Inode>) -> Result<Arc<Self>, Errno> {
        let lower = Some(shared.lower_root.clone());
        let layers = Layers {
            upper: Some(upper),
            lower,
            home: None,
            lower_path: Some(Vec::new()),
        };
        Self::make(shared, layers)
    }

    pub(super) fn make(shared: &Arc<Shared>, layers: Layers) -> Result<Arc<Self>, Errno> {
        let (kind, ino) = match (&layers.upper, &layers.lower) {
            (Some(upper), _) => {
                let ino = origin(upper)
                    .map_or_else(|| upper.attr().map(|attr| attr.ino + UPPER_INO_BASE), Ok)?;
                (upper.kind(), ino)
            }
            (None, Some(lower)) => (lower.kind(), lower.attr()?.ino),
            (None, None) => return Err(Errno::ENOENT),
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            shared: shared.clone(),
            kind,
            ino,
            hidden_links: AtomicI64::new(0),
            is_homeless: AtomicBool::new(false),
            layers: RwLock::new(layers),
            attachments: Attachments::default(),
        }))
    }

    /// The key of a file that `upper` or else `lower` is.
    pub(super) fn key(
        upper: Option<&Arc<dyn Inode>>,
        lower: &Arc<dyn Inode>,
    ) -> Result<Key, Errno> {
        match upper {
            Some(upper) => Ok(Key::Upper(upper.attr()?.ino)),
            None => Ok(Key::Lower(lower.attr()?.ino)),
        }
    }

    pub(super) fn upper(&self) -> Option<Arc<dyn Inode>> {
        self.layers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .upper
            .clone()
    }

    pub(super) fn lower(&self) -> Option<Arc<dyn Inode>> {
        self.layers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .lower
            .clone()
    }

    /// The layer that is read: the upper one, if it is there.
    pub(super) fn real(&self) -> Result<Arc<dyn Inode>, Errno> {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        layers
            .upper
            .clone()
            .or_else(|| layers.lower.clone())
            .ok_or(Errno::ESTALE)
    }

    pub(super) fn this(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::ESTALE)
    }

    fn upper_to_write(&self) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.copy_up(None)
    }
}

impl Inode for OverlayNode {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let attr = self.real()?.attr()?;
        let hidden = self.hidden_links.load(Ordering::Relaxed);
        let nlink = (i64::from(attr.nlink) + hidden).clamp(0, i64::from(u32::MAX));
        let nlink = u32::try_from(nlink).unwrap_or(1);
        // A merged directory's link count means nothing; overlayfs shows 1.
        let is_merged = self.kind == Kind::Directory && self.lower().is_some();
        let nlink = if is_merged && nlink > 0 { 1 } else { nlink };
        Ok(Attr {
            ino: self.ino,
            dev: self.shared.dev,
            nlink,
            ..attr
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        self.upper_to_write()?.set_attr(change)
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

    fn read_link(&self, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        self.real()?.read_link(caller)
    }
}

fn regular(inode: &Arc<dyn Inode>) -> Result<&dyn Regular, Errno> {
    inode.as_regular().ok_or(Errno::EINVAL)
}

impl Regular for OverlayNode {
    fn read_at(&self, dst: &mut dyn IoSink, pos: u64) -> Result<usize, Errno> {
        regular(&self.real()?)?.read_at(dst, pos)
    }

    fn write_at(&self, src: &mut dyn IoSource, pos: Option<u64>) -> Result<(usize, u64), Errno> {
        regular(&self.upper_to_write()?)?.write_at(src, pos)
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        if self.upper().is_none() {
            let _names = self
                .shared
                .names
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.copy_up(Some(size))?;
        }
        regular(&self.upper_to_write()?)?.truncate(size)
    }

    fn allocate(&self, how: Fallocate, start: u64, len: u64) -> Result<(), Errno> {
        regular(&self.upper_to_write()?)?.allocate(how, start, len)
    }

    fn next_extent(&self, pos: u64, size: u64, is_hole: bool) -> Result<u64, Errno> {
        regular(&self.real()?)?.next_extent(pos, size, is_hole)
    }

    fn sync(&self) -> Result<(), Errno> {
        regular(&self.real()?)?.sync()
    }

    fn mappable(&self) -> Option<Arc<dyn Mappable>> {
        let real = self.real().ok()?;
        real.as_regular()?.mappable()?;
        self.me.upgrade().map(|node| node as Arc<dyn Mappable>)
    }
}

impl Mappable for OverlayNode {
    /// A page of the current layer. A mapping made before a copy-up keeps the
    /// lower pages that it has touched, as on Linux; a shared writable mapping
    /// copies the file up first.
    fn page(&self, page_index: u64, for_write: bool) -> Result<Page, MapError> {
        let real = if for_write {
            self.upper_to_write()
        } else {
            self.real()
        };
        let real = real.map_err(|_| MapError::Bus)?;
        let mappable = real
            .as_regular()
            .and_then(Regular::mappable)
            .ok_or(MapError::Bus)?;
        mappable.page(page_index, for_write)
    }
}

impl Xattrs for OverlayNode {
    fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if name.starts_with(PRIVATE_PREFIX) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.real()?.as_xattrs().ok_or(Errno::EOPNOTSUPP)?.get(name)
    }

    fn set(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno> {
        if name.starts_with(PRIVATE_PREFIX) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.upper_to_write()?
            .as_xattrs()
            .ok_or(Errno::EOPNOTSUPP)?
            .set(name, value, how)
    }

    fn list(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let real = self.real()?;
        let Some(xattrs) = real.as_xattrs() else {
            return Ok(Vec::new());
        };
        let mut names = xattrs.list()?;
        names.retain(|name| !name.starts_with(PRIVATE_PREFIX));
        Ok(names)
    }

    fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        if name.starts_with(PRIVATE_PREFIX) {
            return Err(Errno::EOPNOTSUPP);
        }
        // Nothing is copied up for an attribute that is not there.
        Xattrs::get(self, name)?;
        self.upper_to_write()?
            .as_xattrs()
            .ok_or(Errno::EOPNOTSUPP)?
            .remove(name)
    }
}

impl Drop for OverlayNode {
    /// Lets go of the ancestors one by one: see `Dentry`.
    fn drop(&mut self) {
        let take = |node: &mut Self| {
            node.layers
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .home
                .take()
        };
        let mut next = take(self).map(|(parent, _)| parent);
        while let Some(parent) = next {
            next = Arc::into_inner(parent)
                .and_then(|mut node| take(&mut node))
                .map(|(p, _)| p);
        }
    }
}
