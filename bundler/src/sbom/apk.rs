// SPDX-License-Identifier: MIT OR Apache-2.0
//! apk: `installed`, with fields of one letter.

use super::stanza::{self, Stanza};
use super::{Manager, Package, SbomError, database_error, file, open};
use crate::bundle::Tree;

/// Newer systems have it below `usr`; a link makes both the same file.
const PLACES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

const FIELDS: [&str; 6] = ["P", "V", "A", "L", "m", "o"];

/// The packages that apk says are installed.
pub(super) fn read(tree: &Tree) -> Result<Vec<Package>, SbomError> {
    let mut packages = Vec::new();
    if let Some(entry) = PLACES.iter().find_map(|path| file(tree, path)) {
        let from = open(tree, entry)?;
        stanza::read(from, &FIELDS, package, &mut packages).map_err(database_error(entry))?;
    }
    Ok(packages)
}

fn package(mut stanza: Stanza) -> Option<Package> {
    let (name, version) = (stanza.take("P")?, stanza.take("V")?);
    Some(Package {
        manager: Manager::Apk,
        source: stanza.take("o").filter(|origin| *origin != name),
        name,
        version,
        epoch: None,
        architecture: stanza.take("A"),
        license: stanza.take("L"),
        maintainer: stanza.take("m"),
    })
}
