// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pax extended header records: `"<length> <key>=<value>\n"`.
//!
//! Only what a layer can hold is kept: path, link path, size, owner, mtime,
//! extended attributes (star's and libarchive's spelling) and GNU's sparse
//! keys. Names, access times and vendor keys are dropped, because neither the
//! image specification nor our payload has a place for them.

use base64::Engine as _;

use super::TarError;
use super::sparse::PaxSparse;
use crate::squash::entry::{Timestamp, Xattrs};

const STAR_XATTR: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE_XATTR: &[u8] = b"LIBARCHIVE.xattr.";

/// The records of one extended header, or of a global one and a local one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) mtime: Option<Timestamp>,
    pub(crate) xattrs: Xattrs,
    pub(crate) sparse: PaxSparse,
}

impl Pax {
    /// Adds the records of a local header; later records win.
    pub(crate) fn merge(&mut self, body: &[u8]) -> Result<(), TarError> {
        for record in Records(body) {
            let (key, value) = record?;
            self.set(key, value)?;
        }
        Ok(())
    }

    /// Adds the records of a global header. A global name, size or sparse map
    /// would make every following entry the same file: refused.
    pub(crate) fn merge_global(&mut self, body: &[u8]) -> Result<(), TarError> {
        self.merge(body)?;
        if self.path.is_some() || self.link.is_some() || self.size.is_some() {
            return Err(TarError::Pax("a global header sets a path or a size"));
        }
        if !self.sparse.is_empty() {
            return Err(TarError::Pax("a global header describes a sparse file"));
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(STAR_XATTR) {
            return self.set_xattr(name.to_vec(), value.to_vec());
        }
        if let Some(name) = key.strip_prefix(LIBARCHIVE_XATTR) {
            return self.set_libarchive_xattr(name, value);
        }
        if key.starts_with(b"GNU.sparse.") {
            return self.sparse.set(key, value);
        }
        // An empty value takes the record back, a global one included.
        let given = !value.is_empty();
        match key {
            b"path" => self.path = given.then(|| name(value)).transpose()?,
            b"linkpath" => self.link = given.then(|| name(value)).transpose()?,
            b"size" => self.size = given.then(|| decimal(value, "pax size")).transpose()?,
            b"uid" => self.uid = given.then(|| id(value, "pax uid")).transpose()?,
            b"gid" => self.gid = given.then(|| id(value, "pax gid")).transpose()?,
            b"mtime" => self.mtime = given.then(|| time(value)).transpose()?,
            _ => {}
        }
        Ok(())
    }

    /// Linux names an attribute in 1 to 255 bytes and keeps at most 64 KiB.
    fn set_xattr(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), TarError> {
        if name.is_empty() || name.len() > 255 || name.contains(&0) {
            return Err(TarError::Pax(
                "an extended attribute has an impossible name",
            ));
        }
        if value.len() > 65536 {
            return Err(TarError::Pax("an extended attribute is longer than 64 KiB"));
        }
        self.xattrs.insert(name, value);
        Ok(())
    }

    /// libarchive percent-encodes the name and base64-encodes the value. Next
    /// to star's plain spelling of the same attribute it says nothing new.
    fn set_libarchive_xattr(&mut self, name: &[u8], value: &[u8]) -> Result<(), TarError> {
        let bad = TarError::Pax("a LIBARCHIVE.xattr record is not base64");
        let engine = base64::engine::GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            base64::engine::GeneralPurposeConfig::new()
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let value = engine.decode(value).map_err(|_| bad)?;
        self.set_xattr(percent_decode(name), value)
    }
}

/// Iterates over `key`, `value`.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers fill the rest of the block with NULs.
        if self.0.iter().all(|&b| b == 0) {
            return None;
        }
        let record = split_record(self.0);
        self.0 = match &record {
            Some((_, _, rest)) => rest,
            None => &[],
        };
        Some(
            record
                .map(|(key, value, _)| (key, value))
                .ok_or(TarError::Pax("malformed record")),
        )
    }
}

fn split_record(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = body.iter().take(20).position(|&b| b == b' ')?;
    let length = usize::try_from(decimal(&body[..space], "").ok()?).ok()?;
    let record = body.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, &body[length..]))
}

fn name(value: &[u8]) -> Result<Vec<u8>, TarError> {
    if value.contains(&0) {
        return Err(TarError::Pax("a name contains a NUL byte"));
    }
    Ok(value.to_vec())
}

fn id(value: &[u8], field: &'static str) -> Result<u32, TarError> {
    u32::try_from(decimal(value, field)?).map_err(|_| TarError::Number(field))
}

/// Plain decimal digits, no sign, no space.
pub(crate) fn decimal(digits: &[u8], field: &'static str) -> Result<u64, TarError> {
    let value = digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    });
    value
        .filter(|_| !digits.is_empty())
        .ok_or(TarError::Number(field))
}

/// `[-]seconds[.fraction]`, cut to nanoseconds toward the past.
fn time(value: &[u8]) -> Result<Timestamp, TarError> {
    const FIELD: &str = "pax mtime";
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |&b| b == b'.');
    let secs = decimal(parts.next().unwrap_or_default(), FIELD)?;
    let secs = i64::try_from(secs).map_err(|_| TarError::Number(FIELD))?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(TarError::Number(FIELD));
    }
    let nanos = (0..9).fold(0_u32, |n, i| {
        n * 10 + fraction.get(i).map_or(0, |digit| u32::from(digit - b'0'))
    });
    Ok(match (negative, nanos) {
        (false, _) => Timestamp { secs, nanos },
        (true, 0) => Timestamp {
            secs: -secs,
            nanos: 0,
        },
        (true, _) => Timestamp {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    let hex = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let decoded = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        out.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Pax, percent_decode, time};
    use crate::squash::entry::Timestamp;

    fn parse(body: &[u8]) -> Option<Pax> {
        let mut pax = Pax::default();
        pax.merge(body).ok().map(|()| pax)
    }

    #[test]
    fn records_carry_newlines_and_equal_signs() {
        let pax = parse(b"15 path=a\nb=c/\n13 uid=70000\n").expect("two records");
        assert_eq!(pax.path.as_deref(), Some(&b"a\nb=c/"[..]));
        assert_eq!(pax.uid, Some(70000));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for body in [
            &b"99 path=a\n"[..],
            b"8 path=a\n",
            b"3 a\n",
            b" path=a\n",
            b"11 path=a\0b\n",
            b"0 \n",
        ] {
            assert!(parse(body).is_none(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn times_before_1970_round_toward_the_past() {
        let at = |text: &[u8]| time(text).expect("a time");
        assert_eq!(
            at(b"-1.5"),
            Timestamp {
                secs: -2,
                nanos: 500_000_000
            }
        );
        assert_eq!(
            at(b"-0.000000001"),
            Timestamp {
                secs: -1,
                nanos: 999_999_999
            }
        );
        assert_eq!(
            at(b"12.3456789019"),
            Timestamp {
                secs: 12,
                nanos: 345_678_901
            }
        );
        assert_eq!(at(b"-7"), Timestamp { secs: -7, nanos: 0 });
        for bad in [&b"1.-5"[..], b"", b"-", b"1e3", b"99999999999999999999"] {
            assert!(time(bad).is_err());
        }
    }

    #[test]
    fn libarchive_attributes_are_decoded() {
        let pax = parse(b"35 LIBARCHIVE.xattr.user.a%3db=AAE\n").expect("one record");
        assert_eq!(pax.xattrs.get(&b"user.a=b"[..]), Some(&vec![0, 1]));
        assert_eq!(percent_decode(b"100%"), b"100%");
    }
}
