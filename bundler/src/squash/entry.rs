// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a layer says about one name, free of any archive format.
//!
//! [`Entry`] is produced by scanning a layer (or by a transform) and consumed
//! by [`super::tree::Tree`]. Contents are not in memory: [`Content`] says
//! where they lie.

use std::collections::BTreeMap;
use std::fmt;

use elfuse_payload::Digest;
pub use elfuse_payload::toc::Timestamp;

/// Extended attributes by name, in name order.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything about a file but its type and contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Meta {
    /// A directory that no layer describes: root's, searchable, from 1970.
    #[must_use]
    pub fn implicit_dir() -> Self {
        Self {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Timestamp { secs: 0, nanos: 0 },
            xattrs: Xattrs::new(),
        }
    }
}

/// Where the bytes of a regular file are kept until they are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Index of the source in the squash's list.
    pub source: u32,
    /// First byte within the source.
    pub offset: u64,
    /// Length in bytes, holes included.
    pub size: u64,
    /// Of the bytes.
    pub digest: Digest,
}

/// The type of an entry, with what belongs to that type only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File(Content),
    /// Directory.
    Dir,
    /// Symbolic link to the given target.
    Symlink(Vec<u8>),
    /// Another name for the file that the given path names.
    Hardlink(Vec<u8>),
    /// Character device, major and minor number.
    CharDevice(u32, u32),
    /// Block device, major and minor number.
    BlockDevice(u32, u32),
    /// Named pipe.
    Fifo,
}

/// One entry of a layer, its path as the layer spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw bytes of the name.
    pub path: Vec<u8>,
    /// Type and contents.
    pub kind: Kind,
    /// The rest.
    pub meta: Meta,
}

/// An entry's name in a message: bytes that do not print are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub Vec<u8>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hostile name may be a megabyte long; its start identifies it.
        let shown = &self.0[..self.0.len().min(512)];
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.0.len() {
            f.write_str("...")
        } else {
            Ok(())
        }
    }
}
