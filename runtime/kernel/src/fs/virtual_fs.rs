// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files whose content is made when they are read: what `/proc` and `/sys` are
//! built from.
//!
//! A [`VirtualNode`] is a directory ([`VirtualDir`]), a text that a function
//! makes, or a link. A text is made anew whenever it is read from its start, as
//! Linux's `seq_file` does, so a reader sees one consistent text. No locks but the
//! one of an open file's text.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Whence};
use crate::task::Process;
use crate::vfs::{
    Attachments, Attr, Clock, DirEntry, Directory, FileSystem, FsStat, Inode, Kind, Link, Location,
    SetAttr, Timespec,
};

/// Makes the text of a file.
pub type ReadText = dyn Fn(&Caller<'_>) -> Result<Vec<u8>, Errno> + Send + Sync;
/// Takes what is written to a file.
pub type WriteText = dyn Fn(&Caller<'_>, &[u8]) -> Result<(), Errno> + Send + Sync;
/// Where a link leads: its text and, for a magic link, its place.
pub type FollowLink = dyn Fn(&Caller<'_>) -> Result<LinkTarget, Errno> + Send + Sync;

/// The target of a virtual link.
pub struct LinkTarget {
    /// What `readlink` shows.
    pub text: Vec<u8>,
    /// Where following leads; `None` means to the text.
    pub place: Option<Location>,
}

/// The most that one write may pass to a file.
const MAX_WRITE: usize = 4096;

/// A directory that is made of code.
pub trait VirtualDir: Send + Sync {
    /// The file called `name`.
    ///
    /// # Errors
    /// `ENOENT`.
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno>;

    /// All names.
    ///
    /// # Errors
    /// `ENOENT` when what the directory is about is gone.
    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno>;

    /// The process that it is the directory of.
    fn process(&self) -> Option<&Weak<Process>> {
        None
    }
}

enum Body {
    Dir(Box<dyn VirtualDir>),
    Text {
        read: Arc<ReadText>,
        write: Option<Arc<WriteText>>,
    },
    Link(Box<FollowLink>),
}

/// What the nodes of one virtual file system share.
#[derive(Clone)]
pub struct VirtualSpace {
    dev: u64,
    time: Timespec,
}

impl VirtualSpace {
    /// A space of nodes on device `dev`, all as old as now.
    #[must_use]
    pub fn new(dev: u64, clock: &Clock) -> Self {
        Self {
            dev,
            time: clock.now(),
        }
    }

    fn node(&self, ino: u64, perm: u32, body: Body) -> VirtualNode {
        VirtualNode {
            space: self.clone(),
            ino,
            perm,
            owner: (0, 0),
            body,
            attachments: Attachments::default(),
        }
    }

    /// A directory.
    pub fn dir(&self, ino: u64, perm: u32, dir: impl VirtualDir + 'static) -> VirtualNode {
        self.node(ino, perm, Body::Dir(Box::new(dir)))
    }

    /// A text.
    pub fn text(
        &self,
        ino: u64,
        perm: u32,
        read: impl Fn(&Caller<'_>) -> Result<Vec<u8>, Errno> + Send + Sync + 'static,
    ) -> VirtualNode {
        self.node(
            ino,
            perm,
            Body::Text {
                read: Arc::new(read),
                write: None,
            },
        )
    }

    /// A link.
    pub fn link(
        &self,
        ino: u64,
        follow: impl Fn(&Caller<'_>) -> Result<LinkTarget, Errno> + Send + Sync + 'static,
    ) -> VirtualNode {
        self.node(ino, 0o777, Body::Link(Box::new(follow)))
    }
}

/// A file that is made of code.
pub struct VirtualNode {
    space: VirtualSpace,
    ino: u64,
    perm: u32,
    owner: (u32, u32),
    body: Body,
    attachments: Attachments,
}

impl VirtualNode {
    /// The process that it is the directory of, which can stand for a pidfd.
    #[must_use]
    pub fn process(&self) -> Option<&Weak<Process>> {
        match &self.body {
            Body::Dir(dir) => dir.process(),
            _ => None,
        }
    }

    /// The same text, which can also be written.
    #[must_use]
    pub fn writable(
        mut self,
        take: impl Fn(&Caller<'_>, &[u8]) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        if let Body::Text { write, .. } = &mut self.body {
            *write = Some(Arc::new(take));
        }
        self
    }

    /// The same file, owned by somebody else than root.
    #[must_use]
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// The same file with other permission bits.
    #[must_use]
    pub fn with_perm(mut self, perm: u32) -> Self {
        self.perm = perm;
        self
    }
}

impl Inode for VirtualNode {
    fn kind(&self) -> Kind {
        match self.body {
            Body::Dir(_) => Kind::Directory,
            Body::Text { .. } => Kind::Regular,
            Body::Link(_) => Kind::Symlink,
        }
    }

    fn attr(&self) -> Result<Attr, Errno> {
        let kind = self.kind();
        Ok(Attr {
            kind,
            ino: self.ino,
            dev: self.space.dev,
            perm: self.perm,
            nlink: if kind == Kind::Directory { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: 1024,
            atime: self.space.time,
            mtime: self.space.time,
            ctime: self.space.time,
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
        matches!(self.body, Body::Dir(_)).then_some(self as &dyn Directory)
    }

    fn read_link(&self, caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        match &self.body {
            Body::Link(follow) => Ok(follow(caller)?.text),
            _ => Err(Errno::EINVAL),
        }
    }

    fn follow(&self, caller: &Caller<'_>) -> Result<Link, Errno> {
        match &self.body {
            Body::Link(follow) => {
                let target = follow(caller)?;
                Ok(target.place.map_or(Link::Path(target.text), Link::Place))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn open_special(
        &self,
        _caller: &Caller<'_>,
        _at: &Location,
        _flags: OpenFlags,
    ) -> Option<Result<Arc<dyn File>, Errno>> {
        let Body::Text { read, write } = &self.body else {
            return None;
        };
        let (read, write) = (read.clone(), write.clone());
        Some(Ok(Arc::new(TextFile {
            read,
            write,
            text: Mutex::default(),
        })))
    }
}

impl Directory for VirtualNode {
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        match &self.body {
            Body::Dir(dir) => dir.lookup(caller, name).map(|node| node as Arc<dyn Inode>),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        match &self.body {
            Body::Dir(dir) => dir.list(caller),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn revalidate(&self, caller: &Caller<'_>, name: &[u8], child: &Arc<dyn Inode>) -> bool {
        let Body::Dir(dir) = &self.body else {
            return false;
        };
        let (Ok(now), Ok(before)) = (dir.lookup(caller, name), child.attr()) else {
            return false;
        };
        // A number that is used again is another process.
        let process = child.downcast::<Self>().and_then(Self::process);
        let is_same = match (now.process(), process) {
            (Some(now), Some(before)) => now.ptr_eq(before),
            (now, before) => now.is_none() && before.is_none(),
        };
        let is_same = is_same && now.ino == before.ino && now.kind() == before.kind;
        is_same && now.owner == (before.uid, before.gid)
    }
}

/// An open text.
struct TextFile {
    read: Arc<ReadText>,
    write: Option<Arc<WriteText>>,
    text: Mutex<Option<Vec<u8>>>,
}

impl File for TextFile {
    fn try_read(
        &self,
        caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if *pos == 0 || text.is_none() {
            *text = Some((self.read)(caller)?);
        }
        let start = usize::try_from(*pos).unwrap_or(usize::MAX);
        let rest = text
            .as_deref()
            .and_then(|t| t.get(start..))
            .unwrap_or_default()
            .to_vec();
        drop(text);
        if rest.is_empty() {
            return Ok(0);
        }
        let n = dst.put(&rest[..rest.len().min(dst.remaining())])?;
        *pos += u64::try_from(n).unwrap_or(0);
        Ok(n)
    }

    fn try_write(
        &self,
        caller: &Caller<'_>,
        src: &mut dyn IoSource,
        pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let write = self.write.as_ref().ok_or(Errno::EIO)?;
        let mut buf = vec![0; src.remaining().min(MAX_WRITE)];
        let n = if buf.is_empty() {
            0
        } else {
            src.get(&mut buf)?
        };
        write(caller, &buf[..n])?;
        *pos += u64::try_from(n).unwrap_or(0);
        Ok(n)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, pos: u64, offset: i64, whence: Whence) -> SysResult<u64> {
        let base = match whence {
            Whence::Set => 0,
            Whence::Current => pos,
            _ => return Err(Errno::EINVAL.into()),
        };
        base.checked_add_signed(offset)
            .ok_or_else(|| Errno::EINVAL.into())
    }
}

/// A directory with fixed names.
#[derive(Default)]
pub struct FixedDir {
    entries: Vec<(&'static str, Arc<VirtualNode>)>,
}

impl FixedDir {
    /// Without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more entry.
    #[must_use]
    pub fn with(mut self, name: &'static str, node: VirtualNode) -> Self {
        self.entries.push((name, Arc::new(node)));
        self
    }
}

impl VirtualDir for FixedDir {
    fn lookup(&self, _caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno> {
        let found = self
            .entries
            .iter()
            .find(|(have, _)| have.as_bytes() == name);
        found.map(|(_, node)| node.clone()).ok_or(Errno::ENOENT)
    }

    fn list(&self, _caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let entry = |(name, node): &(&str, Arc<VirtualNode>)| DirEntry {
            name: name.as_bytes().into(),
            ino: node.ino,
            kind: node.kind(),
        };
        Ok(self.entries.iter().map(entry).collect())
    }
}

/// A file system of virtual nodes.
pub struct VirtualFs {
    name: &'static str,
    magic: u32,
    dev: u64,
    root: Arc<VirtualNode>,
}

impl VirtualFs {
    /// A file system called `name` with this root.
    #[must_use]
    pub fn new(name: &'static str, magic: u32, root: VirtualNode) -> Arc<Self> {
        Arc::new(Self {
            name,
            magic,
            dev: root.space.dev,
            root: Arc::new(root),
        })
    }
}

impl FileSystem for VirtualFs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        FsStat {
            magic: self.magic,
            block_size: 4096,
            ..FsStat::default()
        }
    }

    fn dev(&self) -> u64 {
        self.dev
    }

    fn is_volatile(&self) -> bool {
        true
    }

    fn kept_names(&self) -> usize {
        0
    }
}
