// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rename` (`do_renameat2` and `vfs_rename` of Linux 6.12).
//!
//! Both directories are locked in order of address. Moving a directory to
//! another parent also takes the namespace's rename lock, so that the check
//! against moving a directory into itself cannot race with another rename.

use std::sync::{Arc, PoisonError};

use bitflags::bitflags;
use linux_abi::Errno;
use linux_abi::fcntl::Resolve;

use crate::file::{Caller, FsContext};
use crate::fs::inotify;
use crate::vfs::dentry::Children;
use crate::vfs::ops::{may_delete, want_create};
use crate::vfs::{Access, Dentry, Kind, Last, Location, Namespace, Walk, may_access};

bitflags! {
    /// The flags of `renameat2`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct RenameFlags: u32 {
        /// The target must not exist.
        const NO_REPLACE = 1;
        /// Swap the two.
        const EXCHANGE = 2;
        /// Leave a whiteout behind.
        const WHITEOUT = 4;
    }
}

struct Side {
    parent: Location,
    name: Vec<u8>,
    has_trailing_slash: bool,
}

fn walk_side(
    caller: &Caller<'_>,
    fs: &FsContext,
    start: Location,
    path: &[u8],
) -> Result<(Side, bool), Errno> {
    let mut walk = Walk::new(caller, fs, start, path, Resolve::empty())?;
    let last = walk.advance()?;
    let parent = walk.at().clone();
    let has_trailing_slash = walk.has_trailing_slash();
    Ok(match last {
        Last::Name(name) => (
            Side {
                parent,
                name,
                has_trailing_slash,
            },
            true,
        ),
        _ => (
            Side {
                parent,
                name: Vec::new(),
                has_trailing_slash,
            },
            false,
        ),
    })
}

/// Renames `old_path` to `new_path`.
///
/// # Errors
/// What `rename(2)` lists.
pub fn rename(
    caller: &Caller<'_>,
    fs: &FsContext,
    (old_start, old_path): (Location, &[u8]),
    (new_start, new_path): (Location, &[u8]),
    flags: RenameFlags,
) -> Result<(), Errno> {
    let (old, old_is_name) = walk_side(caller, fs, old_start, old_path)?;
    let (new, new_is_name) = walk_side(caller, fs, new_start, new_path)?;
    if !Arc::ptr_eq(&old.parent.mount, &new.parent.mount) {
        return Err(Errno::EXDEV);
    }
    if !old_is_name {
        return Err(Errno::EBUSY);
    }
    if !new_is_name {
        return Err(if flags.contains(RenameFlags::NO_REPLACE) {
            Errno::EEXIST
        } else {
            Errno::EBUSY
        });
    }
    old.parent.mount.want_write()?;
    let namespace = fs.namespace();
    let serial = namespace
        .rename_lock
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let done = with_both_locked(
        &old.parent.dentry,
        &new.parent.dentry,
        |old_kids, new_kids| {
            Rename {
                caller,
                namespace,
                old: &old,
                new: &new,
                flags,
            }
            .run(old_kids, new_kids)
        },
    );
    drop(serial);
    let Some(moved) = done? else { return Ok(()) };
    inotify::renamed(
        (old.parent.inode(), &old.name),
        (new.parent.inode(), &new.name),
        moved.source.inode(),
    );
    if let Some(replaced) = &moved.replaced {
        inotify::gone(replaced.inode());
    }
    Ok(())
}

/// Locks the children of both directories in order of address; when they are
/// the same directory, `run` gets `None` for the second.
fn with_both_locked<T>(
    old: &Arc<Dentry>,
    new: &Arc<Dentry>,
    run: impl FnOnce(&mut Children, Option<&mut Children>) -> T,
) -> T {
    if Arc::ptr_eq(old, new) {
        return run(&mut old.lock_children(), None);
    }
    if Arc::as_ptr(old) < Arc::as_ptr(new) {
        let mut first = old.lock_children();
        let mut second = new.lock_children();
        run(&mut first, Some(&mut second))
    } else {
        let mut second = new.lock_children();
        let mut first = old.lock_children();
        run(&mut first, Some(&mut second))
    }
}

/// What a rename moved, to be dropped and announced after the locks.
struct Moved {
    source: Arc<Dentry>,
    replaced: Option<Arc<Dentry>>,
    _old_parents: [Option<Arc<Dentry>>; 2],
}

struct Rename<'a> {
    caller: &'a Caller<'a>,
    namespace: &'a Namespace,
    old: &'a Side,
    new: &'a Side,
    flags: RenameFlags,
}

impl Rename<'_> {
    fn run(
        &self,
        old_kids: &mut Children,
        mut new_kids: Option<&mut Children>,
    ) -> Result<Option<Moved>, Errno> {
        let caller = self.caller;
        let (old_dir, new_dir) = (&self.old.parent, &self.new.parent);
        let source = old_dir
            .dentry
            .lookup_locked(caller, old_kids, &self.old.name)?
            .into_inner();
        let target_kids: &mut Children = match &mut new_kids {
            Some(kids) => kids,
            None => old_kids,
        };
        let target = match new_dir
            .dentry
            .lookup_locked(caller, target_kids, &self.new.name)
        {
            Ok(found) => Some(found.into_inner()),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        self.check_shape(&source, target.as_ref())?;
        if target.as_ref().is_some_and(|t| is_same_file(t, &source)) {
            return Ok(None);
        }
        self.check_permission(&source, target.as_ref())?;
        let is_exchange = self.flags.contains(RenameFlags::EXCHANGE);
        old_dir.dentry.directory()?.rename(
            &self.old.name,
            new_dir.inode(),
            &self.new.name,
            is_exchange,
        )?;
        new_dir
            .dentry
            .directory()?
            .renamed(source.inode(), &self.new.name);
        old_kids.remove(&self.old.name);
        let mut old_parents = [source.move_to(&new_dir.dentry, &self.new.name), None];
        if is_exchange && let Some(target) = &target {
            old_dir
                .dentry
                .directory()?
                .renamed(target.inode(), &self.old.name);
            old_parents[1] = target.move_to(&old_dir.dentry, &self.old.name);
            old_kids.insert(&self.old.name, target);
        }
        let target_kids: &mut Children = match &mut new_kids {
            Some(kids) => kids,
            None => old_kids,
        };
        target_kids.insert(&self.new.name, &source);
        let replaced = target.filter(|_| !is_exchange);
        if let Some(replaced) = &replaced {
            replaced.mark_unlinked();
        }
        Ok(Some(Moved {
            source,
            replaced,
            _old_parents: old_parents,
        }))
    }

    /// Existence, slashes, ancestry and mounts, in Linux's order.
    fn check_shape(&self, source: &Arc<Dentry>, target: Option<&Arc<Dentry>>) -> Result<(), Errno> {
        let is_exchange = self.flags.contains(RenameFlags::EXCHANGE);
        if self.flags.contains(RenameFlags::NO_REPLACE) && target.is_some() {
            return Err(Errno::EEXIST);
        }
        let is_dir = |d: &Arc<Dentry>| d.inode().kind() == Kind::Directory;
        if is_exchange {
            let target = target.ok_or(Errno::ENOENT)?;
            if !is_dir(target) && self.new.has_trailing_slash {
                return Err(Errno::ENOTDIR);
            }
        }
        if !is_dir(source) {
            let new_slash = self.new.has_trailing_slash && !is_exchange;
            if self.old.has_trailing_slash || new_slash {
                return Err(Errno::ENOTDIR);
            }
        }
        if source.is_ancestor_or_same(&self.new.parent.dentry) {
            return Err(Errno::EINVAL);
        }
        if target.is_some_and(|t| t.is_ancestor_or_same(&self.old.parent.dentry)) {
            return Err(if is_exchange {
                Errno::EINVAL
            } else {
                Errno::ENOTEMPTY
            });
        }
        Ok(())
    }

    fn check_permission(
        &self,
        source: &Arc<Dentry>,
        target: Option<&Arc<Dentry>>,
    ) -> Result<(), Errno> {
        let caller = self.caller;
        let (old_dir, new_dir) = (&self.old.parent, &self.new.parent);
        let is_dir = source.inode().kind() == Kind::Directory;
        may_delete(caller, old_dir, source, is_dir)?;
        match target {
            None => want_create(caller, new_dir)?,
            Some(target) if self.flags.contains(RenameFlags::EXCHANGE) => {
                let target_is_dir = target.inode().kind() == Kind::Directory;
                may_delete(caller, new_dir, target, target_is_dir)?;
            }
            Some(target) => may_delete(caller, new_dir, target, is_dir)?,
        }
        if is_dir && !Arc::ptr_eq(&old_dir.dentry, &new_dir.dentry) {
            may_access(caller.cred, &source.inode().attr()?, Access::WRITE)?;
        }
        let is_mounted = |d: &Arc<Dentry>| self.namespace.is_mount_point(d);
        if is_mounted(source) || target.is_some_and(is_mounted) {
            return Err(Errno::EBUSY);
        }
        Ok(())
    }
}

fn is_same_file(a: &Arc<Dentry>, b: &Arc<Dentry>) -> bool {
    Arc::ptr_eq(a.inode(), b.inode())
}
