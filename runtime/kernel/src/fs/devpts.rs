// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev/pts`: one device node for each pseudo terminal, and `ptmx`.
//!
//! Nodes appear with their pair and are gone with its master. Owner and mode of a
//! node can be changed (`grantpt`, `mesg`); they start as the opener's and 0620.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::stat::make_dev;

use crate::file::Caller;
use crate::tty::pty::{PTS_MAJOR, Pty, PtyTable};
use crate::vfs::{
    Attachments, Attr, Clock, DirEntry, Directory, FileSystem, FsStat, Inode, Kind, SetAttr,
    SetTime, Timespec,
};

/// `statfs` magic of devpts.
const DEVPTS_MAGIC: u32 = 0x1cd1;
/// Group `tty`.
const TTY_GROUP: u32 = 5;

#[derive(Clone, Copy)]
struct Meta {
    perm: u32,
    uid: u32,
    gid: u32,
    atime: Timespec,
    mtime: Timespec,
    ctime: Timespec,
}

struct Node {
    dev: u64,
    clock: Clock,
    ino: u64,
    rdev: u64,
    /// The pair it stands for; `None` for `ptmx`.
    pty: Option<Weak<Pty>>,
    meta: Mutex<Meta>,
    attachments: Attachments,
}

impl Inode for Node {
    fn kind(&self) -> Kind {
        Kind::Char
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let meta = *self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = self.pty.as_ref().is_some_and(|pty| pty.strong_count() == 0);
        Ok(Attr {
            kind: Kind::Char,
            ino: self.ino,
            dev: self.dev,
            perm: meta.perm,
            nlink: u32::from(!is_gone),
            uid: meta.uid,
            gid: meta.gid,
            rdev: self.rdev,
            size: 0,
            blocks: 0,
            blksize: 1024,
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: meta.ctime,
            btime: None,
        })
    }

    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let now = self.clock.now();
        let time = |set: SetTime| match set {
            SetTime::Now => now,
            SetTime::To(time) => time,
        };
        let mut meta = self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        meta.perm = change.perm.unwrap_or(meta.perm);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        meta.atime = change.atime.map_or(meta.atime, time);
        meta.mtime = change.mtime.map_or(meta.mtime, time);
        meta.ctime = now;
        Ok(())
    }

    fn attachments(&self) -> &Attachments {
        &self.attachments
    }
}

struct Root {
    dev: u64,
    clock: Clock,
    born: Timespec,
    table: Arc<PtyTable>,
    ptmx: Arc<Node>,
    nodes: Mutex<HashMap<u32, Arc<Node>>>,
    attachments: Attachments,
}

impl Root {
    fn node(&self, dev: u64, ino: u64, rdev: u64, pty: Option<&Arc<Pty>>, uid: u32) -> Arc<Node> {
        make_node(dev, &self.clock, ino, rdev, pty, (uid, TTY_GROUP, 0o620))
    }
}

fn make_node(
    dev: u64,
    clock: &Clock,
    ino: u64,
    rdev: u64,
    pty: Option<&Arc<Pty>>,
    (uid, gid, perm): (u32, u32, u32),
) -> Arc<Node> {
    let now = clock.now();
    let meta = Meta {
        perm,
        uid,
        gid,
        atime: now,
        mtime: now,
        ctime: now,
    };
    Arc::new(Node {
        dev,
        clock: clock.clone(),
        ino,
        rdev,
        pty: pty.map(Arc::downgrade),
        meta: Mutex::new(meta),
        attachments: Attachments::default(),
    })
}

impl Inode for Root {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn attr(&self) -> Result<Attr, Errno> {
        Ok(Attr {
            kind: Kind::Directory,
            ino: 1,
            dev: self.dev,
            perm: 0o755,
            nlink: 2,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: 1024,
            atime: self.born,
            mtime: self.born,
            ctime: self.born,
            btime: None,
        })
    }

    fn set_attr(&self, _change: &SetAttr) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    fn as_dir(&self) -> Option<&dyn Directory> {
        Some(self)
    }
}

/// The number that a name means: digits without leading zeros.
fn index_of(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok()?;
    let index: u32 = text.parse().ok()?;
    (index.to_string() == text).then_some(index)
}

impl Directory for Root {
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if name == b"ptmx" {
            return Ok(self.ptmx.clone());
        }
        let index = index_of(name).ok_or(Errno::ENOENT)?;
        let pty = self.table.get(index).ok_or(Errno::ENOENT)?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |node: &Arc<Node>| {
            node.pty
                .as_ref()
                .is_some_and(|have| std::ptr::eq(have.as_ptr(), Arc::as_ptr(&pty)))
        };
        if let Some(node) = nodes.get(&index).filter(|node| is_same(node)) {
            return Ok(node.clone());
        }
        nodes.retain(|_, node| node.pty.as_ref().is_some_and(|p| p.strong_count() > 0));
        let rdev = make_dev(PTS_MAJOR, index);
        let node = self.node(
            self.dev,
            u64::from(index) + 3,
            rdev,
            Some(&pty),
            caller.cred.uid,
        );
        nodes.insert(index, node.clone());
        Ok(node)
    }

    fn list(&self, _caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let entry = |name: String, ino| DirEntry {
            name: name.into_bytes().into(),
            ino,
            kind: Kind::Char,
        };
        let mut all = vec![entry("ptmx".to_owned(), 2)];
        let indices = self.table.indices();
        all.extend(
            indices
                .into_iter()
                .map(|i| entry(i.to_string(), u64::from(i) + 3)),
        );
        Ok(all)
    }

    fn revalidate(&self, caller: &Caller<'_>, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        self.lookup(caller, name)
            .is_ok_and(|now| Arc::ptr_eq(&now, child))
    }
}

/// The file system at `/dev/pts`.
pub struct DevPts {
    dev: u64,
    root: Arc<Root>,
}

impl DevPts {
    /// Shows the pairs of `table`.
    #[must_use]
    pub fn new(dev: u64, clock: Clock, table: Arc<PtyTable>) -> Arc<Self> {
        let ptmx = make_node(dev, &clock, 2, make_dev(5, 2), None, (0, 0, 0o666));
        let root = Arc::new(Root {
            dev,
            born: clock.now(),
            clock,
            table,
            ptmx,
            nodes: Mutex::default(),
            attachments: Attachments::default(),
        });
        Arc::new(Self { dev, root })
    }
}

impl FileSystem for DevPts {
    fn name(&self) -> &'static str {
        "devpts"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        FsStat {
            magic: DEVPTS_MAGIC,
            block_size: 4096,
            ..FsStat::default()
        }
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn options(&self) -> String {
        "gid=5,mode=620,ptmxmode=666".to_owned()
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn kept_names(&self) -> usize {
        0
    }
}
