// SPDX-License-Identifier: MIT OR Apache-2.0
//! What whoever starts a guest does to its files beforehand: looking into the
//! image, host directories and memory mounted into it, files that the host knows
//! better than the image.
//!
//! Paths are the guest's: links in them are followed inside its root, and nothing
//! outside can be named. Everything is done as root.

use std::sync::{Arc, Weak};

use elfuse_machine::host::HostDir;
use linux_abi::Errno;
use linux_abi::fcntl::Resolve;

use super::host::{HostFs, HostMode};
use super::tmpfs::{TmpFs, TmpLimits};
use super::world::FileWorld;
use crate::file::{Caller, FsContext, SliceSource, VecSink};
use crate::net::unix::{PeerCred, SocketKind, UnixName, UnixSocket};
use crate::vfs::{
    FileSystem, FsCred, Inode, Kind, Location, MountFlags, NewKind, NewNode, Walk, WalkFlags,
    create_node,
};

/// What of a host directory is mounted.
pub enum HostPart<'a> {
    /// All of it.
    Directory,
    /// One file in it.
    File(&'a [u8]),
}

/// A file of a file system in memory.
pub struct MemoryFile<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What is in it.
    pub bytes: &'a [u8],
    /// Its permissions.
    pub perm: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl MemoryFile<'_> {
    fn create(&self, fs: &TmpFs) -> Result<Arc<dyn Inode>, Errno> {
        let node = NewNode {
            kind: NewKind::Regular,
            perm: self.perm,
            uid: self.uid,
            gid: self.gid,
        };
        let root = fs.root();
        let directory = root.as_dir().ok_or(Errno::ENOTDIR)?;
        let file = directory.create(self.name, &node)?;
        let content = file.as_regular().ok_or(Errno::EINVAL)?;
        content.write_at(&mut SliceSource(self.bytes), Some(0))?;
        Ok(file)
    }
}

impl FileWorld {
    /// What is at `path`.
    ///
    /// # Errors
    /// What walking there answers.
    pub fn find(&self, path: &[u8]) -> Result<Location, Errno> {
        let cred = FsCred::root();
        let caller = Caller::kernel(&cred);
        let context = FsContext::new(self.namespace.clone());
        Walk::new(&caller, &context, context.root(), path, Resolve::empty())?
            .finish(WalkFlags::FOLLOW)
    }

    /// The first `limit` bytes of the regular file at `path`.
    ///
    /// # Errors
    /// What walking there answers; `EINVAL` for another kind of file, `EIO`.
    pub fn read_file(&self, path: &[u8], limit: usize) -> Result<Vec<u8>, Errno> {
        let at = self.find(path)?;
        let file = at.inode().as_regular().ok_or(Errno::EINVAL)?;
        let mut content = VecSink::new(limit);
        let mut pos = 0;
        loop {
            match file.read_at(&mut content, pos)? {
                0 => return Ok(content.into_inner()),
                count => pos += u64::try_from(count).unwrap_or(u64::MAX),
            }
        }
    }

    /// The directory at `path`; it and those above it are made when missing.
    ///
    /// # Errors
    /// `ENOTDIR`, and what making a directory answers.
    pub fn make_directories(&self, path: &[u8]) -> Result<Location, Errno> {
        let names = path.split(|&byte| byte == b'/').filter(|n| !n.is_empty());
        let mut so_far = Vec::with_capacity(path.len());
        for name in names {
            so_far.push(b'/');
            so_far.extend_from_slice(name);
            match self.find(&so_far) {
                Err(Errno::ENOENT) => drop(self.make(&so_far, NewKind::Directory, 0o755)?),
                found => drop(found?),
            }
        }
        so_far.push(b'/');
        self.find(&so_far)
    }

    /// Shows a directory of the host, or a file in it, at `path`, which is made
    /// when it is missing.
    ///
    /// # Errors
    /// `ENOTDIR` when one is a directory and the other is not, and what making
    /// `path` answers.
    pub fn mount_host(
        &self,
        dir: Arc<dyn HostDir>,
        part: &HostPart<'_>,
        path: &[u8],
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let dev = self.next_dev();
        let mode = HostMode::Live;
        let fs = HostFs::new(dev, dir, mode, self.clock.clone(), self.frames.clone())?;
        match part {
            HostPart::Directory => {
                let at = self.make_directories(path)?;
                self.namespace.mount(fs, "elfuse", &at, flags).map(drop)
            }
            HostPart::File(name) => {
                let cred = FsCred::root();
                let caller = Caller::kernel(&cred);
                let root = fs.root();
                let directory = root.as_dir().ok_or(Errno::ENOTDIR)?;
                let file = directory.lookup(&caller, name)?;
                self.mount_over_file(fs, file, path, flags)
            }
        }
    }

    /// Mounts an empty file system in memory at `path`.
    ///
    /// # Errors
    /// As [`FileWorld::mount_host`].
    pub fn mount_memory(
        &self,
        path: &[u8],
        perm: u32,
        bytes: Option<u64>,
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let at = self.make_directories(path)?;
        let fs = self.memory(perm, bytes.unwrap_or(self.memory_limit))?;
        self.namespace.mount(fs, "tmpfs", &at, flags).map(drop)
    }

    /// Shows a file with these bytes at `path`, over the one that the image has.
    ///
    /// # Errors
    /// As [`FileWorld::mount_host`].
    pub fn mount_text(&self, path: &[u8], text: &[u8]) -> Result<(), Errno> {
        let fs = self.memory(0o755, 1 << 20)?;
        let file = MemoryFile {
            name: b"text",
            bytes: text,
            perm: 0o644,
            uid: 0,
            gid: 0,
        };
        let file = file.create(&fs)?;
        self.mount_over_file(fs, file, path, MountFlags::empty())
    }

    /// Mounts a file system in memory at `path` that has these files and takes no more.
    ///
    /// # Errors
    /// As [`FileWorld::mount_host`].
    pub fn mount_files(&self, path: &[u8], files: &[MemoryFile<'_>]) -> Result<(), Errno> {
        let at = self.make_directories(path)?;
        let fs = self.memory(0o755, self.memory_limit)?;
        for file in files {
            file.create(&fs)?;
        }
        let flags = MountFlags::READ_ONLY | MountFlags::NO_SUID | MountFlags::NO_DEV;
        let flags = flags | MountFlags::NO_EXEC;
        self.namespace.mount(fs, "tmpfs", &at, flags).map(drop)
    }

    /// Mounts a file system in memory at `path` that has one socket, which everybody may
    /// connect to, and takes no more.
    ///
    /// # Errors
    /// As [`FileWorld::mount_host`].
    pub fn mount_socket(&self, path: &[u8], name: &[u8]) -> Result<Arc<UnixSocket>, Errno> {
        let at = self.make_directories(path)?;
        let fs = self.memory(0o755, 0)?;
        let node = NewNode {
            kind: NewKind::Socket,
            perm: 0o666,
            uid: 0,
            gid: 0,
        };
        let root = fs.root();
        let directory = root.as_dir().ok_or(Errno::ENOTDIR)?;
        let inode = directory.create(name, &node)?;
        let socket = UnixSocket::new(SocketKind::Stream);
        inode
            .attachments()
            .set_socket(Arc::downgrade(&socket) as Weak<_>);
        let flags = MountFlags::READ_ONLY | MountFlags::NO_SUID | MountFlags::NO_DEV;
        self.namespace.mount(fs, "tmpfs", &at, flags)?;
        let whole = [path, b"/", name].concat();
        socket.set_name(UnixName::Path(whole.into()), None)?;
        socket.listen(i32::MAX, PeerCred::default())?;
        Ok(socket)
    }

    /// Makes the root file system refuse writes; mounts in it stay as they are.
    pub fn make_root_read_only(&self) {
        let mount = &self.namespace.root().mount;
        mount.set_flags(mount.flags() | MountFlags::READ_ONLY);
    }

    fn mount_over_file(
        &self,
        fs: Arc<dyn FileSystem>,
        file: Arc<dyn Inode>,
        path: &[u8],
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let at = match self.find(path) {
            Err(Errno::ENOENT) => {
                let directory = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                self.make_directories(&path[..directory])?;
                self.make(path, NewKind::Regular, 0o644)?
            }
            found => found?,
        };
        if at.inode().kind() == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        self.namespace
            .mount_file(fs, file, "elfuse", &at, flags)
            .map(drop)
    }

    fn memory(&self, perm: u32, bytes: u64) -> Result<Arc<TmpFs>, Errno> {
        let limits = TmpLimits {
            bytes,
            inodes: 1 << 20,
        };
        TmpFs::new(
            self.next_dev(),
            self.clock.clone(),
            limits,
            self.frames.clone(),
            perm,
        )
    }

    fn make(&self, path: &[u8], kind: NewKind, perm: u32) -> Result<Location, Errno> {
        let cred = FsCred::root();
        let caller = Caller::kernel(&cred);
        let context = FsContext::new(self.namespace.clone());
        create_node(&caller, &context, context.root(), path, kind, perm)
    }
}
