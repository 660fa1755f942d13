// SPDX-License-Identifier: MIT OR Apache-2.0
//! rpm's databases, laid out here from the descriptions of their formats, and
//! the same cut short at every length and with every bit flipped. The corpora
//! were written by rpm 4.16 (ndb) and Berkeley DB 5.3.

use std::io;

use crate::sbom::pages::Order;
use crate::sbom::rpm::{Format, packages};
use crate::sbom::{berkeley, ndb};

pub(super) fn names(format: Format, bytes: &[u8]) -> io::Result<Vec<String>> {
    let found = packages(format, &bytes.to_vec())?;
    Ok(found.into_iter().map(|package| package.name).collect())
}

/// Why a database is refused.
pub(super) fn refusal(format: Format, bytes: &[u8]) -> String {
    names(format, bytes).expect_err("a refusal").to_string()
}

/// A header with what every package has; `text` is left over.
pub(super) fn header(name: &str, text: &str) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, value) in [(1000_u32, name), (1001, "1.0"), (1002, "2"), (1004, text)] {
        let offset = u32::try_from(data.len()).unwrap();
        for word in [tag, 6, offset, 1] {
            index.extend_from_slice(&word.to_be_bytes());
        }
        data.extend_from_slice(value.as_bytes());
        data.push(0);
    }
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&4_u32.to_be_bytes()[..], &length, &index, &data].concat()
}

/// Every database that differs in one bit, and where.
pub(super) fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (bit / 8, bytes)
    })
}

pub(super) fn put(bytes: &mut [u8], at: usize, order: Order, word: usize) {
    let word = u32::try_from(word).unwrap();
    let word = match order {
        Order::Little => word.to_le_bytes(),
        Order::Big => word.to_be_bytes(),
    };
    bytes[at..at + 4].copy_from_slice(&word);
}

fn accepts(format: Format, bytes: &[u8]) -> bool {
    let file = bytes.to_vec();
    let mut length = 0;
    let mut record = |header: &[u8]| {
        length += header.len();
        Ok(())
    };
    let scanned = match format {
        Format::Berkeley => berkeley::scan(&file, &mut record),
        _ => ndb::scan(&file, &mut record),
    };
    assert!(length <= bytes.len(), "{length} bytes in {}", bytes.len());
    let mut names = names(format, bytes).unwrap_or_default();
    assert!(names.is_empty() || scanned.is_ok());
    names.sort();
    names == ["seed", "seed-two"]
}

#[test]
fn fuzz_ndb() {
    let tokens: &[&[u8]] = &[
        b"Slot",
        b"BlbS",
        b"BlbE",
        b"\0\x01\0\0",
        b"\xff\xff\xff\xff",
    ];
    crate::testing::fuzz("ndb", tokens, |bytes| accepts(Format::Ndb, bytes));
}

#[test]
fn fuzz_berkeley() {
    let tokens: &[&[u8]] = &[b"\x03\0\0\0", b"\0\x07", b"\0\x0d", b"\xff\xff\xff\xff"];
    crate::testing::fuzz("berkeley", tokens, |bytes| accepts(Format::Berkeley, bytes));
}

#[test]
fn all_seeds_have_the_packages_that_rpm_lists() {
    for (target, format, seeds) in [("ndb", Format::Ndb, 1), ("berkeley", Format::Berkeley, 2)] {
        let corpus = crate::testing::corpus(target);
        assert_eq!(corpus.len(), seeds);
        assert!(corpus.iter().all(|seed| accepts(format, seed)), "{target}");
    }
}
