// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything about files that one guest has: mounts, drivers, names.
//!
//! [`FileWorld::boot`] mounts what a Linux system has mounted when its first
//! program starts: the root, `/dev`, `/dev/pts`, `/dev/shm`, `/tmp` and `/run` are
//! left to the image, `/proc` and `/sys`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};

use super::anon::{AnonFs, AnonInode};
use super::dev::{self, Random};
use super::devpts::DevPts;
use super::tmpfs::{TmpFs, TmpLimits};
use crate::file::locks::LockGraph;
use crate::file::{Caller, File, FsContext, OpenFile};
use crate::mm::FrameSource;
use crate::net::unix::UnixNames;
use crate::pipe::Pipe;
use crate::tty::Groups;
use crate::tty::console::Console;
use crate::tty::pty::PtyTable;
use crate::vfs::{
    Clock, DeviceTable, FileSystem, FsCred, Kind, Location, MountFlags, Namespace, NewKind, Walk,
    WalkFlags, create_node,
};

/// What a guest's files are made from.
pub struct WorldParts {
    /// The file system at `/`.
    pub root: Arc<dyn FileSystem>,
    /// Real time.
    pub clock: Clock,
    /// Random bytes.
    pub random: Random,
    /// Pages for mapped files in memory.
    pub frames: Option<FrameSource>,
    /// How terminals reach process groups.
    pub groups: Arc<dyn Groups>,
    /// The host's terminal.
    pub console: Option<Arc<Console>>,
    /// Bytes that each file system in memory may hold.
    pub memory_limit: u64,
    /// `/proc`, once its root is known.
    pub proc: Option<Arc<dyn FileSystem>>,
    /// `/sys`.
    pub sys: Option<Arc<dyn FileSystem>>,
}

/// Everything about files that one guest has.
pub struct FileWorld {
    /// The mounts.
    pub namespace: Arc<Namespace>,
    /// The drivers.
    pub devices: DeviceTable,
    /// The pseudo terminals.
    pub ptys: Arc<PtyTable>,
    /// Abstract names of local sockets.
    pub unix_names: UnixNames,
    /// Who waits for whose record locks.
    pub lock_graph: LockGraph,
    /// Where memfds and shared anonymous memory live.
    pub shm: Arc<TmpFs>,
    /// Real time.
    pub clock: Clock,
    /// Random bytes.
    pub random: Random,
    /// Bytes that each file system in memory may hold.
    pub memory_limit: u64,
    /// Pages for mapped files in memory.
    pub frames: Option<FrameSource>,
    console: Option<Arc<Console>>,
    next_ino: AtomicU64,
    next_dev: AtomicU64,
}

/// Device numbers without a device behind them (`anon_dev`).
const DEV_ANON: u64 = 1;
const DEV_SHM: u64 = 2;
const DEV_DEV: u64 = 5;
const DEV_PTS: u64 = 24;
const DEV_DEV_SHM: u64 = 26;
/// Device number for `/proc`.
pub const DEV_PROC: u64 = 22;
/// Device number for `/sys`.
pub const DEV_SYS: u64 = 23;
/// The first device number for file systems mounted later.
pub const DEV_FIRST_FREE: u64 = 64;

impl FileWorld {
    /// Mounts everything. Mount points that the root lacks are made when the
    /// root can be written; otherwise that mount is left out.
    ///
    /// # Errors
    /// `ENOSPC` when the limits are too small for the standard files.
    pub fn boot(parts: WorldParts) -> Result<Arc<Self>, Errno> {
        let WorldParts {
            root,
            clock,
            random,
            frames,
            groups,
            console,
            ..
        } = &parts;
        let limits = TmpLimits::of(parts.memory_limit);
        let tmpfs = |dev, perm| TmpFs::new(dev, clock.clone(), limits, frames.clone(), perm);
        let anonymous = AnonFs::new(DEV_ANON, clock);
        let namespace = Namespace::new(root.clone(), "overlay", anonymous);
        let ptys = PtyTable::new(groups.clone());
        let dev_fs = tmpfs(DEV_DEV, 0o755)?;
        dev::populate(&dev_fs, console.is_some())?;
        let devices = DeviceTable::default();
        dev::register(&devices, random.clone(), &ptys, console.clone());
        let world = Arc::new(Self {
            namespace,
            devices,
            shm: tmpfs(DEV_SHM, 0o777)?,
            unix_names: UnixNames::default(),
            lock_graph: LockGraph::default(),
            clock: clock.clone(),
            random: random.clone(),
            console: console.clone(),
            memory_limit: parts.memory_limit,
            frames: frames.clone(),
            next_ino: AtomicU64::new(1),
            next_dev: AtomicU64::new(DEV_FIRST_FREE),
            ptys: ptys.clone(),
        });
        let safe = MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
        let pts = DevPts::new(DEV_PTS, clock.clone(), ptys);
        let shm = tmpfs(DEV_DEV_SHM, 0o1777)?;
        world.mount_at("/dev", dev_fs, "tmpfs", MountFlags::NO_SUID)?;
        world.mount_at(
            "/dev/pts",
            pts,
            "devpts",
            MountFlags::NO_SUID | MountFlags::NO_EXEC,
        )?;
        world.mount_at(
            "/dev/shm",
            shm,
            "shm",
            MountFlags::NO_SUID | MountFlags::NO_DEV,
        )?;
        if let Some(proc) = parts.proc {
            world.mount_at("/proc", proc, "proc", safe)?;
        }
        if let Some(sys) = parts.sys {
            world.mount_at("/sys", sys, "sysfs", safe | MountFlags::READ_ONLY)?;
        }
        Ok(world)
    }

    /// Mounts `fs` at an absolute path, which is made when it is missing.
    ///
    /// # Errors
    /// What making the directory and mounting answer; a read-only root without
    /// the directory is no error.
    pub fn mount_at(
        &self,
        path: &str,
        fs: Arc<dyn FileSystem>,
        source: &str,
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let cred = FsCred::root();
        let caller = Caller::kernel(&cred);
        let context = FsContext::new(self.namespace.clone());
        let start = || context.root();
        let find = || {
            Walk::new(
                &caller,
                &context,
                start(),
                path.as_bytes(),
                Resolve::empty(),
            )?
            .finish(WalkFlags::FOLLOW | WalkFlags::DIRECTORY)
        };
        let at = match find() {
            Err(Errno::ENOENT) => {
                let kind = NewKind::Directory;
                match create_node(&caller, &context, start(), path.as_bytes(), kind, 0o755) {
                    Err(Errno::EROFS) => return Ok(()),
                    made => made?,
                };
                find()?
            }
            found => found?,
        };
        self.namespace.mount(fs, source, &at, flags).map(drop)
    }

    /// A device number for another file system.
    pub fn next_dev(&self) -> u64 {
        self.next_dev.fetch_add(1, Ordering::Relaxed)
    }

    /// A mounted file system with this name, to be mounted elsewhere, too.
    #[must_use]
    pub fn mounted(&self, name: &[u8]) -> Option<Arc<dyn FileSystem>> {
        let mounts = self.namespace.mounts();
        let found = mounts
            .iter()
            .find(|mount| mount.fs().name().as_bytes() == name);
        found.map(|mount| mount.fs().clone())
    }

    /// A place for a file outside every tree, shown as `anon_inode:NAME`.
    #[must_use]
    pub fn anonymous(&self, name: &str) -> Location {
        let inode = AnonInode::new(DEV_ANON, Kind::Regular, 1, &self.clock);
        self.namespace
            .anonymous(inode, format!("anon_inode:{name}").as_bytes())
    }

    /// A description of `file`, which is outside every tree.
    #[must_use]
    pub fn open_anonymous(
        &self,
        name: &str,
        file: Arc<dyn File>,
        flags: OpenFlags,
    ) -> Arc<OpenFile> {
        OpenFile::new(file, self.anonymous(name), flags)
    }

    fn numbered(&self, kind: Kind, what: &str) -> (Arc<AnonInode>, Vec<u8>) {
        let ino = self.next_ino.fetch_add(1, Ordering::Relaxed) + 1024;
        let inode = AnonInode::new(DEV_ANON, kind, ino, &self.clock);
        (inode, format!("{what}:[{ino}]").into_bytes())
    }

    /// A new pipe: read end, write end.
    #[must_use]
    pub fn open_pipe(&self, flags: OpenFlags) -> (Arc<OpenFile>, Arc<OpenFile>) {
        let (pipe, reader, writer) = Pipe::pair();
        let (inode, name) = self.numbered(Kind::Fifo, "pipe");
        inode.set_pipe(&pipe);
        let place = self.namespace.anonymous(inode, &name);
        let write_flags = flags | OpenFlags::WRONLY;
        let reader = OpenFile::new(reader, place.clone(), flags);
        (reader, OpenFile::new(writer, place, write_flags))
    }

    /// A description of a socket.
    #[must_use]
    pub fn open_socket(&self, socket: Arc<dyn File>, flags: OpenFlags) -> Arc<OpenFile> {
        let (inode, name) = self.numbered(Kind::Socket, "socket");
        let place = self.namespace.anonymous(inode, &name);
        OpenFile::new(socket, place, flags | OpenFlags::RDWR)
    }

    /// The host's terminal.
    #[must_use]
    pub fn console(&self) -> Option<&Arc<Console>> {
        self.console.as_ref()
    }

    /// A description of the host's terminal, for the first program.
    #[must_use]
    pub fn open_console(&self) -> Option<Arc<OpenFile>> {
        let console = self.console.as_ref()?;
        let place = self
            .path("/dev/console")
            .unwrap_or_else(|| self.anonymous("[console]"));
        Some(OpenFile::new(console.open(), place, OpenFlags::RDWR))
    }

    /// Where the terminal called `name` (`pts/0`) is.
    #[must_use]
    pub fn pty_place(&self, name: &str) -> Location {
        self.path(&format!("/dev/{name}"))
            .unwrap_or_else(|| self.anonymous("[pts]"))
    }

    fn path(&self, path: &str) -> Option<Location> {
        let cred = FsCred::root();
        let caller = Caller::kernel(&cred);
        let context = FsContext::new(self.namespace.clone());
        let (start, path) = (context.root(), path.as_bytes());
        let mut walk = Walk::new(&caller, &context, start, path, Resolve::empty()).ok()?;
        walk.finish(WalkFlags::FOLLOW).ok()
    }
}
