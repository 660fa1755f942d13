// SPDX-License-Identifier: MIT OR Apache-2.0
//! os-release(5): which distribution the packages are of.

use std::io::Read;

use super::{SbomError, database_error, file, open};
use crate::bundle::Tree;

/// More than this is not read.
const MAX_LENGTH: u64 = 64 << 10;

/// The distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OsRelease {
    /// `ID`, such as `debian`; `linux` where nothing is said.
    pub(super) id: String,
    /// `VERSION_ID`, such as `12`.
    pub(super) version: Option<String>,
}

impl OsRelease {
    pub(super) fn of(tree: &Tree) -> Result<Self, SbomError> {
        let places = ["etc/os-release", "usr/lib/os-release"];
        let Some(entry) = places.iter().find_map(|path| file(tree, path)) else {
            return Ok(Self::parse(""));
        };
        let mut text = Vec::new();
        let from = open(tree, entry)?;
        from.take(MAX_LENGTH)
            .read_to_end(&mut text)
            .map_err(database_error(entry))?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let mut lines = text.lines().rev();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let value = value.trim().trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        Self {
            id: value("ID").unwrap_or_else(|| "linux".to_owned()),
            version: value("VERSION_ID"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OsRelease;

    #[test]
    fn id_and_version_are_unquoted_and_the_last_one_counts() {
        let text = "NAME=x\nID=\"a\"\nVERSION_ID='3.20'\nID=debian\nVERSION_ID_X=1\n";
        let os = OsRelease::parse(text);
        assert_eq!(
            (&os.id[..], os.version.as_deref()),
            ("debian", Some("3.20"))
        );
        assert_eq!(OsRelease::parse("ID=\n").id, "linux");
    }
}
