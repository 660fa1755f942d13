// SPDX-License-Identifier: MIT OR Apache-2.0
//! apk: `installed`, with fields of one letter.

use std::io;

use super::{
    MAX_PACKAGES, Manager, Package, SbomError, database_error, file, invalid, open, stanza,
};
use crate::bundle::Tree;

/// Newer systems have it below `usr`; a link makes both the same file.
const PLACES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

#[derive(Debug, Default)]
struct Reader {
    packages: Vec<Package>,
    name: Option<String>,
    version: Option<String>,
    architecture: Option<String>,
    license: Option<String>,
    maintainer: Option<String>,
    origin: Option<String>,
}

/// The packages that apk says are installed.
pub(super) fn read(tree: &Tree) -> Result<Vec<Package>, SbomError> {
    let mut reader = Reader::default();
    if let Some(entry) = PLACES.iter().find_map(|path| file(tree, path)) {
        let from = open(tree, entry)?;
        stanza::parse(from, &mut reader, Reader::field, Reader::end)
            .map_err(database_error(entry))?;
    }
    Ok(reader.packages)
}

impl Reader {
    fn field(&mut self, name: &str, value: &str) {
        let place = match name {
            "P" => &mut self.name,
            "V" => &mut self.version,
            "A" => &mut self.architecture,
            "L" => &mut self.license,
            "m" => &mut self.maintainer,
            "o" => &mut self.origin,
            _ => return,
        };
        *place = Some(value.to_owned());
    }

    fn end(&mut self) -> io::Result<()> {
        let all = std::mem::take(self);
        self.packages = all.packages;
        let (Some(name), Some(version)) = (all.name, all.version) else {
            return Ok(());
        };
        if self.packages.len() == MAX_PACKAGES {
            return Err(invalid("too many packages"));
        }
        self.packages.push(Package {
            manager: Manager::Apk,
            source: all.origin.filter(|origin| *origin != name),
            name,
            version,
            epoch: None,
            architecture: all.architecture,
            license: all.license,
            maintainer: all.maintainer,
        });
        Ok(())
    }
}
