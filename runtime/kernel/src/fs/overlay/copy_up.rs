// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying a file of the lower layer into the upper one before it is changed.
//!
//! The copy is made without a name and linked into place when it is complete, so
//! that nobody meets half of it. The caller holds `names`. Linux 6.12
//! `fs/overlayfs/copy_up.c`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use linux_abi::Errno;

use super::node::OverlayNode;
use super::{Key, PRIVATE_PREFIX, set_origin, set_xattr};
use crate::file::{IoSource, SliceSource, VecSink};
use crate::vfs::{Inode, Kind, NewKind, NewNode, Regular, SetAttr, SetTime};

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// Gives `to` the owner, mode, attributes and times of `from`.
pub(super) fn copy_metadata(from: &Arc<dyn Inode>, to: &Arc<dyn Inode>) -> Result<(), Errno> {
    if let (Some(source), Some(_)) = (from.as_xattrs(), to.as_xattrs()) {
        let is_ours = |name: &Vec<u8>| name.starts_with(PRIVATE_PREFIX);
        for name in source.list()?.into_iter().filter(|name| !is_ours(name)) {
            match set_xattr(to, &name, &source.get(&name)?) {
                // Like overlayfs: what the upper layer cannot keep is left behind.
                Ok(()) | Err(Errno::EOPNOTSUPP) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let attr = from.attr()?;
    to.set_attr(&SetAttr {
        perm: (attr.kind != Kind::Symlink).then_some(attr.perm),
        uid: Some(attr.uid),
        gid: Some(attr.gid),
        atime: Some(SetTime::To(attr.atime)),
        mtime: Some(SetTime::To(attr.mtime)),
    })
}

fn copy_bytes(from: &dyn Regular, to: &dyn Regular, size: u64, keep: u64) -> Result<(), Errno> {
    let keep = keep.min(size);
    let mut pos = 0;
    while pos < keep {
        pos = match from.next_extent(pos, size, false) {
            Ok(data) => data,
            Err(Errno::ENXIO) => break,
            Err(error) => return Err(error),
        };
        let room = usize::try_from(keep.saturating_sub(pos))
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut chunk = VecSink::new(room);
        if from.read_at(&mut chunk, pos)? == 0 {
            break;
        }
        let chunk = chunk.into_inner();
        let mut source = SliceSource(&chunk);
        while source.remaining() > 0 {
            (_, pos) = to.write_at(&mut source, Some(pos))?;
        }
    }
    to.truncate(keep)
}

impl OverlayNode {
    /// Copies the file up, and the directories above it; of a regular file only
    /// the first `keep` bytes, when given. The caller holds `names`.
    pub(super) fn copy_up(&self, keep: Option<u64>) -> Result<Arc<dyn Inode>, Errno> {
        // From the file up to the first directory that is there already: a
        // list, because guests nest deeper than the host's stack.
        let mut chain = vec![self.this()?];
        loop {
            let Some(last) = chain.last() else {
                return Err(Errno::ESTALE);
            };
            if last.upper().is_some() {
                chain.pop();
                break;
            }
            let layers = last.layers.read().unwrap_or_else(PoisonError::into_inner);
            let (parent, _) = layers.home.as_ref().ok_or(Errno::ESTALE)?;
            let parent = parent.clone();
            drop(layers);
            chain.push(parent);
        }
        while let Some(node) = chain.pop() {
            node.copy_up_one(if chain.is_empty() { keep } else { None })?;
        }
        self.upper().ok_or(Errno::ESTALE)
    }

    fn copy_up_one(&self, keep: Option<u64>) -> Result<(), Errno> {
        let (lower, parent, name) = {
            let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
            let lower = layers.lower.clone().ok_or(Errno::ESTALE)?;
            let (parent, name) = layers.home.as_ref().ok_or(Errno::ESTALE)?;
            (lower, parent.clone(), name.clone())
        };
        let parent_upper = parent.upper().ok_or(Errno::ESTALE)?;
        let dir = parent_upper.as_dir().ok_or(Errno::ENOTDIR)?;
        let attr = lower.attr()?;
        let parent_times = parent_upper.attr()?;
        let caller = self.shared.caller();
        let is_homeless = self.is_homeless.load(Ordering::Relaxed);
        if is_homeless && attr.kind == Kind::Directory {
            return Err(Errno::ENOENT);
        }
        let is_unnamed = is_homeless || attr.kind == Kind::Regular;
        let kind = match attr.kind {
            Kind::Regular => NewKind::Regular,
            Kind::Directory => NewKind::Directory,
            Kind::Symlink => NewKind::Symlink(lower.read_link(&caller)?),
            Kind::Char => NewKind::Char(attr.rdev),
            Kind::Block => NewKind::Block(attr.rdev),
            Kind::Fifo => NewKind::Fifo,
            Kind::Socket => NewKind::Socket,
        };
        let node = NewNode {
            kind,
            perm: attr.perm,
            uid: attr.uid,
            gid: attr.gid,
        };
        let upper = if is_unnamed {
            dir.create_unnamed(&node)?
        } else {
            dir.create(&name, &node)?
        };
        if let Some((from, to)) = lower.as_regular().zip(upper.as_regular()) {
            copy_bytes(from, to, attr.size, keep.unwrap_or(u64::MAX))?;
        }
        copy_metadata(&lower, &upper)?;
        set_origin(&upper, attr.ino)?;
        if is_unnamed && !is_homeless {
            dir.link(&name, &upper)?;
        }
        // Copying up is no change of the directory: its times stay.
        parent_upper.set_attr(&SetAttr {
            atime: Some(SetTime::To(parent_times.atime)),
            mtime: Some(SetTime::To(parent_times.mtime)),
            ..SetAttr::default()
        })?;
        let me = self.this()?;
        self.shared.alias(Key::Upper(upper.attr()?.ino), &me);
        if attr.kind != Kind::Directory {
            let named = i64::from(!is_homeless);
            self.hidden_links
                .fetch_add(i64::from(attr.nlink) - named, Ordering::Relaxed);
        }
        if attr.kind != Kind::Directory && attr.nlink > 1 {
            self.shared.pin(attr.ino, &me);
        }
        self.layers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .upper = Some(upper);
        Ok(())
    }
}
