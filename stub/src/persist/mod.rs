// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--persist NAME|DIR`: what a guest wrote, kept for its next run.
//!
//! The writable layer is in memory while the guest runs, and becomes one tar when
//! it has ended, in the form of overlayfs: removed names are character devices
//! 0:0; extended attributes are PAX records.
//! The tar appears by rename, so a run that is killed keeps what was there before
//! it. One run at a time may use a place; a layer belongs to the image it was
//! written over.

mod restore;
mod save;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elfuse_kernel::vfs::Inode;
use elfuse_payload::Digest;

/// The layer.
const LAYER: &str = "layer.tar";
/// The digest of the image's layer below.
const BELOW: &str = "image";

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// Nothing says where the user's data is.
    #[error("find the place for persistent data: HOME is not set")]
    NoPlace,
    /// A file of the place.
    #[error("keep what is written in {}: {source}", path.display())]
    Place {
        /// Which.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// Another run uses the place.
    #[error("keep what is written in {}: another run is using it", .0.display())]
    InUse(PathBuf),
    /// The layer was written over another image.
    #[error("use what was kept in {}: it belongs to another image", .0.display())]
    OtherImage(PathBuf),
}

impl PersistError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoPlace => Some("name a directory: --persist ./DIR"),
            Self::OtherImage(_) => Some("another name keeps both; --rm-persist forgets the old"),
            _ => None,
        }
    }
}

/// A place for one layer, held by this run.
pub(crate) struct Place {
    dir: PathBuf,
    below: String,
    _lock: File,
}

impl Place {
    /// Opens the place called `name`, or the directory, if it has a slash in it.
    pub(crate) fn open(name: &OsStr, below: &Digest) -> Result<Self, PersistError> {
        let dir = directory(name)?;
        let failed = |source| PersistError::Place {
            path: dir.clone(),
            source,
        };
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&dir);
        made.map_err(failed)?;
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true);
        let lock = lock.open(dir.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PersistError::InUse(dir)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Self {
            dir,
            below: below.to_string(),
            _lock: lock,
        })
    }

    fn failed(&self, source: io::Error) -> PersistError {
        PersistError::Place {
            path: self.dir.clone(),
            source,
        }
    }

    /// Removes what was kept.
    pub(crate) fn forget(&self) -> Result<(), PersistError> {
        for name in [LAYER, BELOW] {
            match fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What was kept, open to be read; `None` for nothing.
    pub(crate) fn kept(&self) -> Result<Option<Kept>, PersistError> {
        let file = match File::open(self.dir.join(LAYER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.failed(error))?,
        };
        let below = fs::read_to_string(self.dir.join(BELOW));
        if below.map_err(|error| self.failed(error))?.trim() != self.below {
            return Err(PersistError::OtherImage(self.dir.clone()));
        }
        Ok(Some(Kept(file)))
    }

    /// Keeps the layer whose root is `upper`.
    pub(crate) fn keep(&self, upper: &Arc<dyn Inode>) -> Result<(), PersistError> {
        self.write(upper).map_err(|error| self.failed(error))
    }

    fn write(&self, upper: &Arc<dyn Inode>) -> io::Result<()> {
        // First whose it is: a layer without that would be refused for ever.
        replace(&self.dir.join(BELOW), |file| {
            io::Write::write_all(file, self.below.as_bytes())
        })?;
        replace(&self.dir.join(LAYER), |file| save::write(upper, file))
    }
}

/// Writes a file beside `path` and renames it when it is complete.
fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// A layer of an earlier run.
pub(crate) struct Kept(File);

impl Kept {
    /// Makes its files below the empty directory `upper`.
    pub(crate) fn restore(self, upper: &Arc<dyn Inode>) -> io::Result<()> {
        restore::read(io::BufReader::new(self.0), upper)
    }
}

fn directory(name: &OsStr) -> Result<PathBuf, PersistError> {
    if name.as_encoded_bytes().contains(&b'/') || name == "." || name == ".." {
        let path = PathBuf::from(name);
        return std::path::absolute(&path).map_err(|source| PersistError::Place { path, source });
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let data = match data {
        Some(data) => data,
        None => {
            let home = variable("HOME").filter(|home| home.is_absolute());
            home.ok_or(PersistError::NoPlace)?.join(".local/share")
        }
    };
    Ok(data.join("elfuse/persist").join(name))
}

#[cfg(test)]
mod tests;
