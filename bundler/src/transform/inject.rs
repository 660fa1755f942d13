// SPDX-License-Identifier: MIT OR Apache-2.0
//! Adds host files and directories as one more layer.
//!
//! What is added belongs to root and carries the time `SOURCE_DATE_EPOCH`, or 1970, so
//! that the bundle depends on what the files are and not on who checked them
//! out when. Modes, symbolic links and hard links are kept. Contents are
//! copied to scratch space while they are hashed: a file that changes under us
//! cannot make the payload inconsistent.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use elfuse_payload::Sha256Stream;

use super::{TransformError, Transforms};
use crate::squash::walk::split;
use crate::squash::{
    Content, Entry, Kind, Meta, Name, Problem, Spill, Spilled, SquashError, Timestamp, Tree, Xattrs,
};

/// `--add-file H:C` or `--add-dir H:C`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Where it is on this machine.
    pub host: PathBuf,
    /// Where it goes, absolute in the image.
    pub container: Vec<u8>,
    /// Which of the two options.
    pub what: What,
}

/// What an addition takes from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One regular file; a link on the host is followed.
    File,
    /// A directory with everything below it.
    Dir,
}

impl Addition {
    /// Parses `HOST:CONTAINER`. The last colon separates, so host paths may
    /// contain colons. A container path that ends in a slash is a directory to
    /// put the file into.
    ///
    /// # Errors
    /// When a half is missing or the container path is not absolute and plain.
    pub fn parse(what: What, spec: &str) -> Result<Self, TransformError> {
        let bad = || TransformError::Spec {
            spec: spec.to_owned(),
        };
        let (host, container) = spec.rsplit_once(':').ok_or_else(bad)?;
        if host.is_empty() || !container.starts_with('/') {
            return Err(bad());
        }
        let host = PathBuf::from(host);
        let mut path = container.as_bytes().to_vec();
        if what == What::File && container.ends_with('/') {
            path.extend_from_slice(host.file_name().ok_or_else(bad)?.as_bytes());
        }
        let addition = Self {
            host,
            container: path,
            what,
        };
        addition.check(&addition.host, &addition.container)?;
        Ok(addition)
    }

    /// Applies one of this addition's entries. A directory that exists, be it
    /// through a link, keeps its attributes: `--add-dir D:/lib` must not turn a
    /// link to `usr/lib` into an empty directory.
    fn apply(&self, tree: &mut Tree, layer: u32, entry: Entry) -> Result<(), TransformError> {
        let exists = |tree: &Tree| tree.find_dir(&split(&entry.path)?);
        let is_kept = entry.kind == Kind::Dir && matches!(exists(tree), Ok(Some(_)));
        if is_kept {
            return Ok(());
        }
        let container = Name(entry.path.clone());
        tree.apply(layer, entry)
            .map_err(|problem| TransformError::Container {
                host: self.host.clone(),
                container,
                problem,
            })
    }

    /// Refuses names that a layer gives a meaning of its own.
    fn check(&self, host: &Path, container: &[u8]) -> Result<(), TransformError> {
        let result = split(container).and_then(|parts| {
            let is_reserved = parts.iter().any(|part| part.starts_with(b".wh."));
            if is_reserved {
                Err(Problem::ReservedName)
            } else {
                Ok(())
            }
        });
        result.map_err(|problem| TransformError::Container {
            host: host.to_path_buf(),
            container: Name(container.to_vec()),
            problem,
        })
    }
}

/// Everything the user adds, read once: the cache's key and the tree are made
/// from the same bytes.
#[derive(Debug)]
pub(crate) struct Added {
    additions: Vec<(Addition, Vec<Entry>)>,
    contents: Spilled,
}

impl Added {
    /// Reads the host's files.
    pub(crate) fn collect(
        transforms: &Transforms,
        epoch: Option<i64>,
        scratch: &Path,
    ) -> Result<Self, SquashError> {
        let failed = |source| SquashError::Scratch {
            dir: scratch.to_path_buf(),
            source,
        };
        let mut injector = Injector {
            spill: Spill::create(scratch).map_err(failed)?,
            epoch: epoch.unwrap_or(0),
            links: HashMap::new(),
        };
        let mut additions = Vec::new();
        for addition in &transforms.additions {
            additions.push((addition.clone(), injector.entries(addition)?));
        }
        let contents = injector.spill.finish().map_err(failed)?;
        Ok(Self {
            additions,
            contents,
        })
    }

    /// All entries in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.additions.iter().flat_map(|(_, entries)| entries)
    }

    /// Puts the entries on top of the tree as layer and source `index`; returns
    /// their contents.
    pub(crate) fn apply(self, tree: &mut Tree, index: usize) -> Result<Spilled, TransformError> {
        let layer = u32::try_from(index).unwrap_or(u32::MAX);
        for (addition, entries) in self.additions {
            for mut entry in entries {
                if let Kind::File(content) = &mut entry.kind {
                    content.source = layer;
                }
                addition.apply(tree, layer, entry)?;
            }
        }
        Ok(self.contents)
    }
}

/// Turns additions into entries.
struct Injector {
    spill: Spill,
    /// `SOURCE_DATE_EPOCH`, or 0.
    epoch: i64,
    /// First container path of every host file with several names, within one
    /// addition.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Injector {
    /// The entries of one addition, parents before children, names in byte order.
    fn entries(&mut self, addition: &Addition) -> Result<Vec<Entry>, TransformError> {
        let host = &addition.host;
        let metadata = fs::metadata(host).map_err(|source| host_error(host, source))?;
        let wrong = |expected| {
            Err(TransformError::Type {
                host: host.clone(),
                expected,
            })
        };
        match addition.what {
            What::File if !metadata.is_file() => return wrong("not a regular file"),
            What::Dir if !metadata.is_dir() => return wrong("not a directory"),
            _ => {}
        }
        self.links.clear();
        let mut entries = Vec::new();
        let mut todo = vec![(host.clone(), addition.container.clone(), metadata)];
        while let Some((host, container, metadata)) = todo.pop() {
            addition.check(&host, &container)?;
            if metadata.is_dir() {
                todo.extend(children(&host, &container)?);
            }
            let kind = self.kind(&host, &container, &metadata)?;
            entries.push(Entry {
                path: container,
                kind,
                meta: self.meta(&metadata),
            });
        }
        Ok(entries)
    }

    fn kind(
        &mut self,
        host: &Path,
        container: &[u8],
        metadata: &Metadata,
    ) -> Result<Kind, TransformError> {
        if metadata.is_dir() {
            return Ok(Kind::Dir);
        }
        if metadata.is_symlink() {
            let target = fs::read_link(host).map_err(|source| host_error(host, source))?;
            return Ok(Kind::Symlink(target.into_os_string().into_vec()));
        }
        if !metadata.is_file() {
            let expected = "only files, directories and symbolic links can be added";
            return Err(TransformError::Type {
                host: host.to_path_buf(),
                expected,
            });
        }
        let id = (metadata.dev(), metadata.ino());
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&id) {
                return Ok(Kind::Hardlink(first.clone()));
            }
            let relative = container
                .iter()
                .skip_while(|&&b| b == b'/')
                .copied()
                .collect();
            self.links.insert(id, relative);
        }
        self.content(host)
            .map(Kind::File)
            .map_err(|source| host_error(host, source))
    }

    fn content(&mut self, host: &Path) -> io::Result<Content> {
        let mut file = File::open(host)?;
        let offset = self.spill.position();
        let mut digest = Sha256Stream::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    digest.update(&buffer[..count]);
                    self.spill.write(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let size = self.spill.position() - offset;
        Ok(Content {
            source: 0,
            offset,
            size,
            digest: digest.finish(),
        })
    }

    fn meta(&self, metadata: &Metadata) -> Meta {
        Meta {
            mode: metadata.permissions().mode() & 0o7777,
            uid: 0,
            gid: 0,
            mtime: Timestamp {
                secs: self.epoch,
                nanos: 0,
            },
            xattrs: Xattrs::new(),
        }
    }
}

type Child = (PathBuf, Vec<u8>, Metadata);

/// A directory's children, the first name last, as a stack wants them.
fn children(host: &Path, container: &[u8]) -> Result<Vec<Child>, TransformError> {
    let mut children = Vec::new();
    for child in fs::read_dir(host).map_err(|source| host_error(host, source))? {
        let child = child.map_err(|source| host_error(host, source))?;
        let path = child.path();
        let metadata = fs::symlink_metadata(&path).map_err(|source| host_error(&path, source))?;
        let name = child.file_name();
        children.push((path, [container, b"/", name.as_bytes()].concat(), metadata));
    }
    children.sort_unstable_by(|a, b| b.1.cmp(&a.1));
    Ok(children)
}

fn host_error(host: &Path, source: io::Error) -> TransformError {
    TransformError::Host {
        host: host.to_path_buf(),
        source,
    }
}
