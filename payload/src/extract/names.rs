// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names for hosts that do not store every name: APFS refuses invalid UTF-8 and
//! takes names that differ in Unicode normalisation for the same.

use std::borrow::Cow;

use crate::Digest;
use crate::toc::MAX_NAME;

/// How much of a name stays readable when it is too long with its escapes.
const PREFIX: usize = 128;

/// The name on the host for one component of a path. Printable ASCII stays as it
/// is, except `%`; every other byte becomes `%` and two hex digits. What gets
/// too long is cut and ends in `%~` and the name's sha256. Different names have
/// different host names.
#[must_use]
pub fn host_name(name: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |&byte: &u8| (0x20..0x7f).contains(&byte) && byte != b'%';
    if name.iter().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len() + 16);
    for byte in name {
        if is_plain(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02x}").bytes());
        }
    }
    if out.len() > MAX_NAME {
        out.truncate(PREFIX);
        out.extend(b"%~");
        out.extend(Digest::of(name).hex().bytes());
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay() {
        for name in [b"a.b-C_d ~".as_slice(), b"", b"\\"] {
            assert_eq!(*host_name(name), *name);
        }
    }

    #[test]
    fn other_bytes_are_escaped() {
        assert_eq!(*host_name(b"a%\n\xffz"), *b"a%25%0a%ffz");
        assert_eq!(*host_name("é".as_bytes()), *b"%c3%a9");
    }

    #[test]
    fn long_names_fit_and_differ() {
        let (one, two) = (vec![0xff; 255], [vec![0xff; 254], vec![0xfe]].concat());
        assert!(host_name(&one).len() <= MAX_NAME);
        assert_ne!(host_name(&one), host_name(&two));
    }
}
