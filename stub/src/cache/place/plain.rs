// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plain directory: this system's file systems tell upper from lower case.

use std::path::PathBuf;

use crate::CacheError;

/// The cache directory below the user's home.
pub(super) const BELOW_HOME: &str = ".cache/elfuse";

/// The directory for the trees is the cache itself.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a Mac's volume can fail to be attached"
)]
pub(super) fn trees(directory: PathBuf) -> Result<PathBuf, CacheError> {
    Ok(directory)
}

/// There is nothing that could be detached.
pub(crate) fn detach() -> Result<(), CacheError> {
    Err(CacheError::NoVolume)
}

/// Deleted files' space is free at once.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a Mac's volume can fail to be compacted"
)]
pub(crate) fn compact() -> Result<(), CacheError> {
    Ok(())
}
