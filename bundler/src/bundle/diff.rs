// SPDX-License-Identifier: MIT OR Apache-2.0
//! What makes two bundles different.
//!
//! Files are compared by the two tables of contents alone, contents by their
//! digests; the configs key by key. Where an image came from is no difference,
//! what it does when it is started is.

use std::cmp::Ordering;

use elfuse_payload::toc::{Entry, Kind};
use serde_json::Value;

use super::{Bundle, Tree};

/// What of an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// File, directory, link and so on.
    Type,
    /// Permission bits.
    Mode,
    /// Owner or group.
    Owner,
    /// Modification time.
    Mtime,
    /// Extended attributes.
    Xattrs,
    /// Target of a link.
    Link,
    /// Numbers of a device.
    Device,
    /// Contents of a file.
    Content,
}

/// A path that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Only the second has it.
    Added(&'a Entry),
    /// Only the first has it.
    Removed(&'a Entry),
    /// Both have it.
    Changed(&'a Entry, &'a Entry, Vec<Aspect>),
}

/// All that differs between two bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences<'a> {
    /// Paths, sorted.
    pub files: Vec<Change<'a>>,
    /// Settings, with the value in the first and in the second.
    pub settings: Vec<(String, Value, Value)>,
}

impl Differences<'_> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.settings.is_empty()
    }
}

/// Compares two bundles by their files and by how they start.
///
/// # Errors
/// A config is no JSON.
pub fn compare<'a>(
    (one, one_tree): (&Bundle, &'a Tree),
    (two, two_tree): (&Bundle, &'a Tree),
) -> Result<Differences<'a>, serde_json::Error> {
    let mut settings = Vec::new();
    walk(
        "",
        &settings_of(one)?,
        &settings_of(two)?,
        &mut |name, a, b| settings.push((name.to_owned(), a.clone(), b.clone())),
    );
    Ok(Differences {
        files: files(one_tree.entries(), two_tree.entries()),
        settings,
    })
}

/// Everything that decides how a bundle runs, as one JSON object.
fn settings_of(bundle: &Bundle) -> Result<Value, serde_json::Error> {
    let payload = bundle.payload();
    let mut config: Value = serde_json::from_slice(payload.config())?;
    if let Value::Object(config) = &mut config {
        // The digest of the layer follows from the files.
        config.remove("rootfs");
        let provenance = payload.provenance();
        config.insert("cli".into(), provenance.cli.into());
        config.insert("runOptions".into(), provenance.run_options.clone().into());
    }
    Ok(config)
}

/// Reports every value that differs, objects key by key.
fn walk(name: &str, one: &Value, two: &Value, report: &mut dyn FnMut(&str, &Value, &Value)) {
    let (Value::Object(a), Value::Object(b)) = (one, two) else {
        if one != two {
            report(name, one, two);
        }
        return;
    };
    let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let name = if name.is_empty() {
            key.clone()
        } else {
            format!("{name}.{key}")
        };
        let get = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        walk(&name, &get(a), &get(b), report);
    }
}

fn files<'a>(one: &'a [Entry], two: &'a [Entry]) -> Vec<Change<'a>> {
    let (mut one, mut two) = (one.iter().peekable(), two.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (one.peek(), two.peek()) {
            (Some(a), Some(b)) => a.path.cmp(&b.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return changes,
        };
        let left = one.next_if(|_| order != Ordering::Greater);
        let right = two.next_if(|_| order != Ordering::Less);
        match (left, right) {
            (Some(a), Some(b)) => {
                let aspects = aspects(a, b);
                if !aspects.is_empty() {
                    changes.push(Change::Changed(a, b, aspects));
                }
            }
            (Some(a), None) => changes.push(Change::Removed(a)),
            (None, Some(b)) => changes.push(Change::Added(b)),
            (None, None) => return changes,
        }
    }
}

fn aspects(a: &Entry, b: &Entry) -> Vec<Aspect> {
    if a.kind != b.kind {
        return vec![Aspect::Type];
    }
    // A hard link has its attributes and contents from the entry it names.
    let is_name = a.kind == Kind::Hardlink;
    let content = |e: &Entry| (e.size, e.digest);
    [
        (Aspect::Mode, !is_name && a.mode != b.mode),
        (Aspect::Owner, !is_name && (a.uid, a.gid) != (b.uid, b.gid)),
        (Aspect::Mtime, !is_name && a.mtime != b.mtime),
        (Aspect::Xattrs, !is_name && a.xattrs != b.xattrs),
        (Aspect::Link, a.link != b.link),
        (Aspect::Device, a.device != b.device),
        (Aspect::Content, content(a) != content(b)),
    ]
    .into_iter()
    .filter_map(|(aspect, differs)| differs.then_some(aspect))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use elfuse_payload::Digest;
    use elfuse_payload::toc::Timestamp;
    use serde_json::json;

    fn file(path: &str, contents: &str) -> Entry {
        Entry {
            path: path.into(),
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Vec::new(),
            link: Vec::new(),
            device: (0, 0),
            offset: 0,
            size: contents.len() as u64,
            digest: Some(Digest::of(contents.as_bytes())),
        }
    }

    #[test]
    fn every_path_is_compared_once() {
        let one = [file("a", "1"), file("b", "1"), file("d", "1")];
        let mut moved = file("b", "2");
        moved.uid = 7;
        // The place in the tar is no property of the file.
        let mut same = file("d", "1");
        same.offset = 4096;
        let two = [moved, file("c", "1"), same];
        let found = files(&one, &two);
        assert_eq!(
            found,
            [
                Change::Removed(&one[0]),
                Change::Changed(&one[1], &two[0], vec![Aspect::Owner, Aspect::Content]),
                Change::Added(&two[1]),
            ]
        );
    }

    #[test]
    fn settings_are_compared_key_by_key() {
        let mut found = Vec::new();
        let one = json!({"config": {"Cmd": ["a"], "User": "1"}, "os": "linux"});
        let two = json!({"config": {"Cmd": ["b"], "User": "1", "Env": []}, "os": "linux"});
        walk("", &one, &two, &mut |name, _, _| {
            found.push(name.to_owned())
        });
        assert_eq!(found, ["config.Cmd", "config.Env"]);
    }
}
