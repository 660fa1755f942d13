// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts, places and paths.
//!
//! [`Namespace`] is the mount table. [`Location`] is a dentry seen through a
//! mount; it knows how to go up, and how to name itself. Locks: the table's
//! mutex is a leaf (nothing else is locked while it is held) except for the
//! dentry `place` locks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitflags::bitflags;
use linux_abi::Errno;

use crate::vfs::dentry::NameCache;
use crate::vfs::{Dentry, FileSystem, Inode};

bitflags! {
    /// Restrictions of a mount (`MS_*`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MountFlags: u32 {
        /// No writes.
        const READ_ONLY = 1;
        /// Set-id bits are ignored.
        const NO_SUID = 2;
        /// Device nodes cannot be opened.
        const NO_DEV = 4;
        /// Nothing is executed.
        const NO_EXEC = 8;
        /// Access times are not kept.
        const NO_ATIME = 1024;
        /// Access times are kept when they are older than the modification.
        const REL_ATIME = 1 << 21;
    }
}

/// A file system at a place.
pub struct Mount {
    id: u32,
    fs: Arc<dyn FileSystem>,
    root: Arc<Dentry>,
    cache: Arc<NameCache>,
    flags: AtomicU32,
    source: String,
    place: Mutex<Option<Location>>,
}

impl Mount {
    /// Its number in `/proc/PID/mountinfo`.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The mounted file system.
    #[must_use]
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    /// What was mounted, as `/proc/mounts` shows it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its restrictions.
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Changes its restrictions (`MS_REMOUNT`).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Where it is mounted; `None` for the root and when it is detached.
    #[must_use]
    pub fn place(&self) -> Option<Location> {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Its root directory.
    #[must_use]
    pub fn root(self: &Arc<Self>) -> Location {
        Location {
            mount: self.clone(),
            dentry: self.root.clone(),
        }
    }

    /// The path of its root in its file system: `/` unless it is a bind.
    #[must_use]
    pub fn root_path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = Some(self.root.clone());
        while let Some(dentry) = at {
            at = dentry.parent();
            if at.is_some() {
                names.push(dentry.name());
            }
        }
        if names.is_empty() {
            return b"/".to_vec();
        }
        names
            .iter()
            .rev()
            .flat_map(|name| [b"/".as_slice(), name].concat())
            .collect()
    }

    /// # Errors
    /// `EROFS` on a read-only mount.
    pub fn want_write(&self) -> Result<(), Errno> {
        if self.flags().contains(MountFlags::READ_ONLY) {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }
}

/// A place in the file tree: a dentry, seen through a mount.
#[derive(Clone)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The name.
    pub dentry: Arc<Dentry>,
}

impl Location {
    /// The file.
    #[must_use]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    /// Is it the same place?
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && Arc::ptr_eq(&self.dentry, &other.dentry)
    }

    /// Is it the root of its mount?
    #[must_use]
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.mount.root, &self.dentry)
    }

    /// The same mount, another dentry.
    #[must_use]
    pub fn with(&self, dentry: Arc<Dentry>) -> Self {
        Self {
            mount: self.mount.clone(),
            dentry,
        }
    }

    /// One step up, across mounts; `None` at the top.
    #[must_use]
    pub fn up(&self) -> Option<Self> {
        let mut at = self.clone();
        while at.is_mount_root() {
            at = at.mount.place()?;
        }
        let parent = at.dentry.parent()?;
        Some(at.with(parent))
    }

    /// The path as seen from `root` (Linux `d_path`): with ` (deleted)` when the
    /// name is gone, with `(unreachable)` in front when it is not below `root`.
    #[must_use]
    pub fn path_from(&self, root: &Self) -> Vec<u8> {
        let (mut path, is_reachable) = self.raw_path(root);
        if !is_reachable && !self.dentry.is_anonymous() {
            path.splice(0..0, *b"(unreachable)");
        }
        if self.dentry.is_unlinked() {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }

    /// The path without decoration, and whether it starts at `root`.
    #[must_use]
    pub fn raw_path(&self, root: &Self) -> (Vec<u8>, bool) {
        if self.dentry.is_anonymous() {
            return (self.dentry.name().into_vec(), false);
        }
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut at = self.clone();
        let is_reachable = loop {
            if at.is_same(root) {
                break true;
            }
            if at.is_mount_root() {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => break false,
                }
                continue;
            }
            names.push(at.dentry.name());
            match at.dentry.parent() {
                Some(parent) => at = at.with(parent),
                None => break false,
            }
        };
        if names.is_empty() {
            return (b"/".to_vec(), is_reachable);
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        (path, is_reachable)
    }
}

#[derive(Default)]
struct Table {
    /// Mounts by the mount and dentry they cover.
    covers: HashMap<(u32, usize), Arc<Mount>>,
    /// All mounts in the order they were made.
    list: Vec<Arc<Mount>>,
}

/// The mounts that processes see.
pub struct Namespace {
    root: Arc<Mount>,
    anonymous: Arc<Mount>,
    next_id: AtomicU32,
    table: Mutex<Table>,
    /// Serialises renames of directories, so that no cycle can appear.
    pub(super) rename_lock: Mutex<()>,
}

fn new_mount(id: u32, fs: Arc<dyn FileSystem>, source: &str, flags: MountFlags) -> Arc<Mount> {
    let root = fs.root();
    new_mount_of(id, fs, root, source, flags)
}

fn new_mount_of(
    id: u32,
    fs: Arc<dyn FileSystem>,
    root: Arc<dyn Inode>,
    source: &str,
    flags: MountFlags,
) -> Arc<Mount> {
    let cache = NameCache::new(fs.is_volatile(), fs.kept_names());
    let root = Dentry::root(root, cache.clone());
    Arc::new(Mount {
        id,
        fs,
        root,
        cache,
        flags: AtomicU32::new(flags.bits()),
        source: source.to_owned(),
        place: Mutex::new(None),
    })
}

fn cover_key(at: &Location) -> (u32, usize) {
    (at.mount.id, Arc::as_ptr(&at.dentry).addr())
}

impl Namespace {
    /// A namespace with `root_fs` at `/`. Files without a name (pipes,
    /// sockets) belong to `anonymous_fs`.
    #[must_use]
    pub fn new(
        root_fs: Arc<dyn FileSystem>,
        source: &str,
        anonymous_fs: Arc<dyn FileSystem>,
    ) -> Arc<Self> {
        let root = new_mount(1, root_fs, source, MountFlags::REL_ATIME);
        let anonymous = new_mount(0, anonymous_fs, "none", MountFlags::empty());
        let table = Table {
            covers: HashMap::new(),
            list: vec![root.clone()],
        };
        Arc::new(Self {
            root,
            anonymous,
            next_id: AtomicU32::new(2),
            table: Mutex::new(table),
            rename_lock: Mutex::new(()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The root directory, with whatever is mounted over it.
    #[must_use]
    pub fn root(&self) -> Location {
        self.cross_down(self.root.root())
    }

    /// A place for a file outside every tree; `name` is what `/proc/PID/fd`
    /// shows.
    #[must_use]
    pub fn anonymous(&self, inode: Arc<dyn Inode>, name: &[u8]) -> Location {
        let dentry = Dentry::anonymous(inode, name);
        Location {
            mount: self.anonymous.clone(),
            dentry,
        }
    }

    /// Every mount, in the order they were made.
    #[must_use]
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        self.lock().list.clone()
    }

    /// The topmost mount at `at`, or `at` itself.
    #[must_use]
    pub fn cross_down(&self, mut at: Location) -> Location {
        while at.dentry.mounts_here.load(Ordering::Acquire) > 0 {
            let Some(mount) = self.lock().covers.get(&cover_key(&at)).cloned() else {
                break;
            };
            at = mount.root();
        }
        at
    }

    /// Is something mounted at `at` or anywhere on this dentry?
    #[must_use]
    pub fn is_mount_point(&self, dentry: &Dentry) -> bool {
        dentry.mounts_here.load(Ordering::Acquire) > 0
    }

    /// Mounts `fs` at `at`.
    ///
    /// # Errors
    /// `ENOENT` when the place was removed, `ENOTDIR` when one is a directory
    /// and the other is not.
    pub fn mount(
        &self,
        fs: Arc<dyn FileSystem>,
        source: &str,
        at: &Location,
        flags: MountFlags,
    ) -> Result<Arc<Mount>, Errno> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.attach(new_mount(id, fs, source, flags), at)
    }

    /// Mounts one file of `fs` over the file at `at`.
    ///
    /// # Errors
    /// As `mount`.
    pub fn mount_file(
        &self,
        fs: Arc<dyn FileSystem>,
        file: Arc<dyn Inode>,
        source: &str,
        at: &Location,
        flags: MountFlags,
    ) -> Result<Arc<Mount>, Errno> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.attach(new_mount_of(id, fs, file, source, flags), at)
    }

    /// Makes the tree at `from` visible at `at` too (`MS_BIND`).
    ///
    /// # Errors
    /// As `mount`.
    pub fn bind(&self, from: &Location, at: &Location) -> Result<Arc<Mount>, Errno> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mount = Arc::new(Mount {
            id,
            fs: from.mount.fs.clone(),
            root: from.dentry.clone(),
            cache: from.mount.cache.clone(),
            flags: AtomicU32::new(from.mount.flags().bits()),
            source: from.mount.source.clone(),
            place: Mutex::new(None),
        });
        self.attach(mount, at)
    }

    fn attach(&self, mount: Arc<Mount>, at: &Location) -> Result<Arc<Mount>, Errno> {
        let at = self.cross_down(at.clone());
        if mount.root.inode().as_dir().is_some() != at.inode().as_dir().is_some() {
            return Err(Errno::ENOTDIR);
        }
        if at.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        *mount.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(at.clone());
        let mut table = self.lock();
        at.dentry.mounts_here.fetch_add(1, Ordering::AcqRel);
        table.covers.insert(cover_key(&at), mount.clone());
        table.list.push(mount.clone());
        Ok(mount)
    }

    /// Takes away the mount whose root `at` is.
    ///
    /// # Errors
    /// `EINVAL` when `at` is no mount's root or the root of everything,
    /// `EBUSY` when other mounts are on it.
    pub fn unmount(&self, at: &Location) -> Result<(), Errno> {
        if !at.is_mount_root() || Arc::ptr_eq(&at.mount, &self.root) {
            return Err(Errno::EINVAL);
        }
        let place = at.mount.place().ok_or(Errno::EINVAL)?;
        let mut table = self.lock();
        let has_submounts = table
            .list
            .iter()
            .any(|m| m.place().is_some_and(|p| Arc::ptr_eq(&p.mount, &at.mount)));
        if has_submounts {
            return Err(Errno::EBUSY);
        }
        table.covers.remove(&cover_key(&place));
        table.list.retain(|m| !Arc::ptr_eq(m, &at.mount));
        drop(table);
        place.dentry.mounts_here.fetch_sub(1, Ordering::AcqRel);
        *at.mount
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        at.mount.cache.clear();
        Ok(())
    }
}

impl Drop for Namespace {
    /// Cached names hold their file system's cache; break the cycle.
    fn drop(&mut self) {
        for mount in &self.lock().list {
            mount.cache.clear();
        }
    }
}
