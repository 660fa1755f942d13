// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small world for tests: a namespace, a walker and shorthand for operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};

use crate::file::{Caller, FsContext, IoFlags, OpenFile, SliceSource, VecSink};
use crate::fs::tmpfs::{TmpFs, TmpLimits};
use crate::vfs::{
    Attr, Clock, DeviceTable, DirFile, FileSystem, FsCred, Kind, Location, Namespace, NewKind,
    OpenRequest, RenameFlags, Timespec, Walk, WalkFlags, create_node, hard_link, open, remove_dir,
    remove_file, rename,
};

/// A clock that moves one second at every look.
pub(crate) fn ticking() -> Clock {
    let now = AtomicI64::new(1);
    Clock::new(move || Timespec {
        sec: now.fetch_add(1, Ordering::Relaxed),
        nsec: 0,
    })
}

/// An empty tmpfs.
pub(crate) fn tmpfs(dev: u64) -> Arc<TmpFs> {
    let limits = TmpLimits {
        bytes: 1 << 24,
        inodes: 100_000,
    };
    TmpFs::new(dev, ticking(), limits, None, 0o755).unwrap()
}

/// A namespace with one process in it.
pub(crate) struct World {
    pub(crate) fs: FsContext,
    pub(crate) cred: FsCred,
    devices: DeviceTable,
}

impl World {
    pub(crate) fn new(root: Arc<dyn FileSystem>) -> Self {
        let namespace = Namespace::new(root, "root", tmpfs(99));
        let fs = FsContext::new(namespace);
        Self {
            fs,
            cred: FsCred::root(),
            devices: DeviceTable::default(),
        }
    }

    pub(crate) fn on_tmpfs() -> Self {
        Self::new(tmpfs(1))
    }

    fn caller(&self) -> Caller<'_> {
        Caller::kernel(&self.cred)
    }

    pub(crate) fn at(&self, path: &str) -> Result<Location, Errno> {
        self.resolve(path, WalkFlags::empty(), Resolve::empty())
    }

    pub(crate) fn resolve(
        &self,
        path: &str,
        flags: WalkFlags,
        resolve: Resolve,
    ) -> Result<Location, Errno> {
        let caller = self.caller();
        Walk::new(&caller, &self.fs, self.fs.cwd(), path.as_bytes(), resolve)?.finish(flags)
    }

    pub(crate) fn attr(&self, path: &str) -> Result<Attr, Errno> {
        self.at(path)?.inode().attr()
    }

    fn make(&self, path: &str, kind: NewKind) -> Result<(), Errno> {
        let caller = self.caller();
        create_node(
            &caller,
            &self.fs,
            self.fs.cwd(),
            path.as_bytes(),
            kind,
            0o777,
        )
        .map(drop)
    }

    pub(crate) fn mkdir(&self, path: &str) -> Result<(), Errno> {
        self.make(path, NewKind::Directory)
    }

    pub(crate) fn symlink(&self, target: &str, path: &str) -> Result<(), Errno> {
        self.make(path, NewKind::Symlink(target.as_bytes().to_vec()))
    }

    pub(crate) fn link(&self, old: &str, new: &str) -> Result<(), Errno> {
        let old = self.at(old)?;
        hard_link(
            &self.caller(),
            &self.fs,
            &old,
            self.fs.cwd(),
            new.as_bytes(),
        )
    }

    pub(crate) fn unlink(&self, path: &str) -> Result<(), Errno> {
        remove_file(&self.caller(), &self.fs, self.fs.cwd(), path.as_bytes())
    }

    pub(crate) fn rmdir(&self, path: &str) -> Result<(), Errno> {
        remove_dir(&self.caller(), &self.fs, self.fs.cwd(), path.as_bytes())
    }

    pub(crate) fn rename(&self, old: &str, new: &str, flags: RenameFlags) -> Result<(), Errno> {
        let cwd = || self.fs.cwd();
        let (old, new) = ((cwd(), old.as_bytes()), (cwd(), new.as_bytes()));
        rename(&self.caller(), &self.fs, old, new, flags)
    }

    pub(crate) fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<OpenFile>, Errno> {
        let req = OpenRequest {
            flags,
            mode: 0o666,
            resolve: Resolve::empty(),
        };
        let caller = self.caller();
        open(
            &caller,
            &self.fs,
            &self.devices,
            self.fs.cwd(),
            path.as_bytes(),
            &req,
        )
    }

    pub(crate) fn write(&self, path: &str, data: &[u8]) -> Result<(), Errno> {
        let file = self.open(
            path,
            OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC,
        )?;
        let mut pos = 0;
        let (mut src, how) = (SliceSource(data), IoFlags::empty());
        let n = file
            .file()
            .try_write(&self.caller(), &mut src, &mut pos, how)
            .unwrap();
        assert_eq!(n, data.len());
        Ok(())
    }

    pub(crate) fn append(&self, path: &str, data: &[u8]) -> Result<(), Errno> {
        let file = self.open(path, OpenFlags::WRONLY)?;
        let mut src = SliceSource(data);
        file.file()
            .try_write(&self.caller(), &mut src, &mut 0, IoFlags::APPEND)
            .unwrap();
        Ok(())
    }

    pub(crate) fn read_open(&self, file: &OpenFile) -> Vec<u8> {
        let mut sink = VecSink::new(1 << 20);
        file.file()
            .try_read(&self.caller(), &mut sink, &mut 0, IoFlags::empty())
            .unwrap();
        sink.into_inner()
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        Ok(self.read_open(&*self.open(path, OpenFlags::empty())?))
    }

    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>, Errno> {
        let file = self.open(path, OpenFlags::DIRECTORY)?;
        let dir = file.file().downcast::<DirFile>().unwrap();
        let mut names = Vec::new();
        dir.read(&self.caller(), &mut 0, |entry, _| {
            names.push(String::from_utf8(entry.name.to_vec()).unwrap());
            true
        })?;
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    /// The whole tree as text: type, mode, links, content.
    pub(crate) fn dump(&self) -> Vec<String> {
        let (mut out, mut todo) = (Vec::new(), vec![String::new()]);
        while let Some(path) = todo.pop() {
            for name in self.list(&format!("{path}/")).unwrap() {
                let child = format!("{path}/{name}");
                let attr = self.attr(&child).unwrap();
                let what = match attr.kind {
                    Kind::Regular => {
                        format!("{:?} links {}", self.read(&child).unwrap(), attr.nlink)
                    }
                    Kind::Symlink => format!(
                        "{:?}",
                        self.at(&child).unwrap().inode().read_link(&self.caller())
                    ),
                    _ => String::new(),
                };
                out.push(format!("{child} {:?} {:o} {what}", attr.kind, attr.perm));
                if attr.kind == Kind::Directory {
                    todo.push(child);
                }
            }
        }
        out.sort();
        out
    }
}
