// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong in the stub itself: one message that says what and
//! where, and where the user can act, a hint.

mod option;
mod start;

use std::io;
use std::path::PathBuf;

use elfuse_payload::extract::ExtractError;
use elfuse_payload::reader::PayloadError;
use elfuse_runs::options::WrongOption;

use crate::locate::LocateError;
pub use crate::persist::PersistError;
pub use option::OptionError;
pub use start::{CacheError, HostError, StartError};

/// Exit status of a failure that is the stub's and not the guest's.
pub const OWN_FAILURE: u8 = 125;

/// A failure of the stub, not of the guest.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The host did not say which file this program is.
    #[error("find the program's own file: {0}")]
    NoProgramFile(#[source] io::Error),
    /// The program's file cannot be read.
    #[error("open {}: {source}", path.display())]
    Open {
        /// The program's file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The program's file has no payload segment.
    #[error("find the payload in {}: {source}", path.display())]
    Locate {
        /// The program's file.
        path: PathBuf,
        /// What is wrong with it.
        source: LocateError,
    },
    /// The payload is damaged.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// An entry of the image could not be made.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The directory to extract into could not be made.
    #[error("make directory {}: {source}", path.display())]
    MakeDirectory {
        /// The directory.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("write output: {0}")]
    Output(#[from] io::Error),
    /// An option that cannot be followed.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The guest does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The host does not give what a guest needs.
    #[error(transparent)]
    Host(#[from] HostError),
    /// What is written cannot be kept.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// Unpacked images cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl StubError {
    /// What the program exits with: 125, or 126 and 127 where the guest's program
    /// cannot be run or found.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Start(error) => error.exit_status(),
            _ => OWN_FAILURE,
        }
    }

    /// The message, with a second line where the user can act.
    #[must_use]
    pub fn full_message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self).filter(|_| self.leaves_out_its_cause());
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        match self.hint() {
            Some(hint) => format!("{message}\nhint: {hint}"),
            None => message,
        }
    }

    /// Whether the message is about this error alone: the payload's own
    /// errors are, the stub's say their cause themselves.
    fn leaves_out_its_cause(&self) -> bool {
        matches!(self, Self::Payload(_) | Self::Extract(_))
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locate {
                source: LocateError::OutsideFile,
                ..
            } => Some("the file is incomplete; copy or download it again"),
            Self::Payload(_) => Some("the file is damaged; copy or download it again"),
            Self::MakeDirectory { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("name a directory that does not exist yet")
            }
            Self::Option(OptionError::Wrong(WrongOption::Unknown(_))) => {
                Some("--elfuse-help lists what there is; the program's own options come after --")
            }
            Self::Option(_) => Some("--elfuse-help lists what there is"),
            Self::Start(error) => error.hint(),
            Self::Host(error) => error.hint(),
            Self::Cache(error) => error.hint(),
            Self::Persist(error) => error.hint(),
            Self::Extract(_) => Some("is the disk full? if not, copy or download the file again"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
