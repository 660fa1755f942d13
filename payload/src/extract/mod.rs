// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns a layer into files, in parallel, each checked against its digest.
//!
//! [`extract`] fills an empty directory that only the caller uses. Nothing can
//! land outside it: the table of contents is a proper tree (see [`crate::toc`]),
//! every directory and file is made new with `O_EXCL` and `O_NOFOLLOW`, and
//! symbolic links are made last, when no path is walked through names any more.
//! Order: directories, files on all threads, links and special files, then the
//! directories' own attributes from the leaves up. A failed extraction leaves
//! what it made; the caller works in a temporary directory and renames it.

mod dirs;
mod error;
mod files;
mod meta;
mod names;

#[cfg(target_os = "linux")]
#[path = "host_linux.rs"]
mod host;
#[cfg(target_os = "macos")]
#[path = "host_macos.rs"]
mod host;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, linkat, mkdirat, openat, symlinkat};

use crate::layer::LayerReader;
use crate::toc::{Entry, Kind, Toc};
use dirs::Dirs;

pub use error::ExtractError;
pub use names::host_name;

/// Whether to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// Set it as the image has it; failing to is an error.
    Apply,
    /// Leave it as the host makes it.
    Skip,
}

/// What to do with devices and named pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Make them, which for devices needs privileges.
    Create,
    /// Leave them out, and hard links to them.
    Skip,
    /// Make an empty file in their place.
    Placeholder,
}

/// How names are written to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As they are.
    Raw,
    /// As [`host_name`] writes them, for hosts that do not store all names.
    Escaped,
}

/// How to extract.
#[derive(Debug, Clone, Copy)]
pub struct ExtractOptions {
    /// Threads that write files; at least one is used.
    pub threads: usize,
    /// Owner and group.
    pub ownership: Attribute,
    /// Permission bits; left out, files and directories are their owner's alone.
    pub modes: Attribute,
    /// Extended attributes.
    pub xattrs: Attribute,
    /// Devices and named pipes.
    pub special: Special,
    /// Names on the host.
    pub names: Names,
}

impl Default for ExtractOptions {
    /// What a user without privileges can have on any host.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ownership: Attribute::Skip,
            modes: Attribute::Apply,
            xattrs: Attribute::Skip,
            special: Special::Placeholder,
            names: Names::Raw,
        }
    }
}

/// Extracts `layer` into the empty directory `root` and returns its table of
/// contents. `progress` is told of bytes of file contents written, from any
/// thread.
///
/// # Errors
/// The first entry that could not be made as the layer has it.
pub fn extract(
    layer: &LayerReader,
    root: BorrowedFd<'_>,
    options: &ExtractOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Toc, ExtractError> {
    let toc = layer.toc()?;
    check_empty(root)?;
    let mut dirs = Dirs::new(root, options.names);
    for entry in toc
        .entries
        .iter()
        .skip(1)
        .filter(|entry| entry.kind == Kind::Dir)
    {
        let mode = Mode::RWXU;
        let make = dirs
            .parent(&entry.path)
            .and_then(|(dir, name)| Ok(mkdirat(dir, &*name, mode)?));
        make.map_err(|source| ExtractError::entry("make directory", entry, source))?;
    }
    files::write(layer, &toc, root, options, progress)?;
    for entry in &toc.entries {
        make_other(&mut dirs, entry, options)?;
    }
    for entry in toc
        .entries
        .iter()
        .filter(|entry| entry.kind == Kind::Hardlink)
    {
        make_hard_link(root, &mut dirs, &toc, entry, options)?;
    }
    for entry in toc
        .entries
        .iter()
        .rev()
        .filter(|entry| entry.kind == Kind::Dir)
    {
        let set = dirs
            .open(&entry.path)
            .and_then(|dir| meta::apply(dir.as_fd(), entry, options));
        set.map_err(|source| ExtractError::entry("set attributes of", entry, source))?;
    }
    Ok(toc)
}

fn check_empty(root: BorrowedFd<'_>) -> Result<(), ExtractError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = openat(root, ".", flags, Mode::empty());
    let mut dir = open
        .and_then(Dir::new)
        .map_err(|error| ExtractError::Root(error.into()))?;
    let is_self = |name: &[u8]| name == b"." || name == b"..";
    let other = dir.find(|entry| {
        !entry
            .as_ref()
            .is_ok_and(|e| is_self(e.file_name().to_bytes()))
    });
    match other {
        None => Ok(()),
        Some(Ok(_)) => Err(ExtractError::NotEmpty),
        Some(Err(error)) => Err(ExtractError::Root(error.into())),
    }
}

/// Makes a symbolic link or a special file. Nothing looks its name up before
/// the hard links, whose paths have no symbolic link on the way.
fn make_other(
    dirs: &mut Dirs<'_>,
    entry: &Entry,
    options: &ExtractOptions,
) -> Result<(), ExtractError> {
    let is_special = matches!(
        entry.kind,
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo
    );
    let is_wanted = is_special && options.special != Special::Skip;
    if entry.kind != Kind::Symlink && !is_wanted {
        return Ok(());
    }
    let mut make = || -> io::Result<()> {
        let (dir, name) = dirs.parent(&entry.path)?;
        if entry.kind == Kind::Symlink {
            symlinkat(entry.link.as_slice(), dir, &*name)?;
        } else if options.special == Special::Create {
            host::make_node(dir, &name, entry)?;
        } else {
            let file = meta::create(dir, &name, entry, options)?;
            return meta::apply(file.as_fd(), entry, options);
        }
        meta::apply_at(dir, &name, entry, options)
    };
    make().map_err(|source| ExtractError::entry("make", entry, source))
}

fn make_hard_link(
    root: BorrowedFd<'_>,
    dirs: &mut Dirs<'_>,
    toc: &Toc,
    entry: &Entry,
    options: &ExtractOptions,
) -> Result<(), ExtractError> {
    let kind = toc.find(&entry.link).map(|target| target.kind);
    let is_made = matches!(kind, Some(Kind::File | Kind::Symlink));
    if !is_made && options.special == Special::Skip {
        return Ok(());
    }
    // A second walker keeps the directory of the target open meanwhile.
    let mut targets = Dirs::new(root, options.names);
    let make = targets.parent(&entry.link).and_then(|(from, target)| {
        let (to, name) = dirs.parent(&entry.path)?;
        Ok(linkat(from, &*target, to, &*name, AtFlags::empty())?)
    });
    make.map_err(|source| ExtractError::entry("make hard link", entry, source))
}
