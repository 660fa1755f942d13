// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacked images, kept from run to run: one directory for each layer digest.
//!
//! `images/HEX/tree` is the tree, `images/HEX/complete` says that all of it is there;
//! both come by one rename of a temporary directory. `locks/HEX` is held shared by
//! whoever uses an image and alone by whoever makes or removes it, so two starts
//! unpack once and nothing in use is removed. What an interrupted start left
//! behind goes when the lock is next held alone. Only names of this shape are
//! ever removed. Files that change later are found by [`crate::tree`].

mod manage;
mod place;
mod progress;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use elfuse_payload::Digest;
use elfuse_payload::extract::{Attribute, ExtractOptions, Names, Special};
use elfuse_payload::layer::LayerReader;
use elfuse_payload::reader::Payload;
use elfuse_payload::segment::SectionKind;
use elfuse_payload::toc::Toc;

use crate::{CacheError, StubError};
pub(crate) use manage::{detach, prune, status};
pub(crate) use place::directory;

/// The first line of `complete`; another version's trees are made again.
const COMPLETE: &str = "elfuse image 1";

/// The directory of all unpacked images.
pub(crate) struct Cache {
    base: PathBuf,
}

/// An unpacked image in use; dropping it lets others remove it.
pub(crate) struct CachedImage {
    /// The directory that holds the tree.
    pub(crate) tree: PathBuf,
    /// Nothing in the tree has changed since, unless somebody else did it.
    pub(crate) finished: SystemTime,
    /// The table of contents.
    pub(crate) toc: Toc,
    /// The contents, to repair files from.
    pub(crate) layer: LayerReader,
    _lock: File,
}

impl Cache {
    /// The cache of this user.
    pub(crate) fn open() -> Result<Self, CacheError> {
        Self::at(place::base()?)
    }

    pub(crate) fn at(base: PathBuf) -> Result<Self, CacheError> {
        for dir in ["images", "locks"].map(|name| base.join(name)) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|source| CacheError::Directory { path: dir, source })?;
        }
        Ok(Self { base })
    }

    fn images(&self) -> PathBuf {
        self.base.join("images")
    }

    fn lock_file(&self, name: &str) -> Result<File, CacheError> {
        let path = self.base.join("locks").join(name);
        let mut options = File::options();
        let opened = options.create(true).truncate(false).read(true).write(true);
        opened
            .open(&path)
            .map_err(|source| CacheError::Directory { path, source })
    }

    /// The unpacked image of `payload`, made when it is missing.
    pub(crate) fn image(&self, payload: &Payload) -> Result<CachedImage, StubError> {
        let digest = payload.header().section(SectionKind::Layer).digest;
        let layer = payload.layer()?;
        let name = digest.hex();
        let directory = self.images().join(&name);
        let failed = |source| CacheError::Directory {
            path: directory.clone(),
            source,
        };
        let lock = self.lock_file(&name)?;
        let mut made: Option<Toc> = None;
        loop {
            lock.lock_shared().map_err(failed)?;
            if let Some(finished) = finished(&directory, &digest) {
                let toc = match made {
                    Some(toc) => toc,
                    None => layer.toc().map_err(CacheError::Contents)?,
                };
                note_use(&directory);
                let tree = directory.join("tree");
                return Ok(CachedImage {
                    tree,
                    finished,
                    toc,
                    layer,
                    _lock: lock,
                });
            }
            lock.unlock().map_err(failed)?;
            lock.lock().map_err(failed)?;
            // Another start may have made it meanwhile.
            if finished(&directory, &digest).is_none() {
                made = Some(self.make(&layer, &digest)?);
            }
            lock.unlock().map_err(failed)?;
        }
    }

    /// Unpacks `layer`; the lock is held alone.
    fn make(&self, layer: &LayerReader, digest: &Digest) -> Result<Toc, StubError> {
        let name = digest.hex();
        let directory = self.images().join(&name);
        let unfinished = self.images().join(format!(".new-{name}"));
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| CacheError::Directory { path, source }
        };
        for old in [&unfinished, &directory] {
            remove_tree(old).map_err(failed(old))?;
        }
        let tree = unfinished.join("tree");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&tree);
        made.map_err(failed(&tree))?;
        let root = File::open(&tree).map_err(failed(&tree))?;
        let progress = progress::Progress::start(layer.tar_size());
        let advance = |bytes| progress.advance(bytes);
        let toc = elfuse_payload::extract::extract(layer, root.as_fd(), &options(), &advance);
        drop(progress);
        let toc = toc.inspect_err(|_| {
            // The reason that is reported is why it failed.
            let _ = remove_tree(&unfinished);
        })?;
        let bytes: u64 = toc.entries.iter().map(|entry| entry.size).sum();
        let marker = unfinished.join("complete");
        let text = format!("{COMPLETE}\n{digest}\n{bytes}\n");
        let written = File::create(&marker).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(failed(&marker))?;
        fs::rename(&unfinished, &directory).map_err(failed(&directory))?;
        Ok(toc)
    }
}

/// Attributes and odd names are the table of contents' business: the host's tree
/// only has to hold the bytes, on any file system that tells cases apart.
fn options() -> ExtractOptions {
    ExtractOptions {
        ownership: Attribute::Skip,
        modes: Attribute::Skip,
        xattrs: Attribute::Skip,
        special: Special::Skip,
        names: Names::Escaped,
        ..ExtractOptions::default()
    }
}

/// When the image at `directory` was complete, if it is.
fn finished(directory: &Path, digest: &Digest) -> Option<SystemTime> {
    let file = File::open(directory.join("complete")).ok()?;
    let mut text = String::new();
    (&file).take(4096).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let is_whole = lines.next() == Some(COMPLETE)
        && lines.next() == Some(&digest.to_string())
        && directory.join("tree").is_dir();
    let modified = file.metadata().and_then(|meta| meta.modified()).ok()?;
    is_whole.then_some(modified)
}

/// Records that the image is used now, for `prune`.
fn note_use(directory: &Path) {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("used"));
    // A start does not fail because its time cannot be written down.
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes a tree of ours, also where it was made unreadable.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
