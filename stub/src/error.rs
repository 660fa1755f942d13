// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong in the stub itself: one message that says what and
//! where, and where the user can act, a hint.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

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
        match self.hint() {
            Some(hint) => format!("{self}\nhint: {hint}"),
            None => self.to_string(),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Locate {
                source: LocateError::OutsideFile,
                ..
            } => Some("the file is incomplete; copy or download it again"),
            Self::UnknownOption(_) | Self::MissingValue(..) | Self::NoRuntime => {
                Some("--elfuse-help lists what there is")
            }
            _ => None,
        }
    }
}
