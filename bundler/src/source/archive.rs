// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files inside an uncompressed tar archive, read in place.
//!
//! [`Archive::open`] reads the headers once and remembers where each file's bytes
//! lie; the archive is never unpacked. Symbolic and hard links, with which
//! `docker save` names a layer twice, lead to other entries of the same archive
//! and to nothing else. When a name comes twice the last one counts, as in tar.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use super::files::Files;
use crate::image::{BlobHandle, OpenBlob};
use crate::squash::tar::reader::{Header, HeaderKind, TarReader};

/// Entries an archive of images may have.
const MAX_ENTRIES: usize = 1 << 18;
/// Links followed to find one file.
const MAX_LINKS: usize = 8;

/// An archive whose entries are known.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    File { offset: u64, size: u64 },
    Link(String),
    Other(&'static str),
}

impl Archive {
    /// Reads the headers of the archive at `path`.
    ///
    /// # Errors
    /// It cannot be read, is compressed, or is no archive.
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let failed = |source| SourceError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            let why = if meta.is_dir() {
                "a directory\nhint: an OCI layout in a directory is oci:DIR"
            } else {
                "not a regular file"
            };
            return Err(SourceError::format(path, why));
        }
        if let Some(how) = compression(&file).map_err(failed)? {
            return Err(SourceError::Format {
                path: path.to_path_buf(),
                why: format!("compressed with {how}\nhint: decompress the archive first"),
            });
        }
        let mut archive = Self {
            path: path.to_path_buf(),
            file: Arc::new(file),
            entries: HashMap::new(),
        };
        archive.index(meta.len())?;
        Ok(archive)
    }

    fn index(&mut self, length: u64) -> Result<(), SourceError> {
        let mut reader = TarReader::new(BufReader::new(&*self.file));
        let mut entries = HashMap::new();
        loop {
            let header = match reader.next() {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => {
                    let at = reader.current().escape_ascii().to_string();
                    let why = format!("no tar archive: after {at:?}: {error}");
                    return Err(SourceError::format(&self.path, why));
                }
            };
            let name = String::from_utf8(header.path.clone()).ok();
            let name = name.and_then(|name| resolve("", &name));
            if let Some(name) = name {
                let entry = entry(&name, &header, length);
                entries.insert(name, entry);
            }
            if entries.len() > MAX_ENTRIES {
                return Err(SourceError::format(&self.path, "too many entries"));
            }
            let skipped = reader.seek_rest();
            skipped.map_err(|error| SourceError::format(&self.path, error.to_string()))?;
        }
        self.entries = entries;
        Ok(())
    }

    /// Whether there is such a name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    fn wrong(&self, name: &str, why: &str) -> SourceError {
        SourceError::format(&self.path, format!("entry {name:?}: {why}"))
    }
}

impl Files for Archive {
    fn file(&self, name: &str) -> Result<(BlobHandle, u64), SourceError> {
        let mut at = name;
        for _ in 0..MAX_LINKS {
            match self.entries.get(at) {
                Some(&Entry::File { offset, size }) => {
                    let part = Part {
                        file: Arc::clone(&self.file),
                        offset,
                        end: offset + size,
                    };
                    return Ok((BlobHandle::new(part), size));
                }
                Some(Entry::Link(target)) => at = target,
                Some(Entry::Other(why)) => return Err(self.wrong(name, why)),
                None => return Err(self.wrong(name, "not there")),
            }
        }
        Err(self.wrong(name, "too many links"))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn entry(name: &str, header: &Header, length: u64) -> Entry {
    let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
    let link = |dir: &str, target: &[u8]| {
        let target = std::str::from_utf8(target).ok();
        target
            .and_then(|target| resolve(dir, target))
            .map_or(Entry::Other("a link that leads outside"), Entry::Link)
    };
    match &header.kind {
        HeaderKind::File if header.sparse.is_some() => Entry::Other("a sparse file"),
        HeaderKind::File => match header.data_offset.checked_add(header.size) {
            Some(end) if end <= length => Entry::File {
                offset: header.data_offset,
                size: header.size,
            },
            _ => Entry::Other("cut off: the archive is truncated"),
        },
        HeaderKind::Symlink(target) => link(dir, target),
        HeaderKind::Hardlink(target) => link("", target),
        _ => Entry::Other("not a file"),
    }
}

/// The plain form of `path` seen from `dir`; `None` if it leads outside.
fn resolve(dir: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The compression that the first bytes of a file tell of.
pub(super) fn compression(file: &File) -> io::Result<Option<&'static str>> {
    const MAGIC: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
    ];
    let mut start = [0; 6];
    let count = file.read_at(&mut start, 0)?;
    let found = MAGIC
        .iter()
        .find(|(magic, _)| start[..count].starts_with(magic));
    Ok(found.map(|(_, name)| *name))
}

/// Bytes in the middle of an open file; as a reader, those not yet read.
#[derive(Debug, Clone)]
struct Part {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl OpenBlob for Part {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.clone()))
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
