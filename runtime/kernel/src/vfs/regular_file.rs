// SPDX-License-Identifier: MIT OR Apache-2.0
//! An open regular file: the generic `File` over any inode with bytes.

use std::sync::Arc;

use linux_abi::Errno;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Whence};
use crate::mm::Mappable;
use crate::vfs::{Inode, Regular};

/// The object behind a descriptor of a regular file.
pub struct RegularFile {
    inode: Arc<dyn Inode>,
}

impl RegularFile {
    /// Opens `inode`.
    ///
    /// # Errors
    /// `EINVAL` when it has no bytes.
    pub fn new(inode: Arc<dyn Inode>) -> Result<Self, Errno> {
        if inode.as_regular().is_some() {
            Ok(Self { inode })
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn regular(&self) -> Result<&dyn Regular, Errno> {
        self.inode.as_regular().ok_or(Errno::EINVAL)
    }
}

/// The largest offset of any file.
pub(crate) const MAX_FILE_SIZE: u64 = i64::MAX.unsigned_abs();

impl File for RegularFile {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let n = self.regular()?.read_at(dst, *pos)?;
        *pos = pos.saturating_add(u64::try_from(n).unwrap_or(0));
        Ok(n)
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        pos: &mut u64,
        how: IoFlags,
    ) -> SysResult<usize> {
        let at = if how.contains(IoFlags::APPEND) {
            None
        } else {
            Some(*pos)
        };
        let (n, end) = self.regular()?.write_at(src, at)?;
        *pos = end;
        Ok(n)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, pos: u64, offset: i64, whence: Whence) -> SysResult<u64> {
        let size = || self.inode.attr().map(|attr| attr.size);
        let base = match whence {
            Whence::Set => 0,
            Whence::Current => pos,
            Whence::End => size()?,
            Whence::Data | Whence::Hole => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                let is_hole = whence == Whence::Hole;
                return Ok(self.regular()?.next_extent(from, size()?, is_hole)?);
            }
        };
        let target = base
            .checked_add_signed(offset)
            .filter(|&t| t <= MAX_FILE_SIZE);
        target.ok_or_else(|| Errno::EINVAL.into())
    }

    fn as_mappable(&self) -> Option<Arc<dyn Mappable>> {
        self.inode.as_regular()?.mappable()
    }
}
