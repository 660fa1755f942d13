// SPDX-License-Identifier: MIT OR Apache-2.0
//! The OCI rules by which an entry of a layer changes the tree.
//!
//! An entry replaces what has its name, except that a directory over a
//! directory only changes its attributes. A whiteout hides what lower layers put
//! under a name, wherever it stands among its layer's entries; the opaque
//! whiteout does so for everything in its directory. Differences from umoci are
//! listed in docs/squash.md.

use super::entry::{Entry, Kind, Meta};
use super::error::Problem;
use super::tree::{Body, LayerIndex, Name, Names, Node, NodeId, Tree};
use super::walk::{PATH_MAX, split};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What ustar's device fields hold; Linux has fewer bits in both.
const MAX_DEVICE: u32 = 0o7_777_777;

impl Tree {
    /// Applies one entry of layer number `layer`. Entries must come in the
    /// layer's order, layers from the lowest up.
    ///
    /// # Errors
    /// What is wrong with the entry; the tree must not be used then.
    pub fn apply(&mut self, layer: LayerIndex, entry: Entry) -> Result<(), Problem> {
        let parts = split(&entry.path)?;
        let Some((&name, dirs)) = parts.split_last() else {
            return self.apply_root(entry);
        };
        if dirs.iter().any(|dir| dir.starts_with(WHITEOUT)) {
            return Err(Problem::ReservedName);
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let is_opaque = name == OPAQUE;
            return self.white_out(layer, dirs, (!is_opaque).then_some(hidden));
        }
        let dir = self.make_dir(dirs, layer)?;
        let node = self.place(dir, name, entry.kind, entry.meta)?;
        self.insert(dir, name, node, layer);
        Ok(())
    }

    /// The node that the entry's name is to refer to.
    fn place(
        &mut self,
        dir: NodeId,
        name: &[u8],
        kind: Kind,
        meta: Meta,
    ) -> Result<NodeId, Problem> {
        let body = match kind {
            Kind::Hardlink(target) => return self.link_target(&target),
            Kind::Dir => {
                if let Some(old) = self.lookup(dir, name).filter(|old| self.is_dir(old.node)) {
                    self.node_mut(old.node).meta = meta;
                    return Ok(old.node);
                }
                Body::Dir(Names::new())
            }
            Kind::File(content) => Body::File(content),
            Kind::Symlink(target) => Body::Symlink(symlink_target(target)?),
            Kind::CharDevice(major, minor) => {
                let (major, minor) = device(major, minor)?;
                Body::CharDevice(major, minor)
            }
            Kind::BlockDevice(major, minor) => {
                let (major, minor) = device(major, minor)?;
                Body::BlockDevice(major, minor)
            }
            Kind::Fifo => Body::Fifo,
        };
        Ok(self.add(Node { meta, body }))
    }

    fn apply_root(&mut self, entry: Entry) -> Result<(), Problem> {
        if entry.kind != Kind::Dir {
            return Err(Problem::RootNotDir);
        }
        let root = self.root();
        self.node_mut(root).meta = entry.meta;
        Ok(())
    }

    /// The file a hard link names. Its parents are walked through links, the
    /// last part is not: a link to a symbolic link is another name for it.
    fn link_target(&self, target: &[u8]) -> Result<NodeId, Problem> {
        if target.starts_with(b"/") {
            return Err(Problem::AbsoluteLink);
        }
        let parts = split(target)?;
        let (&name, dirs) = parts.split_last().ok_or(Problem::LinkToDir)?;
        let found = self.find_dir(dirs)?.and_then(|dir| self.lookup(dir, name));
        let node = found.ok_or(Problem::LinkTargetMissing)?.node;
        if self.is_dir(node) {
            Err(Problem::LinkToDir)
        } else {
            Ok(node)
        }
    }

    /// Hides `hidden` in the directory, or everything in it.
    fn white_out(
        &mut self,
        layer: LayerIndex,
        dirs: &[&[u8]],
        hidden: Option<&[u8]>,
    ) -> Result<(), Problem> {
        if let Some(name) = hidden
            && (matches!(name, b"" | b"." | b"..") || name.starts_with(WHITEOUT))
        {
            return Err(Problem::WhiteoutName);
        }
        let Some(dir) = self.find_dir(dirs)? else {
            // Nothing is there to be hidden.
            return Ok(());
        };
        match hidden {
            Some(name) => self.hide(dir, name, layer),
            None => self.hide_all(dir, layer),
        }
        Ok(())
    }

    /// Once cleared, a directory gets names of this layer only, so a second
    /// visit finds nothing: hostile repetition stays linear.
    fn hide_all(&mut self, dir: NodeId, layer: LayerIndex) {
        if !self.mark_cleared(dir, layer) {
            return;
        }
        let names: Vec<_> = self
            .names(dir)
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.hide(dir, &name, layer);
        }
    }

    /// Removes what lower layers put at a name. A lower directory that holds
    /// something of this layer stays for its sake, without its attributes.
    fn hide(&mut self, dir: NodeId, name: &[u8], layer: LayerIndex) {
        let Some(Name { node, layer: owner }) = self.lookup(dir, name) else {
            return;
        };
        self.hide_all(node, layer);
        if owner == layer {
            return;
        }
        if self.names(node).is_some_and(|names| !names.is_empty()) {
            self.node_mut(node).meta = Meta::implicit_dir();
            self.insert(dir, name, node, layer);
        } else {
            self.remove(dir, name);
        }
    }
}

fn symlink_target(target: Vec<u8>) -> Result<Box<[u8]>, Problem> {
    if target.contains(&0) {
        return Err(Problem::NulInName);
    }
    if target.is_empty() || target.len() > PATH_MAX {
        return Err(Problem::SymlinkTarget);
    }
    Ok(target.into())
}

fn device(major: u32, minor: u32) -> Result<(u32, u32), Problem> {
    if major.max(minor) > MAX_DEVICE {
        Err(Problem::DeviceNumber)
    } else {
        Ok((major, minor))
    }
}
