// SPDX-License-Identifier: MIT OR Apache-2.0
//! Databases of text: stanzas of fields, with an empty line between them.

use std::io::{self, BufRead, BufReader, Read};

use super::invalid;

/// A line longer than this is refused.
const MAX_LINE: u64 = 1 << 20;

/// Hands each field to `field`, without lines that go on with one, and calls
/// `end` after each stanza. `field` gets the text before the first colon, and
/// what follows it, trimmed.
pub(super) fn parse<S>(
    from: impl Read,
    state: &mut S,
    field: fn(&mut S, &str, &str),
    end: fn(&mut S) -> io::Result<()>,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if count as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            return Err(invalid("a line is longer than 1 MiB"));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            end(state)?;
            if count == 0 {
                return Ok(());
            }
        } else if !text.starts_with([' ', '\t'])
            && let Some((name, value)) = text.split_once(':')
        {
            field(state, name, value.trim());
        }
    }
}
