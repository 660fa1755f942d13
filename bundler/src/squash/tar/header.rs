// SPDX-License-Identifier: MIT OR Apache-2.0
//! One 512-byte header block: its dialect and its fields.
//!
//! The dialect decides what the last 167 bytes mean: ustar and star keep a
//! path prefix there, GNU tar keeps times and a sparse map, v7 nothing.

use super::{BLOCK_LEN, TarError};

/// The writer's dialect, told by the magic bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header block whose checksum was verified.
pub(crate) struct Block<'a> {
    bytes: &'a [u8; BLOCK_LEN],
}

impl<'a> Block<'a> {
    /// `None` for a block of zeros, which ends an archive.
    pub(crate) fn parse(bytes: &'a [u8; BLOCK_LEN]) -> Result<Option<Self>, TarError> {
        if bytes.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        let stored = octal(&bytes[148..156]).ok_or(TarError::Checksum)?;
        let (unsigned, signed) = checksums(bytes);
        // Old writers summed signed characters.
        let matches =
            i64::try_from(stored).is_ok_and(|s| s == i64::from(unsigned) || s == i64::from(signed));
        if !matches {
            return Err(TarError::Checksum);
        }
        Ok(Some(Self { bytes }))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match (
            &self.bytes[257..263],
            &self.bytes[263..265],
            &self.bytes[508..512],
        ) {
            (b"ustar\0", _, b"tar\0") => Dialect::Star,
            (b"ustar\0", _, _) => Dialect::Ustar,
            (b"ustar ", b" \0", _) => Dialect::Gnu,
            _ => Dialect::V7,
        }
    }

    pub(crate) fn type_flag(&self) -> u8 {
        self.bytes[156]
    }

    /// The path, with the prefix the dialect may hold.
    pub(crate) fn path(&self) -> Vec<u8> {
        let prefix = match self.dialect() {
            Dialect::Ustar => text(&self.bytes[345..500]),
            Dialect::Star => text(&self.bytes[345..476]),
            Dialect::Gnu | Dialect::V7 => &[],
        };
        let name = text(&self.bytes[..100]);
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, name].join(&b'/')
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.bytes[157..257]).to_vec()
    }

    pub(crate) fn mode(&self) -> Result<u32, TarError> {
        let mode = number(&self.bytes[100..108]).ok_or(TarError::Number("mode"))?;
        u32::try_from(mode & 0o7777).map_err(|_| TarError::Number("mode"))
    }

    pub(crate) fn uid(&self) -> Result<u32, TarError> {
        narrow(&self.bytes[108..116], "uid")
    }

    pub(crate) fn gid(&self) -> Result<u32, TarError> {
        narrow(&self.bytes[116..124], "gid")
    }

    pub(crate) fn size(&self) -> Result<u64, TarError> {
        let size = number(&self.bytes[124..136]).ok_or(TarError::Number("size"))?;
        u64::try_from(size).map_err(|_| TarError::Number("size"))
    }

    pub(crate) fn mtime(&self) -> Result<i64, TarError> {
        number(&self.bytes[136..148]).ok_or(TarError::Number("mtime"))
    }

    /// Major and minor number; zero where the dialect has none.
    pub(crate) fn device(&self) -> Result<(u32, u32), TarError> {
        if self.dialect() == Dialect::V7 {
            return Ok((0, 0));
        }
        Ok((
            narrow(&self.bytes[329..337], "devmajor")?,
            narrow(&self.bytes[337..345], "devminor")?,
        ))
    }

    pub(crate) fn bytes(&self) -> &'a [u8; BLOCK_LEN] {
        self.bytes
    }
}

/// Sum of all bytes with the checksum field taken as spaces, as unsigned and
/// as signed characters.
pub(crate) fn checksums(bytes: &[u8; BLOCK_LEN]) -> (u32, i32) {
    let mut unsigned = 0_u32;
    let mut signed = 0_i32;
    for (i, &byte) in bytes.iter().enumerate() {
        let byte = if (148..156).contains(&i) { b' ' } else { byte };
        unsigned += u32::from(byte);
        signed += i32::from(byte.cast_signed());
    }
    (unsigned, signed)
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

fn narrow(field: &[u8], name: &'static str) -> Result<u32, TarError> {
    number(field)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(TarError::Number(name))
}

/// Octal text, or two's-complement base-256 when the top bit is set.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return i64::try_from(octal(field)?).ok();
    }
    // Bit 6 is the sign; bit 7 only marks the encoding.
    let mut value = i128::from(first & 0x3f) - i128::from(first & 0x40);
    for &byte in rest {
        value = value.checked_mul(256)?.checked_add(i128::from(byte))?;
    }
    i64::try_from(value).ok()
}

/// Octal digits padded by spaces and NULs on either side; empty is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let is_pad = |b: &u8| *b == b' ' || *b == 0;
    let start = field.iter().position(|b| !is_pad(b)).unwrap_or(field.len());
    let digits = field[start..].split(is_pad).next()?;
    if field[start + digits.len()..].iter().any(|b| !is_pad(b)) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{number, octal};

    #[test]
    fn octal_takes_any_padding_but_no_other_digits() {
        assert_eq!(octal(b"0000644\0"), Some(0o644));
        assert_eq!(octal(b"  644 \0 "), Some(0o644));
        assert_eq!(octal(b"\0\0\0"), Some(0));
        assert_eq!(octal(b"64 4"), None);
        assert_eq!(octal(b"0008"), None);
        assert_eq!(octal(b"-1"), None);
    }

    #[test]
    fn base_256_is_signed() {
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(
            number(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            Some(0xffff_ffff)
        );
        assert_eq!(number(&[0x80, 0, 0, 1, 0xff, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
