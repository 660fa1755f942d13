// SPDX-License-Identifier: MIT OR Apache-2.0
//! How results and errors are printed.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints `error: what: why` and, on lines of their own, the hints. A cause
/// that the message before it already tells is not repeated.
pub(super) fn print_error(error: &anyhow::Error) {
    let (text, hints) = describe(error);
    // Nobody is left to be told when standard error is gone.
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "error: {text}");
    for hint in hints {
        let _ = writeln!(err, "{hint}");
    }
}

/// An error in one line.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    describe(error).0
}

/// The error in one line, and its hints.
fn describe(error: &anyhow::Error) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut hints = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        let mut lines = message.lines();
        let first = lines.next().unwrap_or_default();
        if !text.contains(first) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(first);
        }
        let lines = lines.chain(no_room(cause));
        for line in lines {
            if !hints.contains(&line.to_owned()) {
                hints.push(line.to_owned());
            }
        }
    }
    (text, hints)
}

/// What to do when the host has no room; hardly any place that writes can tell.
fn no_room(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let kind = cause.downcast_ref::<io::Error>()?.kind();
    matches!(kind, FileTooLarge | QuotaExceeded | StorageFull).then_some(
        "hint: make room there (elfuse-bundle prune), or name other places with -o and --store",
    )
}

/// Prints a value as indented JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    print_line(&text)
}

/// Prints what a command has to say in a line.
pub(super) fn print_line(line: &dyn Display) -> anyhow::Result<()> {
    until_closed(|out| writeln!(out, "{line}"))
}

/// Prints aligned `name  value` lines, leaving out empty values.
pub(super) fn print_fields(fields: &[(&str, String)]) -> anyhow::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut shown = fields.iter().filter(|(_, value)| !value.is_empty());
    until_closed(|out| shown.try_for_each(|(name, value)| writeln!(out, "{name:width$}  {value}")))
}

/// Writes to standard output; a reader that has seen enough is no error.
pub(super) fn until_closed(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is still in the buffer would only fail again.
            let _ = out.into_parts();
            Ok(())
        }
        other => other.context("print"),
    }
}
