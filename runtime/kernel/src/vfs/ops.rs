// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making, linking and removing names, and changing attributes.
//!
//! Each function is one operation of `fs/namei.c`, `fs/attr.c` or `fs/open.c`
//! (Linux 6.12) with its order of checks. The parent's `children` lock is held
//! while the file system changes and the cache follows, so both always agree.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::Resolve;
use linux_abi::stat::{S_ISGID, S_ISUID, S_ISVTX};

use crate::file::{Caller, FsContext};
use crate::fs::inotify;
use crate::vfs::{
    Access, Attr, Capability, Dentry, FsCred, Inode, Kind, Last, Location, NewKind, NewNode,
    SetAttr, SetTime, Walk, may_access,
};

/// May `caller` make a name in `parent`?
///
/// # Errors
/// `EROFS`, `ENOENT` for a removed directory, `EACCES`.
pub(super) fn want_create(caller: &Caller<'_>, parent: &Location) -> Result<(), Errno> {
    parent.mount.want_write()?;
    if parent.dentry.is_unlinked() {
        return Err(Errno::ENOENT);
    }
    may_access(
        caller.cred,
        &parent.inode().attr()?,
        Access::WRITE | Access::EXEC,
    )
}

/// Group and permission bits of a new file (`inode_init_owner`).
pub(super) fn new_owner(cred: &FsCred, parent: &Attr, kind: Kind, perm: u32) -> (u32, u32) {
    if parent.perm & S_ISGID == 0 {
        return (cred.gid, perm);
    }
    if kind == Kind::Directory {
        return (parent.gid, perm | S_ISGID);
    }
    let is_group_exec = perm & (S_ISGID | 0o010) == S_ISGID | 0o010;
    let keeps = cred.in_group(parent.gid) || cred.has(Capability::Fsetid);
    (
        parent.gid,
        if is_group_exec && !keeps {
            perm & !S_ISGID
        } else {
            perm
        },
    )
}

/// Makes a directory, link, device, fifo or socket at `path`.
///
/// # Errors
/// What `mkdir(2)`, `mknod(2)` and `symlink(2)` list.
pub fn create_node(
    caller: &Caller<'_>,
    fs: &FsContext,
    start: Location,
    path: &[u8],
    kind: NewKind,
    mode: u32,
) -> Result<Location, Errno> {
    let mut walk = Walk::new(caller, fs, start, path, Resolve::empty())?;
    let Last::Name(name) = walk.advance()? else {
        return Err(Errno::EEXIST);
    };
    let file_kind = kind.kind();
    let needs_dir = walk.has_trailing_slash() && file_kind != Kind::Directory;
    let parent = walk.at().clone();
    let mut children = parent.dentry.lock_children();
    match parent.dentry.lookup_locked(caller, &mut children, &name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if needs_dir => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    want_create(caller, &parent)?;
    let is_device =
        matches!(kind, NewKind::Block(_)) || matches!(kind, NewKind::Char(dev) if dev != 0);
    if is_device && !caller.cred.has(Capability::Mknod) {
        return Err(Errno::EPERM);
    }
    let perm = match kind {
        NewKind::Symlink(_) => 0o777,
        NewKind::Directory => mode & (0o777 | S_ISVTX) & !fs.umask(),
        _ => mode & 0o7777 & !fs.umask(),
    };
    let (gid, perm) = new_owner(caller.cred, &parent.inode().attr()?, file_kind, perm);
    let node = NewNode {
        kind,
        perm,
        uid: caller.cred.uid,
        gid,
    };
    let inode = parent.dentry.directory()?.create(&name, &node)?;
    let dentry = parent.dentry.add_locked(&mut children, &name, inode);
    drop(children);
    inotify::created(parent.inode(), &name, file_kind == Kind::Directory);
    Ok(parent.with(dentry))
}

/// Gives the file at `old` the name `path` (`do_linkat`).
///
/// # Errors
/// What `link(2)` lists.
pub fn hard_link(
    caller: &Caller<'_>,
    fs: &FsContext,
    old: &Location,
    start: Location,
    path: &[u8],
) -> Result<(), Errno> {
    let mut walk = Walk::new(caller, fs, start, path, Resolve::empty())?;
    let Last::Name(name) = walk.advance()? else {
        return Err(Errno::EEXIST);
    };
    let parent = walk.at().clone();
    let mut children = parent.dentry.lock_children();
    match parent.dentry.lookup_locked(caller, &mut children, &name) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if walk.has_trailing_slash() => return Err(Errno::ENOENT),
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    if !Arc::ptr_eq(&old.mount, &parent.mount) {
        return Err(Errno::EXDEV);
    }
    want_create(caller, &parent)?;
    if old.inode().kind() == Kind::Directory {
        return Err(Errno::EPERM);
    }
    parent.dentry.directory()?.link(&name, old.inode())?;
    parent
        .dentry
        .add_locked(&mut children, &name, old.inode().clone());
    drop(children);
    inotify::created(parent.inode(), &name, false);
    inotify::attributes(old);
    Ok(())
}

/// May `caller` remove or replace `victim` in `parent` (`may_delete`)?
pub(super) fn may_delete(
    caller: &Caller<'_>,
    parent: &Location,
    victim: &Dentry,
    wants_dir: bool,
) -> Result<(), Errno> {
    let dir = parent.inode().attr()?;
    may_access(caller.cred, &dir, Access::WRITE | Access::EXEC)?;
    let attr = victim.inode().attr()?;
    let is_owner = caller.cred.uid == attr.uid || caller.cred.uid == dir.uid;
    if dir.perm & S_ISVTX != 0 && !is_owner && !caller.cred.has(Capability::Fowner) {
        return Err(Errno::EPERM);
    }
    match (wants_dir, attr.kind == Kind::Directory) {
        (true, false) => return Err(Errno::ENOTDIR),
        (false, true) => return Err(Errno::EISDIR),
        _ => {}
    }
    if parent.dentry.is_unlinked() {
        Err(Errno::ENOENT)
    } else {
        Ok(())
    }
}

/// Removes the name of a file that is no directory (`do_unlinkat`).
///
/// # Errors
/// What `unlink(2)` lists.
pub fn remove_file(
    caller: &Caller<'_>,
    fs: &FsContext,
    start: Location,
    path: &[u8],
) -> Result<(), Errno> {
    let mut walk = Walk::new(caller, fs, start, path, Resolve::empty())?;
    let Last::Name(name) = walk.advance()? else {
        return Err(Errno::EISDIR);
    };
    let parent = walk.at().clone();
    parent.mount.want_write()?;
    let mut children = parent.dentry.lock_children();
    let victim = parent
        .dentry
        .lookup_locked(caller, &mut children, &name)?
        .into_inner();
    if walk.has_trailing_slash() {
        let is_dir = victim.inode().kind() == Kind::Directory;
        drop(children);
        return Err(if is_dir {
            Errno::EISDIR
        } else {
            Errno::ENOTDIR
        });
    }
    let removed = may_delete(caller, &parent, &victim, false).and_then(|()| {
        if walk.namespace().is_mount_point(&victim) {
            return Err(Errno::EBUSY);
        }
        parent.dentry.directory()?.unlink(&name)
    });
    if removed.is_ok() {
        children.remove(&name);
        victim.mark_unlinked();
    }
    drop(children);
    removed?;
    inotify::removed(parent.inode(), &name, victim.inode());
    Ok(())
}

/// Removes an empty directory (`do_rmdir`).
///
/// # Errors
/// What `rmdir(2)` lists.
pub fn remove_dir(
    caller: &Caller<'_>,
    fs: &FsContext,
    start: Location,
    path: &[u8],
) -> Result<(), Errno> {
    let mut walk = Walk::new(caller, fs, start, path, Resolve::empty())?;
    let name = match walk.advance()? {
        Last::Name(name) => name,
        Last::Dot => return Err(Errno::EINVAL),
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Root => return Err(Errno::EBUSY),
    };
    let parent = walk.at().clone();
    parent.mount.want_write()?;
    let mut children = parent.dentry.lock_children();
    let victim = parent
        .dentry
        .lookup_locked(caller, &mut children, &name)?
        .into_inner();
    let removed = may_delete(caller, &parent, &victim, true).and_then(|()| {
        if walk.namespace().is_mount_point(&victim) {
            return Err(Errno::EBUSY);
        }
        parent.dentry.directory()?.rmdir(&name)
    });
    if removed.is_ok() {
        children.remove(&name);
        victim.mark_unlinked();
    }
    drop(children);
    removed?;
    inotify::removed(parent.inode(), &name, victim.inode());
    Ok(())
}

/// Changes mode, owner or times after the checks of `setattr_prepare`.
///
/// # Errors
/// `EROFS`, `EPERM`, `EACCES`.
pub fn set_attributes(caller: &Caller<'_>, at: &Location, change: &SetAttr) -> Result<(), Errno> {
    at.mount.want_write()?;
    let attr = at.inode().attr()?;
    let change = permitted_change(caller.cred, &attr, change)?;
    at.inode().set_attr(&change)?;
    inotify::attributes(at);
    Ok(())
}

fn permitted_change(cred: &FsCred, attr: &Attr, change: &SetAttr) -> Result<SetAttr, Errno> {
    let mut change = *change;
    if change.uid.is_some() || change.gid.is_some() {
        check_chown(cred, attr, &change)?;
    }
    if let Some(perm) = change.perm {
        if !cred.owns(attr) {
            return Err(Errno::EPERM);
        }
        let gid = change.gid.unwrap_or(attr.gid);
        let keeps = cred.in_group(gid) || cred.has(Capability::Fsetid);
        change.perm = Some(if keeps { perm } else { perm & !S_ISGID });
    }
    let times = [change.atime, change.mtime];
    let sets_given = times.iter().flatten().any(|t| matches!(t, SetTime::To(_)));
    if sets_given || (change.atime.is_some() != change.mtime.is_some()) {
        if !cred.owns(attr) {
            return Err(Errno::EPERM);
        }
    } else if change.atime.is_some() && !cred.owns(attr) {
        may_access(cred, attr, Access::WRITE)?;
    }
    Ok(change)
}

fn check_chown(cred: &FsCred, attr: &Attr, change: &SetAttr) -> Result<(), Errno> {
    if cred.has(Capability::Chown) {
        return Ok(());
    }
    let is_owner = cred.uid == attr.uid;
    let keeps_uid = change.uid.is_none_or(|uid| is_owner && uid == attr.uid);
    let keeps_gid = change
        .gid
        .is_none_or(|gid| is_owner && (gid == attr.gid || cred.in_group(gid)));
    if keeps_uid && keeps_gid {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// The permission bits that `chown` and unprivileged writes leave.
#[must_use]
pub fn without_set_id(attr: &Attr) -> Option<u32> {
    let mut perm = attr.perm & !S_ISUID;
    if perm & 0o010 != 0 {
        perm &= !S_ISGID;
    }
    (perm != attr.perm && attr.kind != Kind::Directory).then_some(perm)
}

/// Sets the size of the file at `at` (`truncate(2)`).
///
/// # Errors
/// `EISDIR`, `EINVAL` for what has no size, `EROFS`, `EACCES`, `EFBIG`.
pub fn truncate(caller: &Caller<'_>, at: &Location, size: u64) -> Result<(), Errno> {
    match at.inode().kind() {
        Kind::Directory => return Err(Errno::EISDIR),
        Kind::Regular => {}
        _ => return Err(Errno::EINVAL),
    }
    at.mount.want_write()?;
    may_access(caller.cred, &at.inode().attr()?, Access::WRITE)?;
    truncate_inode(caller, at.inode(), size)?;
    inotify::modified(at);
    Ok(())
}

/// Sets the size of an opened file, without permission checks.
///
/// # Errors
/// `EINVAL` for what has no size, `EFBIG`, `EPERM` for sealed files.
pub fn truncate_inode(caller: &Caller<'_>, inode: &Arc<dyn Inode>, size: u64) -> Result<(), Errno> {
    inode.as_regular().ok_or(Errno::EINVAL)?.truncate(size)?;
    drop_set_id(caller, inode)
}

/// Takes set-id bits away after a change of content by an unprivileged caller.
///
/// # Errors
/// What changing the mode answers.
pub fn drop_set_id(caller: &Caller<'_>, inode: &Arc<dyn Inode>) -> Result<(), Errno> {
    if caller.cred.has(Capability::Fsetid) {
        return Ok(());
    }
    match without_set_id(&inode.attr()?) {
        Some(perm) => inode.set_attr(&SetAttr {
            perm: Some(perm),
            ..SetAttr::default()
        }),
        None => Ok(()),
    }
}
