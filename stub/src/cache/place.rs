// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the cache is: `ELFUSE_CACHE`, or the user's cache directory.

use std::path::PathBuf;

use crate::CacheError;

/// The directory of the cache, which may not exist yet.
pub(super) fn base() -> Result<PathBuf, CacheError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = variable("ELFUSE_CACHE") {
        return std::path::absolute(&dir).map_err(|source| CacheError::Directory {
            path: dir.into(),
            source,
        });
    }
    // Relative paths there are to be ignored, says the base directory standard.
    let xdg = variable("XDG_CACHE_HOME").map(PathBuf::from);
    if let Some(dir) = xdg.filter(|dir| dir.is_absolute()) {
        return Ok(dir.join("elfuse"));
    }
    let home = variable("HOME").map(PathBuf::from);
    let home = home.ok_or(CacheError::NoPlace)?;
    Ok(home.join(".cache/elfuse"))
}
