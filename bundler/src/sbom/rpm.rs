// SPDX-License-Identifier: MIT OR Apache-2.0
//! rpm: the SQLite database of rpm 4.16 and later. The older formats are
//! refused by name.
//!
//! A row of `Packages` is a package's header: an index of tags, and the data
//! that it points into (rpm's manual, "Header format").

use std::io;

use elfuse_payload::{FileRange, ReadAt};

use super::sqlite::{Column, Database};
use super::{MAX_PACKAGES, Manager, Package, SbomError, database_error, file, invalid, open};
use crate::bundle::{Tree, text};

const DIRS: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];
/// Formats that are not read, by file name.
const OTHERS: [(&str, &str); 2] = [
    ("Packages", "the Berkeley DB format"),
    ("Packages.db", "the ndb format"),
];

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
/// Keys of vendors stand among the packages.
const KEY: &str = "gpg-pubkey";

/// The packages that rpm says are installed.
pub(super) fn read(tree: &Tree, notes: &mut Vec<String>) -> Result<Vec<Package>, SbomError> {
    let found = |name: &str| {
        DIRS.iter()
            .find_map(|dir| file(tree, &format!("{dir}/{name}")))
    };
    let Some(entry) = found("rpmdb.sqlite") else {
        let other = OTHERS
            .iter()
            .find_map(|(name, format)| Some((found(name)?, *format)));
        return match other {
            Some((entry, format)) => Err(SbomError::Unsupported {
                path: text(&entry.path),
                format,
            }),
            None => Ok(Vec::new()),
        };
    };
    if found("rpmdb.sqlite-wal").is_some_and(|log| log.size > 0) {
        let path = text(&entry.path);
        notes.push(format!(
            "{path}: the latest changes, in its write-ahead log, are not read"
        ));
    }
    // Pages are read in any order, and the layer only forward.
    let mut copy = tempfile::tempfile().map_err(database_error(entry))?;
    io::copy(&mut open(tree, entry)?, &mut copy)
        .and_then(|_| packages(FileRange::whole(copy)?))
        .map_err(database_error(entry))
}

fn packages(file: impl ReadAt) -> io::Result<Vec<Package>> {
    let mut packages = Vec::new();
    Database::open(file)?.scan("Packages", &mut |columns| {
        let Some(Column::Bytes(header)) = columns.last() else {
            return Err(invalid("a row of Packages has no header"));
        };
        if packages.len() == MAX_PACKAGES {
            return Err(invalid("too many packages"));
        }
        packages.extend(package(header)?);
        Ok(())
    })?;
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
        let cut = || invalid("a package's header ends too early");
        let ([count, length], rest) = words(bytes).ok_or_else(cut)?;
        let (entries, rest) = usize::try_from(count)
            .ok()
            .and_then(|count| rest.split_at_checked(count.checked_mul(16)?))
            .ok_or_else(cut)?;
        let data = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length));
        Ok(Self {
            index: entries.as_chunks().0,
            data: data.ok_or_else(cut)?,
        })
    }

    /// The data of a tag, if it is of one of these types.
    fn value(&self, tag: u32, kinds: &[u32]) -> Option<&'a [u8]> {
        self.index.iter().find_map(|entry| {
            let ([this, kind, offset, _count], _) = words(entry)?;
            let offset = usize::try_from(offset).ok()?;
            (this == tag && kinds.contains(&kind)).then(|| self.data.get(offset..))?
        })
    }

    fn string(&self, tag: u32) -> Option<String> {
        let value = self.value(tag, &[STRING, I18N_STRING])?;
        let end = value.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&value[..end]).into_owned())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        words(self.value(tag, &[INT32])?).map(|([number], _)| number)
    }
}

/// The first big-endian words of some bytes, and what follows them.
fn words<const N: usize>(bytes: &[u8]) -> Option<([u32; N], &[u8])> {
    let (words, rest) = bytes.split_at_checked(4 * N)?;
    let mut words = words.as_chunks::<4>().0.iter();
    let words = std::array::from_fn(|_| words.next().map_or(0, |word| u32::from_be_bytes(*word)));
    Some((words, rest))
}
