// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc/PID/fd` and `/proc/PID/fdinfo`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;

use super::process::{Subject, to_place};
use super::{id_of, ino_of};
use crate::epoll::Epoll;
use crate::eventfd::EventFd;
use crate::file::{Caller, Fd, FdEntry};
use crate::fs::inotify::Inotify;
use crate::fs::virtual_fs::{VirtualDir, VirtualNode, VirtualSpace};
use crate::vfs::{DirEntry, Kind};

/// Numbers of nodes below `fd` and `fdinfo` start here.
const INO_OF_FDS: u64 = 1 << 16;
const INO_OF_INFO: u64 = 1 << 18;

pub(super) fn fd_dir(space: &VirtualSpace, subject: Subject) -> VirtualNode {
    let dir = FdDir {
        space: space.clone(),
        subject,
        base: INO_OF_FDS,
        is_info: false,
    };
    space.dir(ino_of(subject.tid) + INO_OF_FDS - 1, 0o500, dir)
}

pub(super) fn fdinfo_dir(space: &VirtualSpace, subject: Subject) -> VirtualNode {
    let dir = FdDir {
        space: space.clone(),
        subject,
        base: INO_OF_INFO,
        is_info: true,
    };
    space.dir(ino_of(subject.tid) + INO_OF_INFO - 1, 0o555, dir)
}

struct FdDir {
    space: VirtualSpace,
    subject: Subject,
    base: u64,
    is_info: bool,
}

fn fd_of(name: &[u8]) -> Option<Fd> {
    if name == b"0" {
        Some(Fd(0))
    } else {
        id_of(name).map(Fd)
    }
}

fn entry_of(caller: &Caller<'_>, subject: Subject, fd: Fd) -> Result<FdEntry, Errno> {
    let files = subject
        .inspected(caller)?
        .files()
        .map_err(|_| Errno::ENOENT)?;
    files.entry(fd).map_err(|_| Errno::ENOENT)
}

impl FdDir {
    fn ino(&self, fd: Fd) -> u64 {
        ino_of(self.subject.tid) + self.base + u64::from(fd.0.unsigned_abs())
    }
}

impl VirtualDir for FdDir {
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno> {
        let fd = fd_of(name).ok_or(Errno::ENOENT)?;
        let subject = self.subject;
        let entry = entry_of(caller, subject, fd)?;
        let ino = self.ino(fd);
        if self.is_info {
            let read = move |caller: &Caller<'_>| info(&entry_of(caller, subject, fd)?);
            return Ok(Arc::new(self.space.text(ino, 0o444, read)));
        }
        let follow = move |caller: &Caller<'_>| {
            to_place(
                caller,
                entry_of(caller, subject, fd)?.file.location().clone(),
            )
        };
        // The mode of the link tells how the descriptor was opened.
        let flags = entry.file.flags();
        let mut perm = 0o100;
        perm |= if flags.is_readable() { 0o400 } else { 0 };
        perm |= if flags.is_writable() { 0o200 } else { 0 };
        let creds = subject.task(caller)?.creds();
        let link = self.space.link(ino, follow).with_perm(perm);
        Ok(Arc::new(
            link.owned_by(creds.uid.effective, creds.gid.effective),
        ))
    }

    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let files = self
            .subject
            .inspected(caller)?
            .files()
            .map_err(|_| Errno::ENOENT)?;
        let kind = if self.is_info {
            Kind::Regular
        } else {
            Kind::Symlink
        };
        let entry = |fd: Fd| DirEntry {
            name: fd.0.to_string().into_bytes().into(),
            ino: self.ino(fd),
            kind,
        };
        Ok(files.numbers().into_iter().map(entry).collect())
    }
}

/// `/proc/PID/fdinfo/FD`.
fn info(entry: &FdEntry) -> Result<Vec<u8>, Errno> {
    let open = &entry.file;
    let mut flags = open.flags();
    flags.set(OpenFlags::CLOEXEC, entry.cloexec);
    let (pos, mount) = (*open.lock_pos(), open.location().mount.id());
    let ino = open.location().inode().attr().map_or(0, |attr| attr.ino);
    let flags = flags.bits();
    let mut text = format!("pos:\t{pos}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{ino}\n");
    let file = open.file();
    if let Some(event) = file.downcast::<EventFd>() {
        text += &format!("eventfd-count: {:16x}\n", event.count());
    }
    if let Some(set) = file.downcast::<Epoll>() {
        text += &set.describe();
    }
    if let Some(inotify) = file.downcast::<Inotify>() {
        text += &inotify.describe();
    }
    Ok(text.into_bytes())
}
