// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of contents as a tree: children by name, numbers of inodes, counts of
//! names. Hard links share the node of the file that they name.

use std::collections::HashMap;

use elfuse_machine::host::{HostEntry, HostKind, HostStat};
use elfuse_payload::toc::{Entry, Kind, Toc, split};

/// A name in the tree: the position of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// The tree.
pub(super) struct Index {
    entries: Vec<Entry>,
    /// Of each directory: positions of what is in it, in the order of names.
    children: HashMap<usize, Vec<usize>>,
    /// Of each hard link: the position of the file.
    targets: HashMap<usize, usize>,
    /// Of each file with more than one name: how many.
    names: HashMap<usize, u32>,
}

impl Index {
    /// The table is a proper tree: its reader has checked that.
    pub(super) fn new(toc: &Toc) -> Self {
        let entries = toc.entries.clone();
        let position = |path: &[u8]| entries.binary_search_by(|e| e.path.as_slice().cmp(path));
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut targets = HashMap::new();
        let mut names = HashMap::new();
        let mut last_dir: (&[u8], usize) = (b"", 0);
        for (at, entry) in entries.iter().enumerate() {
            if entry.kind == Kind::Dir {
                children.entry(at).or_default();
            }
            if let Some((dir, _)) = split(&entry.path) {
                if dir != last_dir.0 {
                    last_dir = (dir, position(dir).unwrap_or(0));
                }
                children.entry(last_dir.1).or_default().push(at);
            }
            if entry.kind == Kind::Hardlink
                && let Ok(target) = position(&entry.link)
            {
                targets.insert(at, target);
                *names.entry(target).or_insert(1) += 1;
            }
        }
        Self {
            entries,
            children,
            targets,
            names,
        }
    }

    pub(super) fn root(&self) -> NodeId {
        NodeId(0)
    }

    pub(super) fn name(&self, node: NodeId) -> &[u8] {
        name_of(&self.entries[node.0])
    }

    pub(super) fn child(&self, dir: NodeId, name: &[u8]) -> Option<NodeId> {
        let children = self.children.get(&dir.0)?;
        let at = children.binary_search_by(|&child| name_of(&self.entries[child]).cmp(name));
        at.ok().map(|at| NodeId(children[at]))
    }

    pub(super) fn is_dir(&self, node: NodeId) -> bool {
        self.entries[node.0].kind == Kind::Dir
    }

    /// The entry that has a regular file's contents.
    pub(super) fn file(&self, node: NodeId) -> Option<&Entry> {
        let (_, entry) = self.resolve(node);
        (entry.kind == Kind::File).then_some(entry)
    }

    pub(super) fn link(&self, node: NodeId) -> Option<Vec<u8>> {
        let (_, entry) = self.resolve(node);
        (entry.kind == Kind::Symlink).then(|| entry.link.clone())
    }

    pub(super) fn xattrs(&self, node: NodeId) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (_, entry) = self.resolve(node);
        entry.xattrs.clone()
    }

    pub(super) fn list(&self, dir: NodeId) -> Vec<HostEntry> {
        let children = self.children.get(&dir.0).into_iter().flatten();
        let entry = |&child: &usize| {
            let (at, target) = self.resolve(NodeId(child));
            HostEntry {
                name: name_of(&self.entries[child]).to_vec(),
                ino: ino(at),
                kind: Some(kind(target.kind)),
            }
        };
        children.map(entry).collect()
    }

    pub(super) fn stat(&self, node: NodeId) -> HostStat {
        let (at, entry) = self.resolve(node);
        let time = (entry.mtime.secs, entry.mtime.nanos);
        let size = match entry.kind {
            Kind::Symlink => u64::try_from(entry.link.len()).unwrap_or(0),
            Kind::Dir => 4096,
            _ => entry.size,
        };
        HostStat {
            kind: kind(entry.kind),
            dev: 1,
            ino: ino(at),
            perm: entry.mode,
            nlink: self.name_count(at, entry),
            uid: entry.uid,
            gid: entry.gid,
            rdev: entry.device,
            size,
            blocks: size.div_ceil(4096) * 8,
            atime: time,
            mtime: time,
            ctime: time,
        }
    }

    fn name_count(&self, at: usize, entry: &Entry) -> u32 {
        if entry.kind != Kind::Dir {
            return self.names.get(&at).copied().unwrap_or(1);
        }
        let children = self.children.get(&at).into_iter().flatten();
        let dirs = children.filter(|&&child| self.entries[child].kind == Kind::Dir);
        u32::try_from(dirs.count()).map_or(u32::MAX, |count| count.saturating_add(2))
    }

    fn resolve(&self, node: NodeId) -> (usize, &Entry) {
        let at = self.targets.get(&node.0).copied().unwrap_or(node.0);
        (at, &self.entries[at])
    }
}

fn name_of(entry: &Entry) -> &[u8] {
    split(&entry.path).map_or(b"", |(_, name)| name)
}

/// The root's is 2, as in ext4.
fn ino(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX - 2) + 2
}

fn kind(kind: Kind) -> HostKind {
    match kind {
        // A link's target is what it is; the table has no link to a link.
        Kind::File | Kind::Hardlink => HostKind::Regular,
        Kind::Dir => HostKind::Directory,
        Kind::Symlink => HostKind::Symlink,
        Kind::CharDevice => HostKind::Char,
        Kind::BlockDevice => HostKind::Block,
        Kind::Fifo => HostKind::Fifo,
    }
}
