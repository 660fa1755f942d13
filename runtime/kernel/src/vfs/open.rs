// SPDX-License-Identifier: MIT OR Apache-2.0
//! `open`: from a path to an open file description (`path_openat`, `do_open`).
//!
//! The order of checks is Linux 6.12's `fs/namei.c`: walk, create or look up,
//! `EEXIST`, `EISDIR`, `ENOTDIR`, `ELOOP`, permission, `ETXTBSY`, truncation.
//! Opening a fifo never blocks here: the syscall layer waits for the other end
//! through [`crate::pipe::Pipe`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};
use linux_abi::stat::dev_major;

use crate::file::{Caller, File, FsContext, OpenFile};
use crate::vfs::ops::{new_owner, want_create};
use crate::vfs::{
    Access, DirFile, Kind, Last, Location, MountFlags, NewKind, NewNode, RegularFile, Walk,
    may_access,
};

type OpenDevice =
    dyn Fn(&Caller<'_>, &Location, OpenFlags, u64) -> Result<Arc<dyn File>, Errno> + Send + Sync;

/// The drivers behind device nodes, by kind and major number.
#[derive(Default)]
pub struct DeviceTable {
    drivers: RwLock<HashMap<(Kind, u32), Arc<OpenDevice>>>,
}

impl DeviceTable {
    /// Registers `open` for every minor of `major`.
    pub fn register(
        &self,
        kind: Kind,
        major: u32,
        open: impl Fn(&Caller<'_>, &Location, OpenFlags, u64) -> Result<Arc<dyn File>, Errno>
        + Send
        + Sync
        + 'static,
    ) {
        let mut drivers = self.drivers.write().unwrap_or_else(PoisonError::into_inner);
        drivers.insert((kind, major), Arc::new(open));
    }

    fn open(
        &self,
        caller: &Caller<'_>,
        at: &Location,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        let attr = at.inode().attr()?;
        let driver = {
            let drivers = self.drivers.read().unwrap_or_else(PoisonError::into_inner);
            drivers.get(&(attr.kind, dev_major(attr.rdev))).cloned()
        };
        driver.ok_or(Errno::ENXIO)?(caller, at, flags, attr.rdev)
    }
}

/// What `open` is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest {
    /// Flags, already checked for contradictions.
    pub flags: OpenFlags,
    /// Mode of a new file, before the umask.
    pub mode: u32,
    /// Restrictions of the walk.
    pub resolve: Resolve,
}

/// Opens `path`, relative to `start`.
///
/// # Errors
/// What `open(2)` lists, except `EMFILE` and `EINTR`.
pub fn open(
    caller: &Caller<'_>,
    fs: &FsContext,
    devices: &DeviceTable,
    start: Location,
    path: &[u8],
    req: &OpenRequest,
) -> Result<Arc<OpenFile>, Errno> {
    let mut walk = Walk::new(caller, fs, start, path, req.resolve)?;
    let flags = req.flags;
    let (at, is_new) = if flags.contains(OpenFlags::TMPFILE) {
        let dir = walk.finish(crate::vfs::WalkFlags::FOLLOW | crate::vfs::WalkFlags::DIRECTORY)?;
        (create_unnamed(caller, fs, &dir, req)?, true)
    } else {
        find_or_create(&mut walk, caller, fs, req)?
    };
    let kind = at.inode().kind();
    if kind == Kind::Symlink && !flags.contains(OpenFlags::PATH) {
        return Err(Errno::ELOOP);
    }
    let is_dir = at.inode().as_dir().is_some();
    if is_dir && flags.contains(OpenFlags::CREAT) && !flags.contains(OpenFlags::PATH) {
        return Err(Errno::EISDIR);
    }
    let wants_dir = flags.contains(OpenFlags::DIRECTORY) && !flags.contains(OpenFlags::TMPFILE);
    if (wants_dir || walk.has_trailing_slash()) && !is_dir {
        return Err(Errno::ENOTDIR);
    }
    open_checked(caller, devices, at, flags, is_new)
}

/// Opens the file at `at` again (`/proc/self/fd`, `O_TMPFILE`, exec).
///
/// # Errors
/// As `open`, without those of the walk.
pub fn open_location(
    caller: &Caller<'_>,
    devices: &DeviceTable,
    at: Location,
    flags: OpenFlags,
) -> Result<Arc<OpenFile>, Errno> {
    open_checked(caller, devices, at, flags, false)
}

fn find_or_create(
    walk: &mut Walk<'_>,
    caller: &Caller<'_>,
    fs: &FsContext,
    req: &OpenRequest,
) -> Result<(Location, bool), Errno> {
    let is_create = req.flags.contains(OpenFlags::CREAT);
    let is_exclusive = is_create && req.flags.contains(OpenFlags::EXCL);
    loop {
        let name = match walk.advance()? {
            Last::Name(name) => name,
            _ if is_exclusive => return Err(Errno::EEXIST),
            _ => return Ok((walk.at().clone(), false)),
        };
        if is_create && walk.has_trailing_slash() {
            return Err(Errno::EISDIR);
        }
        let (child, is_new) = if is_create {
            lookup_or_create(walk, caller, fs, &name, req)?
        } else {
            (walk.lookup(&name)?, false)
        };
        if is_new {
            return Ok((child, true));
        }
        if is_exclusive {
            return Err(Errno::EEXIST);
        }
        let follows = !req.flags.contains(OpenFlags::NOFOLLOW) || walk.has_trailing_slash();
        if child.inode().kind() != Kind::Symlink || !follows {
            return Ok((child, false));
        }
        if let Some(place) = walk.follow(&child)? {
            return Ok((place, false));
        }
    }
}

fn lookup_or_create(
    walk: &Walk<'_>,
    caller: &Caller<'_>,
    fs: &FsContext,
    name: &[u8],
    req: &OpenRequest,
) -> Result<(Location, bool), Errno> {
    let parent = walk.at();
    let mut children = parent.dentry.lock_children();
    match parent.dentry.lookup_locked(caller, &mut children, name) {
        Ok(found) => {
            drop(children);
            return walk
                .enter(parent.dentry.retain(found))
                .map(|at| (at, false));
        }
        Err(Errno::ENOENT) => {}
        Err(error) => return Err(error),
    }
    want_create(caller, parent)?;
    let node = new_node(caller, fs, parent, req)?;
    let inode = parent.dentry.directory()?.create(name, &node)?;
    let dentry = parent.dentry.add_locked(&mut children, name, inode);
    drop(children);
    crate::fs::inotify::created(parent.inode(), name, false);
    Ok((parent.with(dentry), true))
}

fn new_node(
    caller: &Caller<'_>,
    fs: &FsContext,
    parent: &Location,
    req: &OpenRequest,
) -> Result<NewNode, Errno> {
    let perm = req.mode & 0o7777 & !fs.umask();
    let (gid, perm) = new_owner(caller.cred, &parent.inode().attr()?, Kind::Regular, perm);
    Ok(NewNode {
        kind: NewKind::Regular,
        perm,
        uid: caller.cred.uid,
        gid,
    })
}

fn create_unnamed(
    caller: &Caller<'_>,
    fs: &FsContext,
    dir: &Location,
    req: &OpenRequest,
) -> Result<Location, Errno> {
    want_create(caller, dir)?;
    let inode = dir
        .dentry
        .directory()?
        .create_unnamed(&new_node(caller, fs, dir, req)?)?;
    let name = format!("#{}", inode.attr()?.ino);
    Ok(dir.with(dir.dentry.add_unnamed(inode, name.as_bytes())))
}

fn open_checked(
    caller: &Caller<'_>,
    devices: &DeviceTable,
    at: Location,
    flags: OpenFlags,
    is_new: bool,
) -> Result<Arc<OpenFile>, Errno> {
    if flags.contains(OpenFlags::PATH) {
        return Ok(OpenFile::new(Arc::new(Handle), at, flags));
    }
    if !is_new {
        check_open_permission(caller, &at, flags)?;
    }
    let file = open_object(caller, devices, &at, flags)?;
    let is_regular = at.inode().kind() == Kind::Regular;
    if flags.contains(OpenFlags::TRUNC) && is_regular && !is_new {
        at.mount.want_write()?;
        at.inode().as_regular().ok_or(Errno::EINVAL)?.truncate(0)?;
        crate::fs::inotify::modified(&at);
    }
    crate::fs::inotify::opened(&at);
    Ok(OpenFile::new(file, at, flags))
}

fn check_open_permission(
    caller: &Caller<'_>,
    at: &Location,
    flags: OpenFlags,
) -> Result<(), Errno> {
    let kind = at.inode().kind();
    let mode = flags.bits() & OpenFlags::ACCMODE;
    let mut want = Access::empty();
    want.set(Access::READ, mode != 1);
    want.set(Access::WRITE, mode != 0 || flags.contains(OpenFlags::TRUNC));
    if kind == Kind::Directory && want.contains(Access::WRITE) {
        return Err(Errno::EISDIR);
    }
    let is_device = matches!(kind, Kind::Char | Kind::Block);
    if is_device && at.mount.flags().contains(MountFlags::NO_DEV) {
        return Err(Errno::EACCES);
    }
    let attr = at.inode().attr()?;
    if want.contains(Access::WRITE) && matches!(kind, Kind::Regular | Kind::Directory) {
        at.mount.want_write()?;
    }
    may_access(caller.cred, &attr, want)?;
    if flags.contains(OpenFlags::NOATIME) && !caller.cred.owns(&attr) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

fn open_object(
    caller: &Caller<'_>,
    devices: &DeviceTable,
    at: &Location,
    flags: OpenFlags,
) -> Result<Arc<dyn File>, Errno> {
    let inode = at.inode();
    if let Some(opened) = inode.open_special(caller, at, flags) {
        return opened;
    }
    match inode.kind() {
        Kind::Regular => Ok(Arc::new(RegularFile::new(inode.clone())?)),
        Kind::Directory => Ok(Arc::new(DirFile::new(at.clone()))),
        Kind::Char | Kind::Block => devices.open(caller, at, flags),
        Kind::Fifo => inode.attachments().fifo().open_end(flags),
        Kind::Socket => Err(Errno::ENXIO),
        Kind::Symlink => Err(Errno::ELOOP),
    }
}

/// The object behind an `O_PATH` descriptor: nothing can be done with it.
struct Handle;

impl File for Handle {}
