// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image's tree as the guest's lower layer: everything about names, kinds,
//! owners, modes, links, devices and attributes comes from the table of contents
//! in memory; the unpacked tree on the host gives only the bytes of regular files,
//! which are reached under escaped names. So looking around makes no host calls,
//! and what the host's file system cannot store is exact all the same. A file that
//! is missing or changed on the host is repaired from the payload ([`repair`]).

mod index;
mod repair;

use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use elfuse_machine::host::{
    HostDir, HostEntry, HostFile, HostFsStat, HostNode, HostOpen, HostSetAttr, HostStat,
    HostXattrs, open_root,
};
use elfuse_payload::extract::host_name;
use elfuse_payload::layer::LayerReader;
use linux_abi::Errno;

use crate::cache::CachedImage;
use index::{Index, NodeId};

/// What all directories of one tree share.
struct Tree {
    index: Index,
    layer: LayerReader,
    /// When the unpacked tree was complete.
    finished: SystemTime,
    root: Arc<dyn HostDir>,
    /// Keeps the image in the cache.
    _image: Option<Arc<CachedImage>>,
}

/// One directory of the image. Clones share it.
#[derive(Clone)]
pub(crate) struct ImageDir {
    tree: Arc<Tree>,
    node: NodeId,
    parent: Option<Arc<ImageDir>>,
    host: Arc<OnceLock<Arc<dyn HostDir>>>,
}

/// The root directory of an unpacked image.
///
/// # Errors
/// What opening the unpacked tree answers.
pub(crate) fn root(image: CachedImage) -> Result<Arc<ImageDir>, Errno> {
    let root = open_root(&image.tree)?;
    let tree = Tree {
        index: Index::new(&image.toc),
        layer: image.layer.clone(),
        finished: image.finished,
        root,
        _image: Some(Arc::new(image)),
    };
    Ok(ImageDir::root(tree))
}

impl ImageDir {
    fn root(tree: Tree) -> Arc<Self> {
        Arc::new(Self {
            node: tree.index.root(),
            host: Arc::new(OnceLock::from(Arc::clone(&tree.root))),
            tree: Arc::new(tree),
            parent: None,
        })
    }

    /// This directory on the host, opened when it is first needed.
    fn host(&self) -> Result<Arc<dyn HostDir>, Errno> {
        if let Some(host) = self.host.get() {
            return Ok(Arc::clone(host));
        }
        let parent = self.parent.as_ref().ok_or(Errno::EIO)?.host()?;
        let name = host_name(self.tree.index.name(self.node));
        let opened = match parent.open_dir(&name) {
            Err(Errno::ENOENT) => {
                parent.make(&name, &HostNode::Directory, 0o700)?;
                parent.open_dir(&name)?
            }
            opened => opened?,
        };
        Ok(Arc::clone(self.host.get_or_init(|| opened)))
    }

    fn child(&self, name: &[u8]) -> Result<NodeId, Errno> {
        self.tree.index.child(self.node, name).ok_or(Errno::ENOENT)
    }
}

impl HostDir for ImageDir {
    fn open_dir(&self, name: &[u8]) -> Result<Arc<dyn HostDir>, Errno> {
        let node = self.child(name)?;
        if !self.tree.index.is_dir(node) {
            return Err(Errno::ENOTDIR);
        }
        Ok(Arc::new(Self {
            tree: Arc::clone(&self.tree),
            node,
            parent: Some(Arc::new(self.clone())),
            host: Arc::default(),
        }))
    }

    fn open_file(&self, name: &[u8], how: HostOpen) -> Result<Arc<dyn HostFile>, Errno> {
        if how != HostOpen::Read {
            return Err(Errno::EROFS);
        }
        let node = self.child(name)?;
        let entry = self.tree.index.file(node).ok_or(Errno::EINVAL)?;
        let bytes = repair::open(
            &*self.host()?,
            &host_name(name),
            entry,
            &self.tree.layer,
            self.tree.finished,
        )?;
        Ok(Arc::new(ImageFile {
            bytes,
            stat: self.tree.index.stat(node),
        }))
    }

    fn stat(&self, name: Option<&[u8]>) -> Result<HostStat, Errno> {
        let node = match name {
            Some(name) => self.child(name)?,
            None => self.node,
        };
        Ok(self.tree.index.stat(node))
    }

    fn list(&self) -> Result<Vec<HostEntry>, Errno> {
        Ok(self.tree.index.list(self.node))
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let node = self.child(name)?;
        self.tree.index.link(node).ok_or(Errno::EINVAL)
    }

    fn xattrs(&self, name: Option<&[u8]>) -> Result<HostXattrs, Errno> {
        let node = name.map_or(Ok(self.node), |name| self.child(name))?;
        Ok(self.tree.index.xattrs(node))
    }

    fn fs_stat(&self) -> Result<HostFsStat, Errno> {
        self.tree.root.fs_stat()
    }

    fn make(&self, _name: &[u8], _node: &HostNode, _perm: u32) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn link(&self, _name: &[u8], _to: &dyn HostDir, _new_name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn rename(
        &self,
        _name: &[u8],
        _to: &dyn HostDir,
        _new_name: &[u8],
        _exchange: bool,
    ) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn remove(&self, _name: &[u8], _is_dir: bool) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn set_attr(&self, _name: Option<&[u8]>, _change: &HostSetAttr) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}

/// A regular file: bytes from the host, everything else from the image.
struct ImageFile {
    bytes: Arc<dyn HostFile>,
    stat: HostStat,
}

impl HostFile for ImageFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> Result<usize, Errno> {
        self.bytes.read_at(buf, pos)
    }

    fn write_at(&self, _data: &[u8], _pos: u64) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn set_size(&self, _size: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn stat(&self) -> Result<HostStat, Errno> {
        Ok(self.stat)
    }

    fn next_extent(&self, pos: u64, is_hole: bool) -> Result<u64, Errno> {
        self.bytes.next_extent(pos, is_hole)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bytes.as_fd()
    }
}

#[cfg(test)]
mod tests;
