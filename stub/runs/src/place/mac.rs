// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Mac's place for what programs keep.

use std::path::PathBuf;

pub(super) fn state(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    Some(variable("HOME")?.join("Library/Application Support/elfuse"))
}
