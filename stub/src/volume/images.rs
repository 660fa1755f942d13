// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disk images as the cache volume needs them: a seam of few methods.
//!
//! [`DiskImages`] is implemented by [`Hdiutil`](super::Hdiutil) on a Mac and by a fake
//! in the tests. Implementations decide nothing: each method is one request to the
//! system, and [`CacheVolume`](super::CacheVolume) reads the answers.

use std::io;
use std::path::{Path, PathBuf};

/// Why the system refuses.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The tool is not installed.
    #[error("run {0}: not on this machine")]
    NoTool(&'static str),
    /// Somebody uses the image or its volume. Often passes.
    #[error("{0}: the disk image is in use")]
    Busy(&'static str),
    /// The disk that holds the image is full.
    #[error("{0}: no space left on the disk")]
    NoSpace(&'static str),
    /// The image cannot be read as one.
    #[error("{verb}: the disk image is damaged: {said}")]
    Damaged {
        /// What was tried.
        verb: &'static str,
        /// What the system said.
        said: String,
    },
    /// The answer lacks what it always had.
    #[error("{verb}: read the answer: {missing}")]
    Answer {
        /// What was tried.
        verb: &'static str,
        /// What is not there, or not as expected.
        missing: &'static str,
    },
    /// No answer in time.
    #[error("{verb}: no answer for {seconds} s")]
    Hung {
        /// What was tried.
        verb: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// Anything else.
    #[error("{verb}: {said}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// What the system said, on one line.
        said: String,
    },
    /// The host's files or processes.
    #[error("{verb}: {source}")]
    Host {
        /// What was tried.
        verb: &'static str,
        /// What the host said.
        source: io::Error,
    },
}

/// An image that is attached as a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The image.
    pub image: PathBuf,
    /// The disk, such as `/dev/disk4`: what can be detached.
    pub device: String,
    /// The volume's container, such as `/dev/disk5`: what can be made larger.
    pub container: Option<String>,
    /// Where its volume is mounted; a disk without one is half attached.
    pub mount: Option<PathBuf>,
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What an ordinary user can still fill.
    pub free: u64,
}

/// Whether a volume may be taken from those who use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    /// Not while files are open.
    Gently,
    /// In any case: for disks without a volume.
    ByForce,
}

/// The system's disk images. Calls take seconds; several processes may make them at
/// the same time. Errors may be spurious ([`ImageError::Busy`]).
pub trait DiskImages {
    /// Makes the sparse image `image`, which does not exist, with a case-sensitive
    /// volume of up to `capacity` bytes.
    ///
    /// # Errors
    /// [`ImageError`]; parts of the image may exist.
    fn create(&self, image: &Path, capacity: u64) -> Result<(), ImageError>;

    /// Attaches `image` and mounts its volume at the empty directory `mount`.
    ///
    /// # Errors
    /// [`ImageError`]; [`ImageError::Answer`] leaves open whether it is attached.
    fn attach(&self, image: &Path, mount: &Path) -> Result<Attachment, ImageError>;

    /// How `image`, an absolute path without links, is attached, if it is.
    ///
    /// # Errors
    /// [`ImageError`].
    fn attached(&self, image: &Path) -> Result<Option<Attachment>, ImageError>;

    /// Unmounts and detaches a device.
    ///
    /// # Errors
    /// [`ImageError::Busy`] while files are open.
    fn detach(&self, device: &str, how: Detach) -> Result<(), ImageError>;

    /// Changes the capacity of an image that is not attached.
    ///
    /// # Errors
    /// [`ImageError`]; [`ImageError::Busy`] while it is attached.
    fn resize(&self, image: &Path, capacity: u64) -> Result<(), ImageError>;

    /// Makes the container of an attached image as large as the image.
    ///
    /// # Errors
    /// [`ImageError`].
    fn fill(&self, container: &str) -> Result<(), ImageError>;

    /// Gives what was deleted in an image that is not attached back to the disk.
    ///
    /// # Errors
    /// [`ImageError`].
    fn compact(&self, image: &Path) -> Result<(), ImageError>;

    /// The room on the file system at `path`.
    ///
    /// # Errors
    /// [`ImageError::Host`].
    fn space(&self, path: &Path) -> Result<Space, ImageError>;

    /// Whether another file system than its parent's is mounted at `path`.
    ///
    /// # Errors
    /// [`ImageError::Host`], unless nothing is there.
    fn is_mount_point(&self, path: &Path) -> Result<bool, ImageError>;
}
