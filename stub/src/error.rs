// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong in the stub itself: one message that says what and
//! where, and where the user can act, a hint.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use elfuse_payload::extract::ExtractError;
use elfuse_payload::reader::PayloadError;

use crate::locate::LocateError;

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
    /// An option that this version does not have.
    #[error("read option {0:?}: no such option")]
    UnknownOption(OsString),
    /// An option at the end that needs one more word.
    #[error("read option {0}: {1} must follow")]
    MissingValue(&'static str, &'static str),
    /// ELFUSE_OPTS is not text.
    #[error("read ELFUSE_OPTS: not valid UTF-8")]
    EnvironmentNotText,
    /// ELFUSE_OPTS has a word that is not an option.
    #[error("read ELFUSE_OPTS: {0:?} is not an option")]
    EnvironmentNotOption(OsString),
    /// This stub has no runtime.
    #[error("run the image's program: this version describes and extracts images, it runs none")]
    NoRuntime,
}

impl StubError {
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
            Self::UnknownOption(_) | Self::MissingValue(..) | Self::NoRuntime => {
                Some("--elfuse-help lists what there is")
            }
            _ => None,
        }
    }
}
