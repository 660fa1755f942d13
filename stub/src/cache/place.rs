// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the cache is: `ELFUSE_CACHE`, or the user's cache directory. On a Mac
//! the directory's own volume ignores case, so the trees are in the volume of
//! [`crate::volume`] below it; a directory that the user names is taken as it is.

use std::path::PathBuf;

use crate::CacheError;

#[cfg_attr(target_os = "macos", path = "place/volume.rs")]
#[cfg_attr(not(target_os = "macos"), path = "place/plain.rs")]
mod kind;

pub(super) use kind::{compact, detach};

/// The directory for the trees, which may not exist yet.
pub(super) fn base() -> Result<PathBuf, CacheError> {
    match named()? {
        Some(dir) => Ok(dir),
        None => kind::trees(directory()?),
    }
}

/// The directory of the cache, which may not exist yet.
pub(crate) fn directory() -> Result<PathBuf, CacheError> {
    if let Some(dir) = named()? {
        return Ok(dir);
    }
    // Relative paths there are to be ignored, says the base directory standard.
    let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from);
    if let Some(dir) = xdg.filter(|dir| dir.is_absolute()) {
        return Ok(dir.join("elfuse"));
    }
    let home = variable("HOME").map(PathBuf::from);
    Ok(home.ok_or(CacheError::NoPlace)?.join(kind::BELOW_HOME))
}

/// The directory that the user names.
fn named() -> Result<Option<PathBuf>, CacheError> {
    let Some(dir) = variable("ELFUSE_CACHE") else {
        return Ok(None);
    };
    let absolute = std::path::absolute(&dir);
    absolute.map(Some).map_err(|source| CacheError::Directory {
        path: dir.into(),
        source,
    })
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
