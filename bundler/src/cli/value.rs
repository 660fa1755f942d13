// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of options that change an image.
//!
//! What cannot be meant is wrong usage, and told before anything is fetched. The
//! values stay the text that provenance records and `update` reads again.

use std::ffi::OsString;

use anyhow::{Context, ensure};
use elfuse_runs::options::{self, WrongOption};

use crate::reference::Reference;
use crate::source;
use crate::transform::inject::What;
use crate::transform::{Addition, TransformError};

const RUN_OPTIONS_HINT: &str = "hint: any bundle's --elfuse-help lists what there is";

/// `HOST_PATH:CONTAINER_PATH` of a file.
pub(super) fn file(text: &str) -> Result<String, TransformError> {
    Addition::parse(What::File, text)?;
    Ok(text.to_owned())
}

/// `HOST_PATH:CONTAINER_PATH` of a directory.
pub(super) fn dir(text: &str) -> Result<String, TransformError> {
    Addition::parse(What::Dir, text)?;
    Ok(text.to_owned())
}

/// What [`split`] takes.
pub(super) fn words(text: &str) -> anyhow::Result<String> {
    split(text)?;
    Ok(text.to_owned())
}

/// `NAME=VALUE`
pub(super) fn pair(text: &str) -> Result<String, &'static str> {
    let name = text.split_once('=').map(|(name, _)| name);
    match name {
        Some(name) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("expected NAME=VALUE"),
    }
}

/// A path that begins at the root.
pub(super) fn absolute(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("expected an absolute path")
    }
}

/// The words of all `--run-option`: options that a run of the bundle takes. Their
/// values are left to the run, since they may depend on its machine.
pub(super) fn run_options(words: &[String]) -> Result<(), String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let rest = options::read(&words, &mut |_| Ok::<_, WrongOption>(()));
    match rest.map_err(|wrong| format!("--run-option {wrong}\n{RUN_OPTIONS_HINT}"))? {
        [] => Ok(()),
        [word, ..] => Err(format!(
            "--run-option {word:?}: not an option, such as --read-only\n{RUN_OPTIONS_HINT}"
        )),
    }
}

/// Seconds in `SOURCE_DATE_EPOCH`. Not an option's default: what is wrong with the
/// variable concerns no other command.
pub(super) fn epoch_of_environment() -> anyhow::Result<Option<i64>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let seconds = value.to_str().and_then(|value| value.parse().ok());
    let wrong = || format!("read SOURCE_DATE_EPOCH {value:?}: not seconds since 1970");
    seconds.map(Some).with_context(wrong)
}

/// An image in a registry.
pub(super) fn remote(text: &str) -> anyhow::Result<Reference> {
    ensure!(
        !source::has_path(text),
        "it names files\nhint: elfuse-bundle export writes images to files"
    );
    Ok(text.parse()?)
}

/// No word, one word, or a JSON array of words.
pub(super) fn split(text: &str) -> anyhow::Result<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).context("expected a JSON array of strings");
    }
    Ok(vec![text.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_not_in_registries() {
        assert!(remote("a/oci:1").is_ok());
        for text in ["oci:dir", "docker-archive:file", "A"] {
            assert!(remote(text).is_err(), "{text}");
        }
    }

    #[test]
    fn run_options_are_read_as_one_command_line() {
        let check = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            run_options(&words)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["-e", "A=B", "--read-only", "-w/x"]), Ok(()));
        // What a value means is for the run.
        assert_eq!(check(&["--memory=much"]), Ok(()));
        for (words, why) in [
            (&["A=B"][..], "not an option"),
            (&["-e", "A=B", "C=D"], "\"C=D\": not an option"),
            (&["--read-onyl"], "\"--read-onyl\": no such option"),
            (&["-e"], "--env: NAME[=VALUE] must follow"),
            (&["--init=no"], "takes no value"),
            (&["--rm"], "--rm: not supported: what is written is gone"),
        ] {
            let message = check(words).unwrap_err();
            let is_told = message.starts_with("--run-option ") && message.contains(why);
            assert!(is_told, "{message}");
        }
    }

    #[test]
    fn entrypoint_is_nothing_a_word_or_an_array() {
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split("a b").unwrap(), ["a b"]);
        assert_eq!(split(r#"["a", "b"]"#).unwrap(), ["a", "b"]);
        assert!(split("[a").is_err());
    }
}
