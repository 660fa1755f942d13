// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a table of contents.

use std::fmt;

/// A table of contents that breaks the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TocError {
    /// The bytes at `offset` of the encoded table are not what the format has.
    Encoding {
        /// Byte offset in the uncompressed table.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// Entry `index` breaks a rule.
    Entry {
        /// Position in the table.
        index: usize,
        /// Its path.
        path: Vec<u8>,
        /// The rule.
        fault: Fault,
    },
    /// More entries or extended attributes than the format allows.
    TooMany(usize),
    /// The encoded table would be longer than the format allows.
    TooLong(usize),
    /// There is no root directory.
    NoRoot,
}

/// A rule that an entry breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The path is absolute, has an empty, `.` or `..` component, a NUL, or
    /// is too long.
    #[error("path is not a plain relative path")]
    Path,
    /// The path does not sort after the one before it.
    #[error("path is out of order or repeated")]
    Order,
    /// The parent is missing or not a directory.
    #[error("parent is not a directory in the table")]
    Parent,
    /// Mode bits outside `0o7777`.
    #[error("mode has bits outside 07777")]
    Mode,
    /// A nanosecond count of a second or more.
    #[error("modification time has a second or more of nanoseconds")]
    Time,
    /// Extended attributes unsorted, repeated, unnamed or too long.
    #[error("extended attributes are unsorted, repeated or too long")]
    Xattr,
    /// An empty symbolic link, one with a NUL, or one too long.
    #[error("symbolic link target is empty, too long or has a NUL")]
    Symlink,
    /// A hard link to anything but an earlier entry that is not a directory.
    #[error("hard link does not name an earlier file of the table")]
    Hardlink,
    /// Contents outside the tar, or overlapping those of an earlier file.
    #[error("contents overlap others or lie outside the tar")]
    Contents,
    /// A file without a digest, or a field that does not belong to the kind.
    #[error("fields do not fit the kind of entry")]
    Fields,
}

impl fmt::Display for TocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("read table of contents: ")?;
        match self {
            Self::Encoding { offset, what } => write!(f, "byte {offset}: {what}"),
            Self::Entry { index, path, fault } => {
                // A hostile name may be long; its start identifies it.
                let shown = &path[..path.len().min(256)];
                write!(f, "entry {index} {}: {fault}", shown.escape_ascii())
            }
            Self::TooMany(count) => write!(
                f,
                "{count} entries or attributes are more than the format allows"
            ),
            Self::TooLong(length) => write!(f, "{length} bytes are more than the format allows"),
            Self::NoRoot => f.write_str("there is no root directory"),
        }
    }
}

impl std::error::Error for TocError {}
