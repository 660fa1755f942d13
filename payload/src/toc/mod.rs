// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of contents of a layer: what the tar holds and where.
//!
//! [`Toc::encode`] and [`Toc::parse`] are exact inverses: there is one encoding
//! of a table, and what is not that encoding is refused. A parsed table is a
//! proper tree: sorted by path, every parent a directory, every hard link to an
//! earlier file, file contents in order and within the tar without overlap.
//! Extraction and the guest's file system rely on that.

mod codec;
mod error;
mod rules;

use crate::Digest;

pub use error::{Fault, TocError};

/// Longest path, as Linux has it (`PATH_MAX` without its final NUL).
pub const MAX_PATH: usize = 4095;
/// Longest name of one file, as Linux has it (`NAME_MAX`).
pub const MAX_NAME: usize = 255;
/// Longest value of an extended attribute, as Linux has it (`XATTR_SIZE_MAX`).
pub const MAX_XATTR_VALUE: usize = 65536;
/// Most entries of one layer.
pub const MAX_ENTRIES: usize = 1 << 21;
/// Most extended attributes of all entries of a layer together.
pub const MAX_XATTRS: usize = 1 << 22;
/// Longest encoded table.
pub const MAX_ENCODED: usize = 512 << 20;

/// A point in time: `secs` since 1970, rounded down, plus `nanos` below 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    pub secs: i64,
    /// Nanoseconds after `secs`.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Regular file; `offset`, `size` and `digest` describe its contents.
    File,
    /// Directory.
    Dir,
    /// Symbolic link to `link`.
    Symlink,
    /// Another name for the earlier entry whose path is `link`.
    Hardlink,
    /// Character device `device`.
    CharDevice,
    /// Block device `device`.
    BlockDevice,
    /// Named pipe.
    Fifo,
}

/// One name in the layer. Fields that do not belong to the kind are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw bytes, relative, without a slash at either end; the root is empty.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: `0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes, name and value, in byte order of their names.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Target of a symbolic link, or path of the entry that a hard link names.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Where a file's contents begin in the uncompressed tar.
    pub offset: u64,
    /// Length of a file's contents.
    pub size: u64,
    /// Digest of a file's contents; every file has one.
    pub digest: Option<Digest>,
}

/// The table of contents, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Toc {
    /// The entries; the first is the root directory.
    pub entries: Vec<Entry>,
}

impl Toc {
    /// Encodes the table for a tar of `tar_size` bytes.
    ///
    /// # Errors
    /// The entry that breaks a rule of the format.
    pub fn encode(&self, tar_size: u64) -> Result<Vec<u8>, TocError> {
        rules::check(&self.entries, tar_size)?;
        codec::encode(&self.entries)
    }

    /// Parses an encoded table of a tar of `tar_size` bytes.
    ///
    /// # Errors
    /// The first place that is not what [`Toc::encode`] writes.
    pub fn parse(bytes: &[u8], tar_size: u64) -> Result<Self, TocError> {
        let entries = codec::parse(bytes)?;
        rules::check(&entries, tar_size)?;
        Ok(Self { entries })
    }

    /// The entry with exactly this path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        rules::find(&self.entries, path)
    }
}

/// The path of the directory that holds `path`, and the name in it. The root
/// has neither.
#[must_use]
pub fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    })
}
