// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the cache volume cannot be used, and what the user can do about it.

use std::io;
use std::path::PathBuf;

use super::images::ImageError;

/// A failure of the cache volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The system's disk images.
    #[error("attach the cache volume {}: {source}", image.display())]
    Image {
        /// The volume's image.
        image: PathBuf,
        /// What the system said.
        source: ImageError,
    },
    /// Something that is not ours is where the volume belongs.
    #[error("use {} for the cache volume: {why}", path.display())]
    Foreign {
        /// What is in the way; it was not touched.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// The volume's directory, or its lock.
    #[error("{doing} {}: {source}", path.display())]
    Host {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The volume must be detached, and somebody uses it.
    #[error("detach the cache volume {}: it is in use", mount.display())]
    InUse {
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// The disk below the volume is too full.
    #[error("make room in the cache: {needed} bytes are needed, {free} are free on the disk")]
    DiskFull {
        /// What was asked for.
        needed: u64,
        /// What the disk has.
        free: u64,
    },
    /// The volume has not become larger.
    #[error("make the cache volume larger: it has {total} bytes, {wanted} were asked for")]
    NotGrown {
        /// Its size still.
        total: u64,
        /// What it should have.
        wanted: u64,
    },
}

impl VolumeError {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Image { source, .. } => image_hint(source),
            Self::Foreign { .. } => {
                "move it away, or set ELFUSE_CACHE to a directory of your own for the cache"
            }
            Self::Host { .. } => "check the directory's owner and permissions, and the free space",
            Self::InUse { .. } => "stop the bundles that run (elfuse-bundle ps), then try again",
            Self::DiskFull { .. } => {
                "free space on the disk, or remove old trees: --elfuse-cache prune"
            }
            Self::NotGrown { .. } => {
                "stop all bundles, then run with --elfuse-cache detach, and try again"
            }
        }
    }
}

fn image_hint(error: &ImageError) -> &'static str {
    match error {
        ImageError::NoTool(_) => {
            "macOS has it at /usr/bin/hdiutil; set ELFUSE_CACHE to a directory on a \
             case-sensitive volume to do without"
        }
        ImageError::Busy(_) | ImageError::Hung { .. } => {
            "try again; if it stays so, eject elfuse-cache in Disk Utility"
        }
        ImageError::NoSpace(_) => "free space on the disk",
        ImageError::Damaged { .. } => "move the image away; it is made anew",
        ImageError::Answer { .. } => {
            "this macOS answers in a new way: look for a newer version, and report this"
        }
        ImageError::Refused { .. } | ImageError::Host { .. } => {
            "--elfuse-doctor checks the cache volume"
        }
    }
}
