// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of files, cached as a tree.
//!
//! A [`Dentry`] is one name that exists (there are no negative ones). It holds
//! its parent; the parent finds it again through a weak reference, so that an
//! unused name costs nothing. [`NameCache`] keeps recently used names alive.
//! Locks: `children` is the directory's lock (Linux `i_rwsem`): held for lookup
//! and every change of a name. Two of them are taken only by rename, in order
//! of address. `place` is a leaf lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;

use crate::file::Caller;
use crate::gauge::{self, Counted};
use crate::vfs::{Directory, Inode};

/// The longest name of a file.
pub(super) const NAME_MAX: usize = 255;

/// What the names of one mounted file system share.
pub(super) struct NameCache {
    is_volatile: bool,
    capacity: usize,
    recent: Mutex<Recent>,
}

/// Names by the order in which they came.
#[derive(Default)]
struct Recent {
    names: BTreeMap<u64, Arc<Dentry>>,
    /// The newest; 0 is none.
    last: u64,
}

impl NameCache {
    pub(super) fn new(is_volatile: bool, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            is_volatile,
            capacity,
            recent: Mutex::default(),
        })
    }

    /// Keeps `dentry` alive for a while. Call without a dentry lock held: the
    /// name that falls out is dropped here.
    fn keep(&self, dentry: Arc<Dentry>) {
        if self.capacity == 0 {
            return;
        }
        let evicted = {
            let mut recent = self.lock();
            recent.last += 1;
            let number = recent.last;
            dentry.kept_as.store(number, Ordering::Relaxed);
            recent.names.insert(number, dentry);
            if recent.names.len() > self.capacity {
                recent.names.pop_first()
            } else {
                None
            }
        };
        drop(evicted);
    }

    /// A name that is removed keeps its file no longer than those who use it. The
    /// caller is one of them, so nothing ends here.
    fn forget(&self, dentry: &Dentry) {
        let number = dentry.kept_as.swap(0, Ordering::Relaxed);
        if number != 0 {
            let kept = self.lock().names.remove(&number);
            drop(kept);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut self.lock().names);
        drop(all);
    }
}

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Box<[u8]>,
}

/// Children by name; entries whose dentry is gone stay until the next sweep.
#[derive(Default)]
pub(super) struct Children {
    by_name: HashMap<Box<[u8]>, Weak<Dentry>>,
    sweep_at: usize,
}

impl Children {
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.by_name.get(name).and_then(Weak::upgrade)
    }

    pub(super) fn insert(&mut self, name: &[u8], dentry: &Arc<Dentry>) {
        if self.by_name.len() >= self.sweep_at.max(32) {
            self.by_name.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = self.by_name.len() * 2;
        }
        self.by_name.insert(name.into(), Arc::downgrade(dentry));
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.by_name.remove(name).and_then(|weak| weak.upgrade())
    }
}

/// One name in a file system.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    place: Mutex<Place>,
    children: Mutex<Children>,
    cache: Arc<NameCache>,
    is_unlinked: AtomicBool,
    is_anonymous: bool,
    /// Its number among the recent names of the cache; 0 when it is not there.
    kept_as: AtomicU64,
    /// Mounts on this dentry, in whatever mount it is seen through.
    pub(super) mounts_here: AtomicU32,
    _counted: Counted,
}

impl Dentry {
    fn make(
        inode: Arc<dyn Inode>,
        parent: Option<Arc<Self>>,
        name: &[u8],
        cache: Arc<NameCache>,
        is_anonymous: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            inode,
            place: Mutex::new(Place {
                parent,
                name: name.into(),
            }),
            children: Mutex::default(),
            cache,
            is_unlinked: AtomicBool::new(false),
            is_anonymous,
            kept_as: AtomicU64::new(0),
            mounts_here: AtomicU32::new(0),
            _counted: gauge::NAMES.count(),
        })
    }

    /// The root of a mounted file system.
    pub(super) fn root(inode: Arc<dyn Inode>, cache: Arc<NameCache>) -> Arc<Self> {
        Self::make(inode, None, b"/", cache, false)
    }

    /// A file outside every tree, such as a pipe; `name` is what
    /// `/proc/PID/fd` shows.
    pub(super) fn anonymous(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        Self::make(inode, None, name, NameCache::new(false, 0), true)
    }

    /// The file.
    #[must_use]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The directory it is in; `None` for roots.
    #[must_use]
    pub fn parent(&self) -> Option<Arc<Self>> {
        self.lock_place().parent.clone()
    }

    /// The last component of its path.
    #[must_use]
    pub fn name(&self) -> Box<[u8]> {
        self.lock_place().name.clone()
    }

    /// Was the name removed while somebody held it?
    #[must_use]
    pub fn is_unlinked(&self) -> bool {
        self.is_unlinked.load(Ordering::Acquire)
    }

    /// Is it outside every tree?
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    fn lock_place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_children(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file as a directory.
    ///
    /// # Errors
    /// `ENOTDIR`.
    pub fn directory(&self) -> Result<&dyn Directory, Errno> {
        self.inode.as_dir().ok_or(Errno::ENOTDIR)
    }

    /// The child called `name`, from the cache or the file system.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENAMETOOLONG`, `ENOENT`.
    pub fn lookup(self: &Arc<Self>, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<Self>, Errno> {
        let mut children = self.lock_children();
        let child = self.lookup_locked(caller, &mut children, name)?;
        drop(children);
        Ok(self.retain(child))
    }

    /// The found child, kept in the cache when it is new. Call without a dentry
    /// lock held.
    pub(super) fn retain(&self, found: Looked) -> Arc<Self> {
        match found {
            Looked::Cached(dentry) => dentry,
            Looked::New(dentry) => {
                self.cache.keep(dentry.clone());
                // Somebody may have removed it before it was kept.
                if dentry.is_unlinked() {
                    self.cache.forget(&dentry);
                }
                dentry
            }
        }
    }

    pub(super) fn lookup_locked(
        self: &Arc<Self>,
        caller: &Caller<'_>,
        children: &mut Children,
        name: &[u8],
    ) -> Result<Looked, Errno> {
        let dir = self.directory()?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        if let Some(child) = children.get(name) {
            if !self.cache.is_volatile || dir.revalidate(caller, name, &child.inode) {
                return Ok(Looked::Cached(child));
            }
            children.remove(name);
            child.mark_unlinked();
        }
        let inode = dir.lookup(caller, name)?;
        Ok(Looked::New(self.add_locked(children, name, inode)))
    }

    /// Enters a child that the file system has just made or found.
    pub(super) fn add_locked(
        self: &Arc<Self>,
        children: &mut Children,
        name: &[u8],
        inode: Arc<dyn Inode>,
    ) -> Arc<Self> {
        let dentry = Self::make(inode, Some(self.clone()), name, self.cache.clone(), false);
        children.insert(name, &dentry);
        dentry
    }

    /// A child that is unlinked from the start (`O_TMPFILE`).
    pub(super) fn add_unnamed(self: &Arc<Self>, inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Self> {
        let dentry = Self::make(inode, Some(self.clone()), name, self.cache.clone(), false);
        dentry.mark_unlinked();
        dentry
    }

    pub(super) fn mark_unlinked(&self) {
        self.is_unlinked.store(true, Ordering::Release);
        self.cache.forget(self);
    }

    /// Shows the name as removed from the start (memfds).
    pub fn mark_deleted(&self) {
        self.mark_unlinked();
    }

    /// Records that the file moved; the caller holds both directories' locks
    /// and drops the old parent after releasing them.
    pub(super) fn move_to(&self, parent: &Arc<Self>, name: &[u8]) -> Option<Arc<Self>> {
        let mut place = self.lock_place();
        place.name = name.into();
        place.parent.replace(parent.clone())
    }

    /// Is `self` `other`, or above it in the same tree?
    #[must_use]
    pub fn is_ancestor_or_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut at = Some(other.clone());
        while let Some(dentry) = at {
            if Arc::ptr_eq(self, &dentry) {
                return true;
            }
            at = dentry.parent();
        }
        false
    }
}

/// Whether a lookup found the name in the cache.
pub(super) enum Looked {
    Cached(Arc<Dentry>),
    New(Arc<Dentry>),
}

impl Looked {
    pub(super) fn into_inner(self) -> Arc<Dentry> {
        match self {
            Self::Cached(dentry) | Self::New(dentry) => dentry,
        }
    }
}

impl Drop for Dentry {
    /// Lets go of the ancestors one by one: a guest can nest directories far
    /// deeper than the host's stack allows to recurse.
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut next = place.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut dentry| {
                let place = dentry
                    .place
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner);
                place.parent.take()
            });
        }
    }
}
