// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stub's own options. They stand before the first word that is not an
//! option; everything after it is the guest's command line. In a bundle made
//! with --cli all arguments are the guest's, and options come from ELFUSE_OPTS.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::StubError;

/// What `--elfuse-help` prints.
pub const HELP: &str = "\
A Linux program in one macOS file, made by elfuse-bundle.

Usage: BUNDLE [OPTIONS] [COMMAND [ARGS]]

Options, before the command:
      --elfuse-inspect [--json]  Describe the image inside
      --elfuse-extract DIR       Unpack the image's files into DIR, a new directory
      --elfuse-version           Print the version of the carrier program
      --elfuse-help              Print this

In a bundle made with --cli every argument goes to the program inside;
these options are then given in the variable ELFUSE_OPTS.
";

/// What the stub was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Run,
    Help,
    Version,
    Inspect { json: bool },
    Extract(PathBuf),
}

/// The stub's options, from all places that they can come from.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) action: Action,
}

impl Options {
    /// The words of ELFUSE_OPTS, split at blanks.
    pub(crate) fn from_environment(words: Option<&OsString>) -> Result<Self, StubError> {
        let none = Self {
            action: Action::Run,
        };
        let Some(words) = words else { return Ok(none) };
        let words = words.to_str().ok_or(StubError::EnvironmentNotText)?;
        let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        let (options, rest) = none.read(&words)?;
        match rest.first() {
            Some(word) => Err(StubError::EnvironmentNotOption(word.clone())),
            None => Ok(options),
        }
    }

    /// These options and those at the start of `args`.
    pub(crate) fn and(self, args: &[OsString]) -> Result<Self, StubError> {
        Ok(self.read(args)?.0)
    }

    fn read(mut self, words: &[OsString]) -> Result<(Self, &[OsString]), StubError> {
        let mut rest = words;
        while let [word, after @ ..] = rest {
            let mut after = after;
            match word.to_str() {
                Some("--") => return Ok((self, after)),
                Some("--elfuse-help") => self.action = Action::Help,
                Some("--elfuse-version") => self.action = Action::Version,
                Some("--elfuse-inspect") => {
                    let json = after.first().is_some_and(|next| next == "--json");
                    after = &after[usize::from(json)..];
                    self.action = Action::Inspect { json };
                }
                Some("--elfuse-extract") => {
                    let [directory, more @ ..] = after else {
                        return Err(StubError::MissingValue("--elfuse-extract", "a directory"));
                    };
                    self.action = Action::Extract(PathBuf::from(directory));
                    after = more;
                }
                _ if is_option(word) => return Err(StubError::UnknownOption(word.clone())),
                _ => return Ok((self, rest)),
            }
            rest = after;
        }
        Ok((self, rest))
    }
}

fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.len() > 1 && bytes.starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::{Action, Options};
    use std::ffi::OsString;

    fn read(args: &[&str]) -> Result<Action, String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let none = Options::from_environment(None).unwrap();
        none.and(&args)
            .map(|options| options.action)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_after_the_command_are_the_guests() {
        assert_eq!(read(&["sh", "--elfuse-help"]), Ok(Action::Run));
        assert_eq!(read(&["--", "--elfuse-help"]), Ok(Action::Run));
        assert_eq!(read(&["--elfuse-help", "sh"]), Ok(Action::Help));
    }

    #[test]
    fn json_belongs_to_inspect_only() {
        assert_eq!(
            read(&["--elfuse-inspect", "--json"]),
            Ok(Action::Inspect { json: true })
        );
        assert_eq!(
            read(&["--elfuse-inspect"]),
            Ok(Action::Inspect { json: false })
        );
        assert!(read(&["--json"]).unwrap_err().contains("--json"));
    }

    #[test]
    fn extract_needs_a_directory() {
        assert_eq!(
            read(&["--elfuse-extract", "d"]),
            Ok(Action::Extract("d".into()))
        );
        assert!(
            read(&["--elfuse-extract"])
                .unwrap_err()
                .contains("directory")
        );
    }

    #[test]
    fn the_environment_holds_options_only() {
        let words = OsString::from(" --elfuse-inspect  --json ");
        let options = Options::from_environment(Some(&words)).unwrap();
        assert_eq!(options.action, Action::Inspect { json: true });
        let words = OsString::from("--elfuse-help sh");
        let error = Options::from_environment(Some(&words)).unwrap_err();
        assert!(error.to_string().contains("sh"), "{error}");
    }
}
