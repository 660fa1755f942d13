// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image's config and the options, merged as `docker run` merges them: what is
//! run, with which variables, where, as whom.
//!
//! `--entrypoint` drops the image's command too; an empty one leaves only the
//! arguments. The environment is `PATH` where the image has none, the image's
//! variables, `TERM=xterm` where there is a terminal and the image has none, then
//! the options'; `HOME` is added at login if it is still missing. Nothing else of
//! the host reaches the guest.

use std::os::unix::ffi::OsStringExt;

use serde::Deserialize;

use crate::StartError;
use crate::options::{EnvChange, Options};

/// What docker gives programs of images that set no `PATH`.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The parts of an OCI image config that matter for running it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    config: Option<RunConfig>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    cmd: Option<Vec<String>>,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    stop_signal: Option<String>,
}

/// What will be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) argv: Vec<Vec<u8>>,
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cwd: Vec<u8>,
    /// `USER[:GROUP]`; empty for root.
    pub(crate) user: String,
    /// What ends the program when the host asks politely.
    pub(crate) stop_signal: i32,
}

impl ImageConfig {
    /// Reads the image's config document.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, StartError> {
        serde_json::from_slice(document).map_err(StartError::Config)
    }

    /// Merges in the options; `host_env` answers for `-e NAME`.
    pub(crate) fn merge(
        self,
        options: &Options,
        has_terminal: Terminal,
        host_env: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Run, StartError> {
        let image = self.config.unwrap_or_default();
        let argv = argv(&image, options);
        if argv.is_empty() {
            return Err(StartError::NoCommand);
        }
        let stop = image.stop_signal.as_deref().filter(|name| !name.is_empty());
        let stop_signal = stop.map_or(Ok(linux_abi::signal::SIGTERM), |name| {
            signal_number(name).ok_or_else(|| StartError::StopSignal(name.to_owned()))
        })?;
        let image_dir = image.working_dir.clone().filter(|dir| !dir.is_empty());
        let cwd = options.workdir.clone();
        let cwd = cwd.or_else(|| image_dir.map(String::into_bytes));
        let user = options.user.clone().or_else(|| image.user.clone());
        Ok(Run {
            argv,
            env: environment(&image, options, has_terminal, host_env),
            cwd: absolute(cwd.unwrap_or_else(|| b"/".to_vec())),
            user: user.unwrap_or_default(),
            stop_signal,
        })
    }
}

/// Is the guest's standard input and output a terminal?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    Yes,
    No,
}

fn argv(image: &RunConfig, options: &Options) -> Vec<Vec<u8>> {
    let bytes = |words: &Option<Vec<String>>| -> Vec<Vec<u8>> {
        let words = words.iter().flatten();
        words.map(|word| word.clone().into_bytes()).collect()
    };
    let given = options.command.iter().cloned();
    match &options.entrypoint {
        Some(program) if program.is_empty() => given.collect(),
        Some(program) => std::iter::once(program.clone()).chain(given).collect(),
        None => {
            let mut argv = bytes(&image.entrypoint);
            if options.command.is_empty() {
                argv.extend(bytes(&image.cmd));
            } else {
                argv.extend(given);
            }
            argv
        }
    }
}

fn environment(
    image: &RunConfig,
    options: &Options,
    has_terminal: Terminal,
    host_env: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Vec<Vec<u8>> {
    let mut env = Environment(vec![DEFAULT_PATH.into()]);
    if has_terminal == Terminal::Yes {
        env.set(b"TERM=xterm".to_vec());
    }
    for pair in image.env.iter().flatten() {
        env.set(pair.clone().into_bytes());
    }
    for change in &options.env {
        match change {
            EnvChange::Set(pair) => env.set(pair.clone()),
            EnvChange::Inherit(name) => match host_env(name) {
                Some(value) => env.set([name, &b"="[..], &value].concat()),
                // Docker removes what the host does not have.
                None => env.remove(name),
            },
        }
    }
    env.0
}

/// Variables in the order they were first set, each once.
struct Environment(Vec<Vec<u8>>);

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|&byte| byte == b'=').next().unwrap_or(pair)
}

impl Environment {
    fn set(&mut self, pair: Vec<u8>) {
        let slot = self.0.iter_mut().find(|old| name_of(old) == name_of(&pair));
        match slot {
            Some(slot) => *slot = pair,
            None => self.0.push(pair),
        }
    }

    fn remove(&mut self, name: &[u8]) {
        self.0.retain(|pair| name_of(pair) != name);
    }
}

/// Adds `HOME` where nothing has set it.
pub(crate) fn add_home(env: &mut Vec<Vec<u8>>, home: &str) {
    if !env.iter().any(|pair| name_of(pair) == b"HOME") {
        env.push(format!("HOME={home}").into_bytes());
    }
}

/// The host's variable for `-e NAME`.
pub(crate) fn host_variable(name: &[u8]) -> Option<Vec<u8>> {
    let name = std::ffi::OsString::from_vec(name.to_vec());
    std::env::var_os(name).map(OsStringExt::into_vec)
}

fn absolute(path: Vec<u8>) -> Vec<u8> {
    if path.first() == Some(&b'/') {
        path
    } else {
        [&b"/"[..], &path].concat()
    }
}

/// Signals by name, with or without `SIG`, or by number.
fn signal_number(name: &str) -> Option<i32> {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let upper = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = upper.strip_prefix("RTMIN+") {
        return offset
            .parse()
            .ok()
            .map(|n: i32| 34 + n)
            .filter(|n| (34..=64).contains(n));
    }
    let at = NAMES.iter().position(|known| *known == upper)?;
    i32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests;
