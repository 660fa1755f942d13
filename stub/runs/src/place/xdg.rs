// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place that the base directory standard has for state.

use std::path::PathBuf;

pub(super) fn state(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let base = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    Some(base?.join("elfuse"))
}
