// SPDX-License-Identifier: MIT OR Apache-2.0
//! The overlay: a writable layer above a read-only one.
//!
//! The format of the upper layer is overlayfs': whiteouts are character devices
//! 0:0, directories that hide what is below carry `trusted.overlay.opaque`,
//! moved directories `trusted.overlay.redirect` (so a directory of the lower
//! layer can be renamed), copied-up files `trusted.overlay.origin` with the inode
//! number they keep. Hard links of the lower layer stay together when one name is
//! copied up. Lock order: `names` (all changes of names and copy-up), then a
//! node's `layers`, then the layers' own locks. Linux 6.12 `fs/overlayfs`.

mod copy_up;
mod dir;
mod node;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;

pub use node::OverlayNode;

use crate::file::Caller;
use crate::vfs::{FileSystem, FsCred, FsStat, Inode, Kind, XattrSet};

/// Attribute of a directory that hides what is below.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// Attribute of a moved directory: its path in the lower layer.
const REDIRECT: &[u8] = b"trusted.overlay.redirect";
/// Attribute of a copied-up file: the inode number it had below.
const ORIGIN: &[u8] = b"trusted.overlay.origin";
/// Attributes of the overlay itself, which the guest does not see.
const PRIVATE_PREFIX: &[u8] = b"trusted.overlay.";
/// Inode numbers of files that exist only above start here.
const UPPER_INO_BASE: u64 = 1 << 32;
/// `statfs` magic of overlayfs.
const OVERLAY_MAGIC: u32 = 0x794c_7630;

/// Which layer an inode is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Lower(u64),
    Upper(u64),
}

/// What the nodes of one overlay share.
struct Shared {
    dev: u64,
    cred: FsCred,
    lower_root: Arc<dyn Inode>,
    names: Mutex<()>,
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    live: HashMap<Key, Weak<OverlayNode>>,
    /// Copied-up files with other names below: they must stay one file.
    pinned: HashMap<u64, Arc<OverlayNode>>,
    sweep_at: usize,
}

impl Shared {
    fn caller(&self) -> Caller<'_> {
        Caller::kernel(&self.cred)
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node known by `key`, or the one that `make` makes.
    fn intern(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Arc<OverlayNode>, Errno>,
    ) -> Result<Arc<OverlayNode>, Errno> {
        if let Some(node) = self.nodes().live.get(&key).and_then(Weak::upgrade) {
            return Ok(node);
        }
        let node = make()?;
        let mut nodes = self.nodes();
        if let Some(other) = nodes.live.get(&key).and_then(Weak::upgrade) {
            drop(nodes);
            return Ok(other);
        }
        if nodes.live.len() >= nodes.sweep_at.max(1024) {
            nodes.live.retain(|_, weak| weak.strong_count() > 0);
            nodes.sweep_at = nodes.live.len() * 2;
        }
        nodes.live.insert(key, Arc::downgrade(&node));
        Ok(node)
    }

    /// Makes `node` known by another key too.
    fn alias(&self, key: Key, node: &Arc<OverlayNode>) {
        self.nodes().live.insert(key, Arc::downgrade(node));
    }

    fn pin(&self, lower_ino: u64, node: &Arc<OverlayNode>) {
        self.nodes().pinned.insert(lower_ino, node.clone());
    }

    fn lower_at(&self, path: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let caller = self.caller();
        let mut at = self.lower_root.clone();
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            let next = at.as_dir().ok_or(Errno::ENOTDIR)?.lookup(&caller, name)?;
            at = next;
        }
        Ok(at)
    }
}

/// An overlay of two layers.
pub struct OverlayFs {
    shared: Arc<Shared>,
    upper: Arc<dyn FileSystem>,
    /// Kept alive: the nodes refer to its files only.
    _lower: Arc<dyn FileSystem>,
    root: Arc<OverlayNode>,
}

impl OverlayFs {
    /// Puts `upper`, whose root holds nothing but an upper layer, above `lower`.
    /// A fresh upper root takes the attributes of the lower root.
    ///
    /// # Errors
    /// What reading the roots answers.
    pub fn new(
        dev: u64,
        upper: Arc<dyn FileSystem>,
        lower: &Arc<dyn FileSystem>,
    ) -> Result<Arc<Self>, Errno> {
        let shared = Arc::new(Shared {
            dev,
            cred: FsCred::root(),
            lower_root: lower.root(),
            names: Mutex::new(()),
            nodes: Mutex::default(),
        });
        let upper_root = upper.root();
        let is_fresh = upper_root
            .as_xattrs()
            .is_some_and(|x| matches!(x.get(ORIGIN), Err(Errno::ENODATA)));
        if is_fresh {
            copy_up::copy_metadata(&shared.lower_root, &upper_root)?;
            set_origin(&upper_root, shared.lower_root.attr()?.ino)?;
        }
        let root = OverlayNode::root(&shared, upper_root)?;
        Ok(Arc::new(Self {
            shared,
            upper,
            _lower: lower.clone(),
            root,
        }))
    }
}

impl FileSystem for OverlayFs {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn stat(&self) -> FsStat {
        FsStat {
            magic: OVERLAY_MAGIC,
            ..self.upper.stat()
        }
    }

    fn dev(&self) -> u64 {
        self.shared.dev
    }

    fn sync(&self) -> Result<(), Errno> {
        self.upper.sync()
    }
}

impl Drop for OverlayFs {
    fn drop(&mut self) {
        // Pinned nodes hold the shared state that holds them.
        let pinned = std::mem::take(&mut self.shared.nodes().pinned);
        drop(pinned);
    }
}

fn is_whiteout(inode: &Arc<dyn Inode>) -> Result<bool, Errno> {
    Ok(inode.kind() == Kind::Char && inode.attr()?.rdev == 0)
}

fn xattr(inode: &Arc<dyn Inode>, name: &[u8]) -> Option<Vec<u8>> {
    inode.as_xattrs()?.get(name).ok()
}

fn is_opaque(dir: &Arc<dyn Inode>) -> bool {
    xattr(dir, OPAQUE).as_deref() == Some(b"y")
}

fn set_xattr(inode: &Arc<dyn Inode>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    inode
        .as_xattrs()
        .ok_or(Errno::EOPNOTSUPP)?
        .set(name, value, XattrSet::Any)
}

fn set_origin(inode: &Arc<dyn Inode>, ino: u64) -> Result<(), Errno> {
    set_xattr(inode, ORIGIN, &ino.to_le_bytes())
}

fn origin(inode: &Arc<dyn Inode>) -> Option<u64> {
    xattr(inode, ORIGIN)?
        .try_into()
        .ok()
        .map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
