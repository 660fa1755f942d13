// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of a bundle: which there are ([`ROWS`]) and how words name them.
//!
//! [`read`] is the stub's reading of its command line, of `ELFUSE_OPTS` and of the
//! defaults baked into a bundle. The bundler calls it with the defaults that it is
//! given, so that what no run would take is refused before the bundle is made. What
//! a value means is for the stub alone: it may depend on the machine of the run.

mod table;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

pub use table::{Flag, ROWS, Row, Take, Value};

/// An option that somebody gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given<'a> {
    /// One without a value.
    Flag(Flag),
    /// One with a value.
    Value {
        /// Which.
        option: Value,
        /// Its name, for messages.
        long: &'static str,
        /// Its value.
        value: &'a OsStr,
    },
    /// The path of a file with more options.
    File(&'a OsStr),
}

/// Words that are no option, or only a part of one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongOption {
    /// An option that this version does not have.
    #[error("{0:?}: no such option")]
    Unknown(OsString),
    /// An option of other container tools that bundles do not have.
    #[error("--{0}: not supported: {1}")]
    Refused(&'static str, &'static str),
    /// An option at the end that needs one more word.
    #[error("--{0}: {1} must follow")]
    MissingValue(&'static str, &'static str),
    /// A value for an option that has none.
    #[error("--{0} {1:?}: it takes no value")]
    TakesNone(&'static str, OsString),
}

/// Calls `apply` for the options up to the first word that is none, and answers the
/// words from there on.
///
/// # Errors
/// [`WrongOption`], and those of `apply`.
pub fn read<'a, E: From<WrongOption>>(
    words: &'a [OsString],
    apply: &mut dyn FnMut(Given<'a>) -> Result<(), E>,
) -> Result<&'a [OsString], E> {
    let mut rest = words;
    while let [word, after @ ..] = rest {
        rest = match word.as_bytes() {
            b"--" => return Ok(after),
            [b'-', b'-', name @ ..] => {
                let (name, attached) = match name.iter().position(|&byte| byte == b'=') {
                    Some(at) => (&name[..at], Some(OsStr::from_bytes(&name[at + 1..]))),
                    None => (name, None),
                };
                let row = Row::named(name).ok_or_else(|| WrongOption::Unknown(word.clone()))?;
                let (given, after) = row.given(attached, after)?;
                apply(given)?;
                after
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                read_letters(word, letters, after, apply)?
            }
            _ => return Ok(rest),
        };
    }
    Ok(rest)
}

/// Letters of one word: flags, and at the end one that may have a value.
fn read_letters<'a, E: From<WrongOption>>(
    word: &OsStr,
    mut letters: &'a [u8],
    after: &'a [OsString],
    apply: &mut dyn FnMut(Given<'a>) -> Result<(), E>,
) -> Result<&'a [OsString], E> {
    while let [letter, more @ ..] = letters {
        let row = ROWS.iter().find(|row| row.short == Some(*letter));
        let row = row.ok_or_else(|| WrongOption::Unknown(word.to_owned()))?;
        letters = more;
        if !matches!(row.take, Take::Flag(_)) {
            let more = more.strip_prefix(b"=").unwrap_or(more);
            let attached = (!more.is_empty()).then(|| OsStr::from_bytes(more));
            let (given, after) = row.given(attached, after)?;
            apply(given)?;
            return Ok(after);
        }
        let (given, _) = row.given(None, after)?;
        apply(given)?;
    }
    Ok(after)
}

impl Row {
    /// The option of this long name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.long.as_bytes() == name)
    }

    /// The option with the value `attached` to it, or else with the first word of
    /// `after` if it needs one, and the words that are left.
    ///
    /// # Errors
    /// All of [`WrongOption`] but `Unknown`.
    pub fn given<'a>(
        &self,
        attached: Option<&'a OsStr>,
        after: &'a [OsString],
    ) -> Result<(Given<'a>, &'a [OsString]), WrongOption> {
        let long = self.long;
        let value_of = |what| match (attached, after) {
            (Some(value), _) => Ok((value, after)),
            (None, [value, after @ ..]) => Ok((value.as_os_str(), after)),
            (None, []) => Err(WrongOption::MissingValue(long, what)),
        };
        match self.take {
            Take::Refused(why) => Err(WrongOption::Refused(long, why)),
            Take::Flag(flag) => match attached {
                Some(value) => Err(WrongOption::TakesNone(long, value.to_owned())),
                None => Ok((Given::Flag(flag), after)),
            },
            Take::File => {
                let (path, after) = value_of("FILE")?;
                Ok((Given::File(path), after))
            }
            Take::Value(what, option) => {
                let (value, after) = value_of(what)?;
                let given = Given::Value {
                    option,
                    long,
                    value,
                };
                Ok((given, after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    /// Reads `given`: the number of options, and the words that are left.
    fn count(given: &[&str]) -> Result<(usize, Vec<OsString>), String> {
        let (given, mut count) = (words(given), 0);
        let rest = read(&given, &mut |_| {
            count += 1;
            Ok::<_, WrongOption>(())
        });
        let rest = rest.map_err(|error| error.to_string())?.to_vec();
        Ok((count, rest))
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        for (given, options, rest) in [
            (&["--read-only", "-e", "A=B"][..], 2, &[][..]),
            (&["-itw/x", "sh", "-e"], 3, &["sh", "-e"]),
            (&["--env=-x", "--", "--frob"], 1, &["--frob"]),
            (&["--config", "f", "-"], 1, &["-"]),
        ] {
            assert_eq!(count(given), Ok((options, words(rest))), "{given:?}");
        }
    }

    #[test]
    fn what_no_run_takes_is_wrong() {
        for (given, message) in [
            (&["--read-onyl"][..], "\"--read-onyl\": no such option"),
            (&["-iz"], "\"-iz\": no such option"),
            (&["-e", "A=B", "-w"], "--workdir: DIR must follow"),
            (&["--config"], "--config: FILE must follow"),
            (
                &["--read-only=yes"],
                "--read-only \"yes\": it takes no value",
            ),
            (
                &["--platform", "x"],
                "--platform: not supported: a bundle is for linux/arm64",
            ),
        ] {
            assert_eq!(count(given), Err(message.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn no_two_options_share_a_name_or_a_letter() {
        for (index, row) in ROWS.iter().enumerate() {
            let is_twin = |other: &&Row| {
                other.long == row.long || (row.short.is_some() && other.short == row.short)
            };
            assert_eq!(ROWS[..index].iter().find(is_twin).map(|r| r.long), None);
        }
    }
}
