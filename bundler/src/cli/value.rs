// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of options that change an image.
//!
//! What cannot be meant is wrong usage, and told before anything is fetched. The
//! values stay the text that provenance records and `update` reads again.

use anyhow::{Context, ensure};

use crate::reference::Reference;
use crate::source;
use crate::transform::inject::What;
use crate::transform::{Addition, TransformError};

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
    fn entrypoint_is_nothing_a_word_or_an_array() {
        assert_eq!(split("").unwrap(), [""; 0]);
        assert_eq!(split("a b").unwrap(), ["a b"]);
        assert_eq!(split(r#"["a", "b"]"#).unwrap(), ["a", "b"]);
        assert!(split("[a").is_err());
    }
}
