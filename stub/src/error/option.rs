// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options that cannot be followed. None is ever ignored.

use std::ffi::OsString;
use std::path::PathBuf;

use elfuse_runs::options::WrongOption;

/// What is wrong with an option.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// Words that no bundle takes.
    #[error("read option {0}")]
    Wrong(#[from] WrongOption),
    /// An option that bundles have, but not here.
    #[error("read option --{0}: not supported: {1}")]
    Refused(&'static str, &'static str),
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
    /// A file of options that cannot be read.
    #[error("read options from {}: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A line of a file of options that cannot be followed.
    #[error("{}: line {line}: {source}", path.display())]
    ConfigLine {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<OptionError>,
    },
    /// `ELFUSE_OPTS` has a word that is not an option.
    #[error("read ELFUSE_OPTS: {0:?} is not an option")]
    EnvironmentNotOption(OsString),
    /// The defaults in the bundle have a word that is not an option.
    #[error("read the bundle's own options: {0:?} is not an option")]
    BakedNotOption(OsString),
}
