// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the parts; whole documents are judged by other programs in the
//! acceptance tests.

mod berkeley;
mod ndb;
mod rpm;

use super::os_release::OsRelease;
use super::sqlite::{Column, Database};
use super::{Manager, Package, quoted, whole_seconds};

fn package(version: &str) -> Package {
    Package {
        manager: Manager::Rpm,
        name: "libstdc++".to_owned(),
        version: version.to_owned(),
        epoch: Some(1),
        architecture: Some("aarch64".to_owned()),
        license: None,
        maintainer: None,
        source: None,
    }
}

#[test]
fn package_urls_escape_what_the_specification_says() {
    let os = OsRelease {
        id: "fedora".to_owned(),
        version: Some("40".to_owned()),
    };
    assert_eq!(
        package("14.0~rc1-2").purl(&os),
        "pkg:rpm/fedora/libstdc%2B%2B@14.0~rc1-2?arch=aarch64&distro=fedora-40&epoch=1"
    );
    assert_eq!(quoted("1:2+b/3 ä"), "1:2%2Bb%2F3%20%C3%A4");
}

#[test]
fn times_lose_their_fraction_and_bad_ones_become_1970() {
    let time = |text| whole_seconds(Some(text));
    assert_eq!(time("2024-05-01T02:03:04.567Z"), "2024-05-01T02:03:04Z");
    assert_eq!(time("2024-05-01T02:03:04Z"), "2024-05-01T02:03:04Z");
    for bad in [
        "",
        "2024-05-01",
        "2024-05-01T02:03:04+01:00",
        "\u{e4}Z",
        "x024-05-01T02:03:04Z",
    ] {
        assert_eq!(time(bad), "1970-01-01T00:00:00Z", "{bad}");
    }
}

/// Reads the corpus's database; every row must be what its maker put there.
fn accepts(bytes: &[u8]) -> bool {
    let bytes = bytes.to_vec();
    let Ok(database) = Database::open(&bytes) else {
        return false;
    };
    let mut rows = 0;
    let found = database.scan("Packages", &mut |columns| {
        assert!(columns.len() <= bytes.len());
        if let [Column::Null, Column::Bytes(_)] = columns {
            rows += 1;
        }
        Ok(())
    });
    found.is_ok() && rows == 40
}

#[test]
fn fuzz_sqlite() {
    crate::testing::fuzz("sqlite", &[b"\x05", b"\x0d", b"\xff\xff\xff\xff"], accepts);
}

#[test]
fn row_in_overflow_pages_is_put_together() {
    let seed = include_bytes!("../../../corpus/sqlite/packages").to_vec();
    let mut lengths = Vec::new();
    let database = Database::open(&seed).unwrap();
    let found = database.scan("Packages", &mut |columns| {
        let Column::Bytes(blob) = columns[1] else {
            panic!("no blob");
        };
        let n = blob.len();
        assert!(
            (0..n).all(|at| usize::from(blob[at]) == (at + n) % 251),
            "{n}"
        );
        lengths.push(n);
        Ok(())
    });
    assert!(found.is_ok());
    let made: Vec<usize> = (0..40).map(|n| n * 53).collect();
    assert_eq!(lengths, made);
    let nothing = database.scan("Others", &mut |_| panic!("a row"));
    assert_eq!(nothing.unwrap_err().to_string(), "it lacks a table");
}

#[test]
fn refusal_of_sqlite_says_where() {
    let mut bytes = include_bytes!("../../../corpus/sqlite/packages").to_vec();
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    // The table's root is page 3.
    bytes[2 * size] ^= 0x40;
    let database = Database::open(&bytes);
    let scanned = database.and_then(|database| database.scan("Packages", &mut |_| Ok(())));
    let why = scanned.unwrap_err().to_string();
    assert_eq!(why, "page 3: it is of an unknown kind");
}
