// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options that cannot be followed. None is ever ignored.

use std::ffi::OsString;

/// What is wrong with an option.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// An option that this version does not have.
    #[error("read option {0:?}: no such option")]
    Unknown(OsString),
    /// An option of other container tools that bundles do not have.
    #[error("read option --{0}: not supported: {1}")]
    Refused(&'static str, &'static str),
    /// An option at the end that needs one more word.
    #[error("read option --{0}: {1} must follow")]
    MissingValue(&'static str, &'static str),
    /// A value that makes no sense.
    #[error("read option --{option} {value:?}: {why}")]
    Bad {
        /// The option.
        option: &'static str,
        /// Its value.
        value: OsString,
        /// What was expected.
        why: &'static str,
    },
    /// `ELFUSE_OPTS` has a word that is not an option.
    #[error("read ELFUSE_OPTS: {0:?} is not an option")]
    EnvironmentNotOption(OsString),
    /// The defaults in the bundle have a word that is not an option.
    #[error("read the bundle's own options: {0:?} is not an option")]
    BakedNotOption(OsString),
}
