// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times as people and documents write them, always in UTC.
//!
//! Days are converted by the proleptic Gregorian calendar in eras of 400 years,
//! so every `i64` that can be a file's time has a date.

const DAY: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
const ERA: i64 = 146_097;

/// `2024-02-29 23:59:58`.
pub(crate) fn readable(secs: i64) -> String {
    let (year, month, day) = civil(secs.div_euclid(DAY));
    let within = secs.rem_euclid(DAY);
    let (hour, minute, second) = (within / 3600, within / 60 % 60, within % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `2024-02-29T23:59:58Z`.
pub(crate) fn rfc3339(secs: i64) -> String {
    readable(secs).replace(' ', "T") + "Z"
}

/// Year, month and day of a number of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let era = days.div_euclid(ERA);
    let of_era = days.rem_euclid(ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months count from March, so that the leap day is the last of a year.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_as_they_are() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_709_251_198, "2024-02-29T23:59:58Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(secs), text);
        }
    }

    #[test]
    fn every_time_has_a_date() {
        for secs in [i64::MIN, i64::MAX, i64::MIN / 2] {
            assert!(!readable(secs).is_empty());
        }
    }
}
