// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle list FILE [PATH]...`: what is in a bundle, as `ls -l` shows it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use elfuse_payload::toc::{Entry, Kind};
use serde_json::{Value, json};

use super::{Outcome, output};
use crate::bundle::{Bundle, LookupError, Tree, escaped, text};
use crate::date;

/// What to list.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Control characters, backslashes and bytes that are not UTF-8 are escaped. Times are UTC.\n\nExamples:\n  elfuse-bundle list ./alpine\n  elfuse-bundle list ./alpine /etc /usr/bin\n  elfuse-bundle list ./alpine --json | jq '.[] | select(.size > 1000000) | .path'"
)]
pub(super) struct ListArgs {
    /// The bundle
    file: PathBuf,
    /// Only these and what is below them
    paths: Vec<OsString>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<Outcome> {
    let tree = Tree::open(&Bundle::open(&args.file)?)?;
    let mut wanted = Vec::new();
    for path in &args.paths {
        wanted.push(start(&tree, path)?);
    }
    let entries = tree.entries().iter();
    let chosen: Vec<&Entry> = entries
        .filter(|entry| wanted.is_empty() || wanted.iter().any(|dir| is_below(dir, &entry.path)))
        .collect();
    if args.json {
        let list: Vec<Value> = chosen.iter().map(|entry| describe(entry)).collect();
        output::print_json(&list)?;
    } else {
        output::until_closed(|out| chosen.iter().try_for_each(|entry| line(out, entry)))?;
    }
    Ok(Outcome::Success)
}

/// Where a listing starts: the path itself if it is there, as `ls` does with a
/// link, or else where it leads.
fn start(tree: &Tree, path: &OsStr) -> Result<Vec<u8>, LookupError> {
    let path = path.as_bytes();
    let begin = path
        .iter()
        .position(|&byte| byte != b'/')
        .unwrap_or(path.len());
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(begin, |last| last + 1);
    if let Some(entry) = tree.entry(&path[begin..end]) {
        return Ok(entry.path.clone());
    }
    Ok(tree.resolve(path)?.path.clone())
}

fn is_below(dir: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => dir.is_empty() || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

fn line(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let size = match entry.kind {
        Kind::CharDevice | Kind::BlockDevice => format!("{}, {}", entry.device.0, entry.device.1),
        _ => entry.size.to_string(),
    };
    let target = match entry.kind {
        Kind::Symlink => format!(" -> {}", escaped(&entry.link)),
        Kind::Hardlink => format!(" link to {}", text(&entry.link)),
        _ => String::new(),
    };
    writeln!(
        out,
        "{}{} {:>5} {:>5} {size:>11} {} {}{target}",
        mode(entry),
        if entry.xattrs.is_empty() { ' ' } else { '+' },
        entry.uid,
        entry.gid,
        date::readable(entry.mtime.secs),
        text(&entry.path),
    )
}

/// Type and permissions in ten letters.
fn mode(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File => '-',
        Kind::Dir => 'd',
        Kind::Symlink => 'l',
        Kind::Hardlink => 'h',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Fifo => 'p',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (bits & 1 != 0, entry.mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn describe(entry: &Entry) -> Value {
    let xattrs = entry.xattrs.iter().map(|(name, value)| {
        use base64::Engine as _;
        let value = base64::engine::general_purpose::STANDARD.encode(value);
        (String::from_utf8_lossy(name).into_owned(), json!(value))
    });
    let mut value = json!({
        "path": text(&entry.path),
        "type": kind_name(entry.kind),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": date::rfc3339(entry.mtime.secs),
        "mtimeNanos": entry.mtime.nanos,
    });
    match entry.kind {
        Kind::File => {
            value["size"] = json!(entry.size);
            value["digest"] = json!(entry.digest);
        }
        Kind::Symlink => value["target"] = json!(escaped(&entry.link)),
        Kind::Hardlink => value["target"] = json!(text(&entry.link)),
        Kind::CharDevice | Kind::BlockDevice => {
            value["device"] = json!([entry.device.0, entry.device.1]);
        }
        Kind::Dir | Kind::Fifo => {}
    }
    if !entry.xattrs.is_empty() {
        value["xattrs"] = Value::Object(xattrs.collect());
    }
    value
}

/// The kind in one word.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "directory",
        Kind::Symlink => "symlink",
        Kind::Hardlink => "hardlink",
        Kind::CharDevice => "character device",
        Kind::BlockDevice => "block device",
        Kind::Fifo => "fifo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_means_whole_names() {
        assert!(is_below(b"", b"etc"));
        assert!(is_below(b"etc", b"etc") && is_below(b"etc", b"etc/passwd"));
        assert!(!is_below(b"etc", b"etcetera") && !is_below(b"etc/passwd", b"etc"));
    }
}
