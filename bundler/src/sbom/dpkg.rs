// SPDX-License-Identifier: MIT OR Apache-2.0
//! dpkg: `status`, and `status.d` with a file for each package, as images
//! without dpkg have it.

use elfuse_payload::toc::Kind;

use super::stanza::{self, Stanza};
use super::{Manager, Package, SbomError, database_error, file, open};
use crate::bundle::Tree;

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_D: &[u8] = b"var/lib/dpkg/status.d/";

const FIELDS: [&str; 6] = [
    "Package",
    "Version",
    "Status",
    "Architecture",
    "Maintainer",
    "Source",
];

/// The packages that dpkg says are installed.
pub(super) fn read(tree: &Tree) -> Result<Vec<Package>, SbomError> {
    let mut packages = Vec::new();
    let parts = tree.entries().iter().filter(|entry| {
        // Beside each file there may be one of checksums.
        entry.path.starts_with(STATUS_D)
            && entry.kind == Kind::File
            && !entry.path.ends_with(b".md5sums")
    });
    for entry in file(tree, STATUS).into_iter().chain(parts) {
        let from = open(tree, entry)?;
        stanza::read(from, &FIELDS, package, &mut packages).map_err(database_error(entry))?;
    }
    Ok(packages)
}

fn package(mut stanza: Stanza) -> Option<Package> {
    let (name, version) = (stanza.take("Package")?, stanza.take("Version")?);
    // `WANT FLAG STATUS`; a package removed may have left its settings.
    let status = stanza.take("Status");
    let state = status.as_deref().unwrap_or("installed");
    if state.split(' ').next_back() != Some("installed") {
        return None;
    }
    // `NAME (VERSION)` where the versions differ.
    let source = stanza.take("Source");
    let source = source.as_deref().and_then(|s| s.split(' ').next());
    let source = source.filter(|source| *source != name).map(str::to_owned);
    Some(Package {
        manager: Manager::Dpkg,
        name,
        version,
        epoch: None,
        architecture: stanza.take("Architecture"),
        license: None,
        maintainer: stanza.take("Maintainer"),
        source,
    })
}
