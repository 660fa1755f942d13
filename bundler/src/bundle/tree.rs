// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files in a bundle, by path.
//!
//! [`Tree::resolve`] walks as Linux would inside the image: symbolic links
//! count from the image's root, which `..` cannot leave. Nothing of the host
//! takes part. Contents are checked against their digests as they are read.

use std::io;

use elfuse_payload::layer::{ContentReader, LayerReader};
use elfuse_payload::reader::PayloadError;
use elfuse_payload::segment::SectionKind;
use elfuse_payload::toc::{Entry, Kind, Toc};

use super::{Bundle, BundleError};

/// Symbolic links followed in one walk, as Linux has it.
const MAX_LINKS: usize = 40;

/// The table of contents of a bundle and the contents themselves.
pub struct Tree {
    layer: LayerReader,
    toc: Toc,
}

/// A path that does not lead to anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No such entry.
    #[error("look up {0}: not in the image")]
    Missing(String),
    /// Something on the way is a file.
    #[error("look up {0}: not a directory")]
    NotDirectory(String),
    /// More than 40 symbolic links.
    #[error("look up {0}: too many symbolic links")]
    Links(String),
}

impl Tree {
    /// Reads the table of contents of a bundle.
    ///
    /// # Errors
    /// It is damaged.
    pub fn open(bundle: &Bundle) -> Result<Self, BundleError> {
        let failed = |source| BundleError::Payload {
            path: bundle.path().to_path_buf(),
            source,
        };
        let payload = bundle.payload();
        let layer = payload.layer().map_err(failed)?;
        let offset = payload.header().section(SectionKind::Layer).offset;
        let toc = layer
            .toc()
            .map_err(|source| failed(PayloadError::Layer { offset, source }))?;
        Ok(Self { layer, toc })
    }

    /// All entries, sorted by path, the root first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.toc.entries
    }

    /// The layer that the entries are in.
    #[must_use]
    pub fn layer(&self) -> &LayerReader {
        &self.layer
    }

    /// The entry with exactly this path, no link followed.
    #[must_use]
    pub fn entry(&self, path: &[u8]) -> Option<&Entry> {
        self.toc.find(path)
    }

    /// The entry that `path` leads to, all links followed, hard ones too.
    ///
    /// # Errors
    /// What Linux would say of the path, and about which part of it.
    pub fn resolve(&self, path: &[u8]) -> Result<&Entry, LookupError> {
        let mut at: Vec<u8> = Vec::new();
        let mut names = names_reversed(path);
        let mut links = 0;
        while let Some(name) = names.pop() {
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    let slash = at.iter().rposition(|&byte| byte == b'/');
                    at.truncate(slash.unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&at, &name);
            let entry = self.find(&next)?;
            match entry.kind {
                Kind::Dir => at = next,
                Kind::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(LookupError::Links(text(path)));
                    }
                    if entry.link.first() == Some(&b'/') {
                        at.clear();
                    }
                    names.append(&mut names_reversed(&entry.link));
                }
                _ if names.is_empty() => return Ok(entry),
                _ => return Err(LookupError::NotDirectory(text(&next))),
            }
        }
        self.find(&at)
    }

    /// The entry of that path or, for a hard link, the one it names.
    fn find(&self, path: &[u8]) -> Result<&Entry, LookupError> {
        let found = self.toc.find(path).and_then(|entry| match entry.kind {
            Kind::Hardlink => self.toc.find(&entry.link),
            _ => Some(entry),
        });
        found.ok_or_else(|| LookupError::Missing(text(path)))
    }

    /// The contents of a file, as [`Tree::resolve`] found it.
    ///
    /// # Errors
    /// `InvalidInput` if it is not a file.
    pub fn read(&self, file: &Entry) -> io::Result<ContentReader> {
        self.layer.open_entry(file)
    }
}

/// A trailing slash asks for a directory, as `.` does.
fn names_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = path
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if path.last() == Some(&b'/') {
        names.push(b".".to_vec());
    }
    names.reverse();
    names
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        name.to_vec()
    } else {
        [dir, b"/", name].concat()
    }
}

/// A path of an image for people: absolute, and [`escaped`].
#[must_use]
pub fn text(path: &[u8]) -> String {
    format!("/{}", escaped(path.strip_prefix(b"/").unwrap_or(path)))
}

/// Bytes for people: control characters, backslashes and what is not UTF-8
/// become escapes, so that no name can forge a line or move the cursor.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
