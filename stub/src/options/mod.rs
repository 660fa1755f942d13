// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bundle's own options. They stand before the first word that is not an
//! option; everything from there on is the guest's command line. Defaults baked
//! into the bundle come first, then the words of `ELFUSE_OPTS`, then the command
//! line; lists grow, single values are replaced. In a bundle made with `--cli` all
//! arguments are the guest's. [`elfuse_runs::options`] knows the names, [`table`]
//! what each option does; an option that this version lacks is refused by its name.

mod config_file;
mod table;
mod value;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use elfuse_kernel::net::Published;
use elfuse_runs::options::{self, Given};

use crate::OptionError;
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
        options::read(words, &mut |given| self.apply(given))
    }

    fn apply(&mut self, given: Given<'_>) -> Result<(), OptionError> {
        match given {
            Given::Flag(flag) => table::set_flag(self, flag),
            Given::File(path) => self.read_file(path)?,
            Given::Value {
                option,
                long,
                value,
            } => table::set_value(self, option, value).map_err(|why| OptionError::Bad {
                option: long,
                value: value.to_owned(),
                why,
            })?,
        }
        Ok(())
    }
}

/// What `--elfuse-help` prints.
pub(crate) fn help() -> String {
    table::help()
}

#[cfg(test)]
mod tests;
