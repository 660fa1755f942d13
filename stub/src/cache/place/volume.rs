// SPDX-License-Identifier: MIT OR Apache-2.0
//! The case-sensitive volume in the Mac user's cache directory.

use std::path::PathBuf;

use super::{directory, named};
use crate::CacheError;
use crate::volume::{CacheVolume, Hdiutil, VolumeError};

/// The cache directory below the user's home.
pub(super) const BELOW_HOME: &str = "Library/Caches/elfuse";

/// Room that the volume has for an image; it is enlarged where it can be.
const HEADROOM: u64 = 16 << 30;

/// Attaches the volume in `directory`.
pub(super) fn trees(directory: PathBuf) -> Result<PathBuf, CacheError> {
    let images = Hdiutil::default();
    let volume = CacheVolume::new(&images, &directory)?;
    let mounted = volume.attach_with_headroom(HEADROOM)?;
    if let Some(aside) = mounted.set_aside {
        let aside = aside.display();
        eprintln!("elfuse: the cache volume was damaged: moved to {aside}, made anew");
    }
    Ok(mounted.path)
}

/// Detaches the volume, unless the cache is a directory that the user names.
pub(crate) fn detach() -> Result<(), CacheError> {
    if named()?.is_some() {
        return Err(CacheError::NoVolume);
    }
    let images = Hdiutil::default();
    Ok(CacheVolume::new(&images, &directory()?)?.detach()?)
}

/// Gives deleted files' space back to the disk, unless a bundle uses the volume.
pub(crate) fn compact() -> Result<(), CacheError> {
    if named()?.is_some() {
        return Ok(());
    }
    let images = Hdiutil::default();
    match CacheVolume::new(&images, &directory()?)?.compact() {
        Ok(()) | Err(VolumeError::InUse { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
