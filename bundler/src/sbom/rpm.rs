// SPDX-License-Identifier: MIT OR Apache-2.0
//! rpm: its database in any of the three formats that it has had.
//!
//! Each holds headers of packages: an index of tags, and the data that it
//! points into (rpm's manual, "Header format"). Of several databases the one
//! is read that rpm would use.

use std::io;

use elfuse_payload::toc::Entry;
use elfuse_payload::{FileRange, ReadAt};

use super::pages::{Order, cut};
use super::sqlite::{Column, Database};
use super::{
    MAX_DATABASE, MAX_PACKAGES, Manager, Package, SbomError, berkeley, database_error, file,
    invalid, ndb, open,
};
use crate::bundle::{Tree, text};

const DIRS: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];
/// In the order in which rpm looks for them.
const DATABASES: [(&str, Format); 3] = [
    ("rpmdb.sqlite", Format::Sqlite),
    ("Packages.db", Format::Ndb),
    ("Packages", Format::Berkeley),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Sqlite,
    Ndb,
    Berkeley,
}

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;

const INT32: u32 = 4;
const STRING: u32 = 6;
const I18N_STRING: u32 = 9;
/// The byte order of headers, whatever that of the database is.
const ORDER: Order = Order::Big;
/// A text that is longer counts as missing.
const MAX_TEXT: usize = 64 << 10;
/// Keys of vendors stand among the packages.
const KEY: &str = "gpg-pubkey";

/// The packages that rpm says are installed.
pub(super) fn read(tree: &Tree, notes: &mut Vec<String>) -> Result<Vec<Package>, SbomError> {
    let found = find(tree);
    let Some(((entry, format), others)) = found.split_first() else {
        return Ok(Vec::new());
    };
    let path = text(&entry.path);
    for (other, _) in others {
        let other = text(&other.path);
        notes.push(format!("{other}: not read, as rpm reads {path}"));
    }
    if *format == Format::Sqlite
        && file(tree, &format!("{path}-wal")).is_some_and(|log| log.size > 0)
    {
        notes.push(format!(
            "{path}: the latest changes, in its write-ahead log, are not read"
        ));
    }
    // Pages are read in any order, and the layer only forward.
    let mut copy = tempfile::tempfile().map_err(database_error(entry))?;
    io::copy(&mut open(tree, entry)?, &mut copy)
        .and_then(|_| packages(*format, &FileRange::whole(copy)?))
        .map_err(database_error(entry))
}

/// The databases that there are, the one first that rpm reads.
fn find(tree: &Tree) -> Vec<(&Entry, Format)> {
    let mut found: Vec<(&Entry, Format)> = Vec::new();
    for dir in DIRS {
        for (name, format) in DATABASES {
            let entry = file(tree, &format!("{dir}/{name}"));
            // One directory is often a symbolic link to the other.
            let is_new = |entry: &&Entry| found.iter().all(|(seen, _)| seen.path != entry.path);
            found.extend(entry.filter(is_new).map(|entry| (entry, format)));
        }
    }
    found
}

/// The packages in a database of some format.
pub(super) fn packages(format: Format, file: &impl ReadAt) -> io::Result<Vec<Package>> {
    let mut packages = Vec::new();
    let mut length = 0;
    let mut record = |header: &[u8]| {
        length += header.len() as u64;
        // Rows of SQLite may share their bytes.
        if packages.len() == MAX_PACKAGES || length > MAX_DATABASE {
            return Err(invalid("its packages are too many or too long"));
        }
        packages.extend(package(header)?);
        Ok(())
    };
    match format {
        Format::Sqlite => {
            let mut row = |columns: &[Column<'_>]| match columns.last() {
                Some(Column::Bytes(header)) => record(header),
                _ => Err(invalid("a row of Packages has no header")),
            };
            Database::open(file)?.scan("Packages", &mut row)?;
        }
        Format::Ndb => ndb::scan(file, &mut record)?,
        Format::Berkeley => berkeley::scan(file, &mut record)?,
    }
    Ok(packages)
}

/// Reads a header; `None` is for what is no package.
fn package(header: &[u8]) -> io::Result<Option<Package>> {
    let header = Header::parse(header)?;
    let needed = |tag| {
        header
            .string(tag)
            .ok_or_else(|| invalid("a package has no name or version"))
    };
    let name = needed(NAME)?;
    if name == KEY {
        return Ok(None);
    }
    Ok(Some(Package {
        manager: Manager::Rpm,
        version: format!("{}-{}", needed(VERSION)?, needed(RELEASE)?),
        name,
        epoch: header.number(EPOCH),
        architecture: header.string(ARCH),
        license: header.string(LICENSE),
        maintainer: header.string(VENDOR),
        source: header.string(SOURCE_RPM),
    }))
}

struct Header<'a> {
    index: &'a [[u8; 16]],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> io::Result<Self> {
        let [count, length] = ORDER.words(bytes)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let rest = bytes.get(8..).ok_or_else(cut)?;
        let (index, data) = rest
            .split_at_checked(count.saturating_mul(16))
            .ok_or_else(cut)?;
        Ok(Self {
            index: index.as_chunks().0,
            data: data.get(..length).ok_or_else(cut)?,
        })
    }

    /// The data of a tag, if it is of one of these types.
    fn value(&self, tag: u32, kinds: &[u32]) -> Option<&'a [u8]> {
        self.index.iter().find_map(|entry| {
            let [this, kind, offset, _count] = ORDER.words(entry).ok()?;
            let offset = usize::try_from(offset).ok()?;
            (this == tag && kinds.contains(&kind)).then(|| self.data.get(offset..))?
        })
    }

    fn string(&self, tag: u32) -> Option<String> {
        let value = self.value(tag, &[STRING, I18N_STRING])?;
        let end = value.iter().take(MAX_TEXT).position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&value[..end]).into_owned())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        ORDER.u32(self.value(tag, &[INT32])?, 0).ok()
    }
}
