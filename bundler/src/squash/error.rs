// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong in a squash, always with the layer and the entry at fault.

use std::path::PathBuf;

use elfuse_payload::Digest;

use super::entry::Name;
use super::limits::Excess;
use super::tar::TarError;

/// Why an entry of a layer cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The name or a link's target has a `..` part.
    #[error("the name contains `..`")]
    DotDot,
    /// A name or target with a NUL byte.
    #[error("the name contains a NUL byte")]
    NulInName,
    /// A part of more than 255 bytes.
    #[error("a part of the name is longer than 255 bytes")]
    NameTooLong,
    /// A path of more than 4095 bytes, links resolved.
    #[error("the path is longer than 4095 bytes")]
    PathTooLong,
    /// Too many symbolic links on the way.
    #[error("too many symbolic links on the way")]
    LinkLoop,
    /// A parent exists and is neither a directory nor a link to one.
    #[error("a parent is not a directory")]
    ParentNotDir,
    /// `/` may only be a directory.
    #[error("the root directory cannot become another type of file")]
    RootNotDir,
    /// A part other than the last begins with `.wh.`.
    #[error("the prefix `.wh.` is reserved for whiteouts")]
    ReservedName,
    /// A whiteout of nothing, `.`, `..` or another whiteout.
    #[error("the whiteout does not name a file")]
    WhiteoutName,
    /// A hard link's target begins with `/`.
    #[error("the target of the hard link is absolute")]
    AbsoluteLink,
    /// A hard link to something that does not exist here.
    #[error("the target of the hard link does not exist")]
    LinkTargetMissing,
    /// A hard link to a directory.
    #[error("the target of the hard link is a directory")]
    LinkToDir,
    /// An empty symbolic link, or one of more than 4095 bytes.
    #[error("the target of the symbolic link is empty or too long")]
    SymlinkTarget,
    /// A device number beyond 21 bits.
    #[error("the device number is out of range")]
    DeviceNumber,
}

/// Why a squash failed. Nothing it wrote may be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SquashError {
    /// The layer's blob cannot be read or decompressed.
    #[error("read layer {layer}: {source}")]
    Read {
        /// The layer's digest.
        layer: Digest,
        /// The cause.
        source: std::io::Error,
    },
    /// The blob is shorter or longer than the manifest says.
    #[error("check layer {layer}: it is {} than the {expected} bytes of the manifest", than(*.actual, *.expected))]
    Size {
        /// The layer's digest.
        layer: Digest,
        /// From the manifest.
        expected: u64,
        /// Bytes that were read; of a longer one, one more than expected.
        actual: u64,
    },
    /// The blob does not have the digest that names it.
    #[error("check layer {layer}: its digest is {actual}")]
    Blob {
        /// The layer's digest.
        layer: Digest,
        /// Of what was read.
        actual: Digest,
    },
    /// The uncompressed layer is not what the image configuration names.
    #[error(
        "check layer {layer}: uncompressed digest is {actual}, the configuration says {expected}"
    )]
    DiffId {
        /// The layer's digest.
        layer: Digest,
        /// From the configuration.
        expected: Digest,
        /// Of what the layer decompresses to.
        actual: Digest,
    },
    /// The layer is not a tar archive we can read.
    #[error("read layer {layer}: {}at byte {at}: {source}", after(.entry))]
    Archive {
        /// The layer's digest.
        layer: Digest,
        /// The last entry begun, empty before the first.
        entry: Name,
        /// Offset in the uncompressed layer.
        at: u64,
        /// The cause.
        source: TarError,
    },
    /// An entry breaks the rules of layers.
    #[error("apply layer {layer}: entry {entry}: {problem}")]
    Entry {
        /// The layer's digest.
        layer: Digest,
        /// The entry's name.
        entry: Name,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The image is larger than the limits allow.
    #[error(
        "read layer {layer}: entry {entry}: {excess}\nhint: --no-limits accepts it if you trust the image"
    )]
    Limit {
        /// The layer's digest.
        layer: Digest,
        /// The entry that goes over the limit.
        entry: Name,
        /// Which limit.
        excess: Excess,
    },
    /// A scratch file cannot be written or read.
    #[error("use scratch space in {}: {source}", .dir.display())]
    Scratch {
        /// The scratch directory.
        dir: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A change the user asked for cannot be made.
    #[error(transparent)]
    Transform(#[from] crate::transform::TransformError),
    /// The squashed layer cannot be written.
    #[error("write squashed layer: {0}")]
    Write(#[source] std::io::Error),
}

fn than(actual: u64, expected: u64) -> &'static str {
    if actual < expected {
        "shorter"
    } else {
        "longer"
    }
}

fn after(entry: &Name) -> String {
    if entry.0.is_empty() {
        String::new()
    } else {
        format!("after entry {entry}: ")
    }
}
