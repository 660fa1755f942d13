// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file tree that layers are applied to.
//!
//! Like a file system it keeps names and files apart: a [`Node`] is a file, a
//! [`Name`] in a directory refers to one, and two names of one node are hard
//! links. Nodes live in an arena and are never freed, since the number of
//! entries is bounded by the limits. How layers change the tree is in
//! [`super::apply`]; how paths are walked is in [`super::walk`].

use std::collections::{BTreeMap, HashSet};

use super::entry::{Content, Meta};

/// Index of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// The layer, counted from the lowest, that last wrote a name.
pub(crate) type LayerIndex = u32;

/// A directory's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) node: NodeId,
    /// A whiteout hides names of lower layers only.
    pub(crate) layer: LayerIndex,
}

/// Names in a directory, in byte order.
pub(crate) type Names = BTreeMap<Box<[u8]>, Name>;

/// A file of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Owner, mode, times, attributes.
    pub meta: Meta,
    /// Type and contents.
    pub(crate) body: Body,
}

/// What distinguishes the types of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    File(Content),
    Dir(Names),
    Symlink(Box<[u8]>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// A root directory and everything below it.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Directories in which `cleared_by` has hidden all lower names.
    cleared: HashSet<NodeId>,
    cleared_by: LayerIndex,
}

/// One name of the finished tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Relative to the root, which is empty; no slash at either end.
    pub path: Vec<u8>,
    /// What the name refers to.
    pub node: NodeId,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty root directory.
    #[must_use]
    pub fn new() -> Self {
        let root = Node {
            meta: Meta::implicit_dir(),
            body: Body::Dir(Names::new()),
        };
        Self {
            nodes: vec![root],
            cleared: HashSet::new(),
            cleared_by: 0,
        }
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// How many nodes there are, those that lost their last name included.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node's place among [`Tree::len`] nodes.
    pub(crate) fn index(&self, id: NodeId) -> usize {
        id.0 as usize
    }

    /// The node that `id` names.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// Adds a node that no directory names yet.
    ///
    /// # Panics
    /// After 2^32 nodes; the entry limit is far below.
    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        let id = u32::try_from(self.nodes.len()).expect("the entry limit is below 2^32");
        self.nodes.push(node);
        NodeId(id)
    }

    pub(crate) fn names(&self, dir: NodeId) -> Option<&Names> {
        match &self.node(dir).body {
            Body::Dir(names) => Some(names),
            _ => None,
        }
    }

    pub(crate) fn names_mut(&mut self, dir: NodeId) -> Option<&mut Names> {
        match &mut self.node_mut(dir).body {
            Body::Dir(names) => Some(names),
            _ => None,
        }
    }

    pub(crate) fn lookup(&self, dir: NodeId, name: &[u8]) -> Option<Name> {
        self.names(dir)?.get(name).copied()
    }

    pub(crate) fn is_dir(&self, id: NodeId) -> bool {
        self.names(id).is_some()
    }

    pub(crate) fn insert(&mut self, dir: NodeId, name: &[u8], node: NodeId, layer: LayerIndex) {
        if let Some(names) = self.names_mut(dir) {
            names.insert(name.into(), Name { node, layer });
        }
    }

    pub(crate) fn remove(&mut self, dir: NodeId, name: &[u8]) -> Option<Name> {
        self.names_mut(dir)?.remove(name)
    }

    /// Bytes of contents of all files, each counted once.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        let mut seen = vec![false; self.nodes.len()];
        let mut todo = vec![self.root()];
        let mut total = 0;
        while let Some(id) = todo.pop() {
            if std::mem::replace(&mut seen[self.index(id)], true) {
                continue;
            }
            match &self.node(id).body {
                Body::File(content) => total += content.size,
                Body::Dir(names) => todo.extend(names.values().map(|name| name.node)),
                _ => {}
            }
        }
        total
    }

    /// How many names the tree has, the root not counted.
    #[must_use]
    pub fn count_names(&self) -> u64 {
        let mut todo = vec![self.root()];
        let mut count = 0;
        while let Some(dir) = todo.pop() {
            for name in self.names(dir).into_iter().flat_map(Names::values) {
                count += 1;
                todo.push(name.node);
            }
        }
        count
    }

    /// Notes that `layer` hides everything below it in `dir`; `false` when it
    /// has done so before, or `dir` is no directory.
    pub(crate) fn mark_cleared(&mut self, dir: NodeId, layer: LayerIndex) -> bool {
        if self.cleared_by != layer {
            self.cleared.clear();
            self.cleared_by = layer;
        }
        self.is_dir(dir) && self.cleared.insert(dir)
    }

    /// Every name with its full path, in byte order of the paths, the root
    /// first. A directory precedes what is in it.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = vec![Path {
            path: Vec::new(),
            node: self.root(),
        }];
        let mut next = 0;
        while next < paths.len() {
            let dir = paths[next].clone();
            for (name, entry) in self.names(dir.node).into_iter().flatten() {
                let mut path = Vec::with_capacity(dir.path.len() + 1 + name.len());
                path.extend_from_slice(&dir.path);
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
                paths.push(Path {
                    path,
                    node: entry.node,
                });
            }
            next += 1;
        }
        paths.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        paths
    }
}
