// SPDX-License-Identifier: MIT OR Apache-2.0
//! dpkg: `status`, and `status.d` with a file for each package, as images
//! without dpkg have it.

use std::io;

use elfuse_payload::toc::Kind;

use super::{
    MAX_PACKAGES, Manager, Package, SbomError, database_error, file, invalid, open, stanza,
};
use crate::bundle::Tree;

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_D: &[u8] = b"var/lib/dpkg/status.d/";

#[derive(Debug, Default)]
struct Reader {
    packages: Vec<Package>,
    name: Option<String>,
    version: Option<String>,
    status: Option<String>,
    architecture: Option<String>,
    maintainer: Option<String>,
    source: Option<String>,
}

/// The packages that dpkg says are installed.
pub(super) fn read(tree: &Tree) -> Result<Vec<Package>, SbomError> {
    let mut reader = Reader::default();
    let parts = tree.entries().iter().filter(|entry| {
        // Beside each file there may be one of checksums.
        entry.path.starts_with(STATUS_D)
            && entry.kind == Kind::File
            && !entry.path.ends_with(b".md5sums")
    });
    for entry in file(tree, STATUS).into_iter().chain(parts) {
        let from = open(tree, entry)?;
        stanza::parse(from, &mut reader, Reader::field, Reader::end)
            .map_err(database_error(entry))?;
    }
    Ok(reader.packages)
}

impl Reader {
    fn field(&mut self, name: &str, value: &str) {
        let place = match name {
            "Package" => &mut self.name,
            "Version" => &mut self.version,
            "Status" => &mut self.status,
            "Architecture" => &mut self.architecture,
            "Maintainer" => &mut self.maintainer,
            "Source" => &mut self.source,
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
        // `WANT FLAG STATUS`; a package removed may have left its settings.
        let state = all.status.as_deref().unwrap_or("installed");
        if state.split(' ').next_back() != Some("installed") {
            return Ok(());
        }
        if self.packages.len() == MAX_PACKAGES {
            return Err(invalid("too many packages"));
        }
        // `NAME (VERSION)` where the versions differ.
        let source = all.source.as_deref().and_then(|s| s.split(' ').next());
        let source = source.filter(|source| *source != name).map(str::to_owned);
        self.packages.push(Package {
            manager: Manager::Dpkg,
            name,
            version,
            epoch: None,
            architecture: all.architecture,
            license: None,
            maintainer: all.maintainer,
            source,
        });
        Ok(())
    }
}
