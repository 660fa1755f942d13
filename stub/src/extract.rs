// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--elfuse-extract DIR`: the image's files on the host. The directory must
//! not exist; it appears under its name when all files in it are complete and
//! verified. Owners, devices and extended attributes need root.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use elfuse_payload::extract::{Attribute, ExtractOptions, Names, Special};
use elfuse_payload::reader::Payload;

use crate::StubError;

/// Extracts the image of `payload` as the new directory `directory`.
pub(crate) fn extract(payload: &Payload, directory: &Path) -> Result<(), StubError> {
    let failed = |source| StubError::MakeDirectory {
        path: directory.to_path_buf(),
        source,
    };
    if directory.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    let layer = payload.layer()?;
    let unfinished = Unfinished::make(directory).map_err(failed)?;
    let root = fs::File::open(&unfinished.path).map_err(failed)?;
    elfuse_payload::extract::extract(&layer, root.as_fd(), &options(), &|_| ())?;
    unfinished.rename(directory).map_err(failed)
}

fn options() -> ExtractOptions {
    let names = if std::env::consts::OS == "macos" {
        Names::Escaped
    } else {
        Names::Raw
    };
    let options = ExtractOptions {
        names,
        ..ExtractOptions::default()
    };
    if !rustix::process::geteuid().is_root() {
        return options;
    }
    let (ownership, xattrs) = (Attribute::Apply, Attribute::Apply);
    ExtractOptions {
        ownership,
        xattrs,
        special: Special::Create,
        ..options
    }
}

/// A directory that is removed again unless it is renamed.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn make(beside: &Path) -> io::Result<Self> {
        let name = beside.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", std::process::id()));
        let path = beside.with_file_name(hidden);
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    fn rename(self, to: &Path) -> io::Result<()> {
        // An empty directory made meanwhile would be replaced, a full one
        // would not; neither loses anything.
        fs::rename(&self.path, to)?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Directories that the image made unreadable are in its way only for
        // users who are not root, and those get what remains named.
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("elfuse: remove {}: {error}", self.path.display());
        }
    }
}
