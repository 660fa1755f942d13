// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where runs are recorded: `ELFUSE_STATE`, or the user's directory for the state of
//! programs.

use std::path::PathBuf;

use crate::RunError;

#[cfg_attr(target_os = "macos", path = "place/mac.rs")]
#[cfg_attr(not(target_os = "macos"), path = "place/xdg.rs")]
mod kind;

/// The directory that has one directory for each run; it may not exist yet.
///
/// # Errors
/// [`RunError::NoPlace`].
pub fn directory() -> Result<PathBuf, RunError> {
    let base = variable("ELFUSE_STATE").or_else(|| kind::state(&variable));
    let base = base.ok_or(RunError::NoPlace)?;
    Ok(base.join("runs"))
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    std::path::absolute(value).ok()
}
