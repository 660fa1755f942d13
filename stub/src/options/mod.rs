// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bundle's own options. They stand before the first word that is not an
//! option; everything from there on is the guest's command line. Defaults baked
//! into the bundle come first, then the words of `ELFUSE_OPTS`, then the command
//! line; lists grow, single values are replaced. In a bundle made with `--cli` all
//! arguments are the guest's. [`table`] has one row for each option; an option
//! that this version lacks is refused by its name.

mod config_file;
mod table;
mod value;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use elfuse_kernel::net::Published;

use crate::OptionError;
use table::{ROWS, Row, Take};
pub(crate) use value::{HostName, Secret, Tmpfs, Ulimit, Volume};

/// What the stub was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Help,
    Version,
    Inspect,
    Doctor,
    Extract(PathBuf),
    Cache(CacheAction),
}

/// What to do with the cache of root file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheAction {
    Status,
    Prune,
    Detach,
}

/// A change of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EnvChange {
    /// `NAME=VALUE`.
    Set(Vec<u8>),
    /// The host's value, where it has one.
    Inherit(Vec<u8>),
}

/// The stub's options, from all places that they can come from.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent switch of the command line"
)]
pub(crate) struct Options {
    pub(crate) action: Option<Action>,
    pub(crate) is_json: bool,
    /// What pruning the cache leaves.
    pub(crate) spare: elfuse_runs::spare::Spare,
    pub(crate) entrypoint: Option<Vec<u8>>,
    pub(crate) workdir: Option<Vec<u8>>,
    pub(crate) env: Vec<EnvChange>,
    pub(crate) user: Option<String>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) tmpfs: Vec<Tmpfs>,
    pub(crate) is_read_only: bool,
    pub(crate) persist: Option<OsString>,
    pub(crate) forgets_persisted: bool,
    pub(crate) hostname: Option<Vec<u8>>,
    pub(crate) hosts: Vec<HostName>,
    pub(crate) name_servers: Vec<std::net::IpAddr>,
    pub(crate) search_domains: Vec<String>,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) memory: Option<u64>,
    pub(crate) tasks: Option<usize>,
    pub(crate) cpus: Option<usize>,
    pub(crate) needs_terminal: bool,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) has_no_network: bool,
    pub(crate) published: Vec<Published>,
    pub(crate) has_init: bool,
    pub(crate) has_agent: bool,
    pub(crate) is_detached: bool,
    pub(crate) name: Option<String>,
    pub(crate) explains: bool,
    pub(crate) is_traced: bool,
    pub(crate) shows_stats: bool,
    /// The guest's command line.
    pub(crate) command: Vec<Vec<u8>>,
}

impl Options {
    /// The defaults baked into a bundle.
    pub(crate) fn baked(words: &[String]) -> Result<Self, OptionError> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut options = Self::default();
        match options.read(&words)?.first() {
            Some(word) => Err(OptionError::BakedNotOption(word.clone())),
            None => Ok(options),
        }
    }

    /// These options and the words of `ELFUSE_OPTS`, split at blanks.
    pub(crate) fn and_environment(mut self, words: Option<&OsString>) -> Result<Self, OptionError> {
        let Some(words) = words else { return Ok(self) };
        let words = words.as_bytes().split(u8::is_ascii_whitespace);
        let words: Vec<OsString> = words
            .filter(|word| !word.is_empty())
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        match self.read(&words)?.first() {
            Some(word) => Err(OptionError::EnvironmentNotOption(word.clone())),
            None => Ok(self),
        }
    }

    /// These options and those at the start of `args`; the rest is the command.
    pub(crate) fn and(mut self, args: &[OsString]) -> Result<Self, OptionError> {
        let rest = self.read(args)?;
        Ok(self.with_command(rest))
    }

    /// These options, with all of `args` as the command.
    pub(crate) fn with_command(mut self, args: &[OsString]) -> Self {
        self.command = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        self
    }

    /// Reads options up to the first word that is none.
    fn read<'a>(&mut self, words: &'a [OsString]) -> Result<&'a [OsString], OptionError> {
        let mut rest = words;
        while let [word, after @ ..] = rest {
            let bytes = word.as_bytes();
            rest = match bytes {
                b"--" => return Ok(after),
                [b'-', b'-', name @ ..] => self.read_long(word, name, after)?,
                [b'-', letters @ ..] if !letters.is_empty() => {
                    self.read_short(word, letters, after)?
                }
                _ => return Ok(rest),
            };
        }
        Ok(rest)
    }

    fn read_long<'a>(
        &mut self,
        word: &OsStr,
        name: &[u8],
        after: &'a [OsString],
    ) -> Result<&'a [OsString], OptionError> {
        let (name, attached) = match name.iter().position(|&byte| byte == b'=') {
            Some(at) => (&name[..at], Some(OsStr::from_bytes(&name[at + 1..]))),
            None => (name, None),
        };
        let row = ROWS.iter().find(|row| row.long.as_bytes() == name);
        let row = row.ok_or_else(|| OptionError::Unknown(word.to_owned()))?;
        self.apply(row, attached, after)
    }

    /// Letters of one word: flags, and at the end one that may have a value.
    fn read_short<'a>(
        &mut self,
        word: &OsStr,
        mut letters: &[u8],
        after: &'a [OsString],
    ) -> Result<&'a [OsString], OptionError> {
        while let [letter, more @ ..] = letters {
            let row = ROWS.iter().find(|row| row.short == Some(*letter));
            let row = row.ok_or_else(|| OptionError::Unknown(word.to_owned()))?;
            letters = more;
            if !matches!(row.take, Take::Flag(_)) {
                let more = more.strip_prefix(b"=").unwrap_or(more);
                let attached = (!more.is_empty()).then(|| OsStr::from_bytes(more));
                return self.apply(row, attached, after);
            }
            self.apply(row, None, after)?;
        }
        Ok(after)
    }

    fn apply<'a>(
        &mut self,
        row: &'static Row,
        attached: Option<&OsStr>,
        after: &'a [OsString],
    ) -> Result<&'a [OsString], OptionError> {
        let bad = |value: &OsStr, why| OptionError::Bad {
            option: row.long,
            value: value.to_owned(),
            why,
        };
        match (&row.take, attached) {
            (Take::Refused(why), _) => Err(OptionError::Refused(row.long, why)),
            (Take::Flag(set), None) => {
                set(self);
                Ok(after)
            }
            (Take::Flag(_), Some(value)) => Err(bad(value, "it takes no value")),
            (Take::Value(_, set), Some(value)) => {
                set(self, value).map_err(|why| bad(value, why))?;
                Ok(after)
            }
            (Take::File, value) => {
                let (path, after) = match (value, after) {
                    (Some(path), _) => (path, after),
                    (None, [path, after @ ..]) => (path.as_os_str(), after),
                    (None, []) => return Err(OptionError::MissingValue(row.long, "FILE")),
                };
                self.read_file(path)?;
                Ok(after)
            }
            (Take::Value(what, set), None) => {
                let [value, after @ ..] = after else {
                    return Err(OptionError::MissingValue(row.long, what));
                };
                set(self, value).map_err(|why| bad(value, why))?;
                Ok(after)
            }
        }
    }
}

/// What `--elfuse-help` prints.
pub(crate) fn help() -> String {
    table::help()
}

#[cfg(test)]
mod tests;
