// SPDX-License-Identifier: MIT OR Apache-2.0
//! What pruning leaves, for every cache and store that has a `prune`.
//!
//! [`Spare`] is `--older-than AGE` and `--keep-bytes SIZE`; [`parse_age`] and
//! [`parse_size`] read these, so that `30d` and `5g` mean the same to a bundle and
//! to the bundler. Sizes are Docker's: units are powers of 1024.

use std::time::Duration;

/// What to leave; with neither, nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spare {
    /// What was not used for so long goes.
    pub older_than: Option<Duration>,
    /// Of the rest the longest unused goes until at most so many bytes are left.
    pub keep_bytes: Option<u64>,
}

impl Spare {
    /// Whether something last used `age` ago stays, when `left` bytes are what it
    /// and everything used since then have.
    #[must_use]
    pub fn spares(&self, age: Duration, left: u64) -> bool {
        *self != Self::default()
            && self.older_than.is_none_or(|limit| age < limit)
            && self.keep_bytes.is_none_or(|limit| left <= limit)
    }
}

/// Reads a time such as `30d`, in seconds, minutes, hours or days.
///
/// # Errors
/// What was expected.
pub fn parse_age(text: &str) -> Result<Duration, &'static str> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number = digits(text.strip_suffix(unit)?)?;
        number.checked_mul(*seconds)
    });
    let seconds = parsed.ok_or("expected a number and s, m, h or d, such as 30d")?;
    Ok(Duration::from_secs(seconds))
}

/// Reads a size: `64`, `64k`, `64m`, `2g`, `1t`, with or without `b`, in any case.
///
/// # Errors
/// What was expected.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let units = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];
    let unit = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number = digits(number).ok_or("expected bytes, or a number and k, m, g or t")?;
    number
        .checked_mul(1 << shift)
        .ok_or("a size is below 16 EiB")
}

/// A number of digits alone: no sign, no blanks.
fn digits(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert_eq!(parse_age("90m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "30", "d", "-1d", "+1d", "1w", "99999999999999999999d"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for five in ["5g", "5G", "5gb", "5GB", "5120m", "5368709120"] {
            assert_eq!(parse_size(five), Ok(5 << 30), "{five}");
        }
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("1t"), Ok(1 << 40));
        for wrong in ["", "g", "b", "5x", "-5", "+5", "1.5g", "99999999t"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_spared_unless_asked_for() {
        let day = Duration::from_secs(86400);
        assert!(!Spare::default().spares(Duration::ZERO, 0));
        let old = Spare {
            older_than: Some(day),
            keep_bytes: None,
        };
        assert!(old.spares(day / 2, u64::MAX) && !old.spares(day, 0));
        let much = Spare {
            older_than: None,
            keep_bytes: Some(100),
        };
        assert!(much.spares(day, 100) && !much.spares(day, 101));
    }
}
