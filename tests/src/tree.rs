// SPDX-License-Identifier: MIT OR Apache-2.0
//! Describes a directory tree on disk so that two can be compared entry by
//! entry: type, mode, owner, times to the nanosecond, device numbers, extended
//! attributes, link structure and contents. Needs root to see everything.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use elfuse_payload::Digest;

/// One line per path, the path escaped. Names of one file list the first.
pub type Listing = BTreeMap<String, String>;

/// Describes everything below `root`, and `root` itself as `.`.
///
/// # Errors
/// What the host says about the first file that cannot be examined.
pub fn describe(root: &Path) -> io::Result<Listing> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            for child in fs::read_dir(&path)? {
                todo.push(child?.path());
            }
        }
        let relative = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .as_os_str()
            .as_bytes()
            .to_vec();
        found.insert(relative, (path, metadata));
    }
    let mut first_names = HashMap::new();
    let mut listing = Listing::new();
    for (relative, (path, metadata)) in found {
        let name = if relative.is_empty() {
            b".".to_vec()
        } else {
            relative
        };
        let name = name.escape_ascii().to_string();
        let line = match first_names.get(&metadata.ino()) {
            Some(first) => format!("same file as {first}"),
            None => line(&path, &metadata)?,
        };
        if !metadata.is_dir() {
            first_names
                .entry(metadata.ino())
                .or_insert_with(|| name.clone());
        }
        listing.insert(name, line);
    }
    Ok(listing)
}

fn line(path: &Path, metadata: &Metadata) -> io::Result<String> {
    let (kind, extra) = kind(path, metadata)?;
    // The mode of a symbolic link means nothing and cannot be set.
    let mode = if metadata.is_symlink() {
        0o777
    } else {
        metadata.mode() & 0o7777
    };
    let mut line = format!(
        "{kind} {mode:04o} {}:{} {}.{:09}",
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec()
    );
    line.push_str(&extra);
    for (name, value) in xattrs(path)? {
        line.push_str(&format!(
            " {}={}",
            name.escape_ascii(),
            value.escape_ascii()
        ));
    }
    Ok(line)
}

fn kind(path: &Path, metadata: &Metadata) -> io::Result<(&'static str, String)> {
    let file_type = metadata.file_type();
    let device = || {
        let device = metadata.rdev();
        format!(
            " {}:{}",
            rustix::fs::major(device),
            rustix::fs::minor(device)
        )
    };
    Ok(if file_type.is_dir() {
        ("dir", String::new())
    } else if file_type.is_symlink() {
        let target = fs::read_link(path)?;
        (
            "symlink",
            format!(" -> {}", target.as_os_str().as_bytes().escape_ascii()),
        )
    } else if file_type.is_file() {
        let digest = Digest::of(&fs::read(path)?).to_string();
        ("file", format!(" {} {}", metadata.size(), &digest[7..19]))
    } else if file_type.is_char_device() {
        ("char", device())
    } else if file_type.is_block_device() {
        ("block", device())
    } else {
        ("fifo", String::new())
    })
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0; 65536];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut all = BTreeMap::new();
    for name in names[..length]
        .split(|&b| b == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 65536];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value)?;
        value.truncate(length);
        all.insert(name.to_vec(), value);
    }
    Ok(all)
}

/// What differs, one line per path: `- left` and `+ right`.
#[must_use]
pub fn differences(left: &Listing, right: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    for name in names {
        let (one, other) = (left.get(name), right.get(name));
        if one != other {
            lines.extend(one.map(|line| format!("- {name}: {line}")));
            lines.extend(other.map(|line| format!("+ {name}: {line}")));
        }
    }
    lines
}
