// SPDX-License-Identifier: MIT OR Apache-2.0
//! Databases of text: stanzas of fields, with an empty line between them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use super::{MAX_PACKAGES, Package, invalid};

/// A line longer than this is refused.
const MAX_LINE: u64 = 1 << 20;

/// The fields of a stanza that were asked for, trimmed; the last of a name
/// counts.
#[derive(Debug, Default)]
pub(super) struct Stanza(BTreeMap<&'static str, String>);

impl Stanza {
    pub(super) fn take(&mut self, field: &'static str) -> Option<String> {
        self.0.remove(field)
    }
}

/// Adds the packages that `package` makes of the stanzas; lines that go on with
/// a field are passed over.
pub(super) fn read(
    from: impl Read,
    fields: &[&'static str],
    package: fn(Stanza) -> Option<Package>,
    packages: &mut Vec<Package>,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let (mut line, mut stanza) = (Vec::new(), Stanza::default());
    loop {
        line.clear();
        let count = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if count as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            return Err(invalid("a line is longer than 1 MiB"));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            if let Some(found) = package(std::mem::take(&mut stanza)) {
                if packages.len() == MAX_PACKAGES {
                    return Err(invalid("too many packages"));
                }
                packages.push(found);
            }
            if count == 0 {
                return Ok(());
            }
        } else if !text.starts_with([' ', '\t'])
            && let Some((name, value)) = text.split_once(':')
            && let Some(field) = fields.iter().find(|field| **field == name)
        {
            stanza.0.insert(field, value.trim().to_owned());
        }
    }
}
