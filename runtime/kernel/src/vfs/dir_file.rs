// SPDX-License-Identifier: MIT OR Apache-2.0
//! An open directory.
//!
//! The list of names is taken when reading starts at offset 0 and kept until the
//! next rewind, so removing entries while reading skips none. The offset counts
//! entries: `.` is 0, `..` is 1.

use std::sync::{Mutex, PoisonError};

use linux_abi::Errno;

use crate::error::SysResult;
use crate::file::{Caller, File, Whence};
use crate::vfs::{DirEntry, Kind, Location};

/// The object behind a descriptor of a directory.
pub struct DirFile {
    at: Location,
    listing: Mutex<Option<Vec<DirEntry>>>,
}

impl DirFile {
    /// Opens the directory at `at`.
    #[must_use]
    pub fn new(at: Location) -> Self {
        Self {
            at,
            listing: Mutex::new(None),
        }
    }

    /// Calls `emit` with every entry from offset `*pos` and the offset after it,
    /// until it returns `false`; advances `*pos` over the entries taken.
    ///
    /// # Errors
    /// `ENOENT` when the directory was removed.
    pub fn read(
        &self,
        caller: &Caller<'_>,
        pos: &mut u64,
        mut emit: impl FnMut(&DirEntry, u64) -> bool,
    ) -> Result<(), Errno> {
        if self.at.dentry.is_unlinked() {
            return Err(Errno::ENOENT);
        }
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if *pos == 0 || listing.is_none() {
            *listing = Some(self.take_listing(caller)?);
        }
        let Some(entries) = listing.as_ref() else {
            return Ok(());
        };
        let start = usize::try_from(*pos).unwrap_or(usize::MAX);
        for entry in entries.get(start..).unwrap_or_default() {
            if !emit(entry, *pos + 1) {
                break;
            }
            *pos += 1;
        }
        Ok(())
    }

    fn take_listing(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let own = self.at.inode().attr()?.ino;
        let parent = self
            .at
            .up()
            .unwrap_or_else(|| self.at.clone())
            .inode()
            .attr()?
            .ino;
        let entry = |name: &[u8], ino| DirEntry {
            name: name.into(),
            ino,
            kind: Kind::Directory,
        };
        let mut all = vec![entry(b".", own), entry(b"..", parent)];
        all.extend(self.at.dentry.directory()?.list(caller)?);
        Ok(all)
    }
}

impl File for DirFile {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        _dst: &mut dyn crate::file::IoSink,
        _pos: &mut u64,
        _how: crate::file::IoFlags,
    ) -> SysResult<usize> {
        Err(Errno::EISDIR.into())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, pos: u64, offset: i64, whence: Whence) -> SysResult<u64> {
        let base = match whence {
            Whence::Set => 0,
            Whence::Current => pos,
            Whence::End => {
                let listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
                listing
                    .as_ref()
                    .map_or(0, |l| u64::try_from(l.len()).unwrap_or(u64::MAX))
            }
            Whence::Data | Whence::Hole => return Err(Errno::EINVAL.into()),
        };
        base.checked_add_signed(offset)
            .ok_or_else(|| Errno::EINVAL.into())
    }
}
