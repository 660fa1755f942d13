// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--debug`: what a start does, step by step with the time since its beginning, on
//! standard error. Values of variables and of secrets are never among it.

use std::time::Instant;

/// Prints steps, or nothing.
pub(crate) struct Steps {
    start: Option<Instant>,
}

impl Steps {
    /// Prints from now on if `is_on`.
    pub(crate) fn new(is_on: bool) -> Self {
        Self {
            start: is_on.then(Instant::now),
        }
    }

    /// Prints a step.
    pub(crate) fn note(&self, step: impl FnOnce() -> String) {
        if let Some(start) = self.start {
            let millis = start.elapsed().as_secs_f64() * 1000.0;
            eprintln!("elfuse: {millis:8.1} ms: {}", step());
        }
    }
}

/// Words as a person reads them: separated by blanks, quoted where they have some.
pub(crate) fn words(words: &[Vec<u8>]) -> String {
    let shown = words.iter().map(|word| {
        let word = String::from_utf8_lossy(word);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            word.into_owned()
        } else {
            format!("{word:?}")
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Names of variables, without their values.
pub(crate) fn names(env: &[Vec<u8>]) -> String {
    let names = env.iter().map(|pair| {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or(pair);
        String::from_utf8_lossy(name).into_owned()
    });
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{names, words};

    #[test]
    fn values_of_variables_are_not_shown() {
        let env = [b"A=secret".to_vec(), b"B".to_vec()];
        assert_eq!(names(&env), "A B");
        assert_eq!(
            words(&[b"sh".to_vec(), b"-c".to_vec(), b"a b".to_vec()]),
            r#"sh -c "a b""#
        );
    }
}
