// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs of bundles that have a name: what the running program leaves for others to
//! find, and what they say to it.
//!
//! Each run has a directory below the user's state directory ([`place`]) with a record
//! ([`record`]), a log ([`log`]) and a socket ([`control`]). The program holds a lock on
//! its directory as long as it lives; so nobody takes a dead run for a living one, or
//! another process that got the same number. Used by the stub, which makes runs, and by
//! `elfuse-bundle ps|stop|logs|exec`. [`spare`] is what pruning means to both, and
//! [`options`] are those of a run, which can be baked into its bundle.
#![forbid(unsafe_code)]

pub mod control;
pub mod log;
pub mod options;
mod place;
pub mod record;
pub mod spare;
pub mod terminal;

use std::io;
use std::path::PathBuf;

pub use place::directory;
pub use record::{Claim, Found, Record};

/// What goes wrong with named runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing says where they are.
    #[error("find the directory of named runs: HOME is not set")]
    NoPlace,
    /// A name that cannot be a directory's.
    #[error("name a run {0:?}: a name has up to 32 letters, digits, dots, hyphens, underscores")]
    BadName(String),
    /// Somebody else runs under this name.
    #[error("name a run {0}: a run with this name goes on")]
    Taken(String),
    /// There is no run with this name.
    #[error("find run {0}: there is none with this name")]
    Unknown(String),
    /// The run has ended.
    #[error("reach run {0}: it has ended")]
    Ended(String),
    /// A file of a run.
    #[error("use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The program does not answer as it should.
    #[error("talk to run {name}: {source}")]
    Talk {
        /// Which run.
        name: String,
        /// What the host said.
        source: io::Error,
    },
}

impl RunError {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPlace => Some("set ELFUSE_STATE to a directory"),
            Self::Taken(_) => Some("elfuse-bundle stop NAME ends it; or choose another name"),
            Self::Unknown(_) | Self::Ended(_) => Some("elfuse-bundle ps --all lists what there is"),
            Self::File { .. } => Some("ELFUSE_STATE names another directory"),
            Self::BadName(_) | Self::Talk { .. } => None,
        }
    }
}

/// Is this a name that a run can have?
///
/// # Errors
/// [`RunError::BadName`].
pub fn check_name(name: &str) -> Result<(), RunError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_good = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_plain);
    if is_good {
        Ok(())
    } else {
        Err(RunError::BadName(name.to_owned()))
    }
}
