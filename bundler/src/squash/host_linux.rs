// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the squash asks of Linux beyond POSIX: holes in files.

use std::fs::File;
use std::ops::Range;

use rustix::fs::{FallocateFlags, fallocate};

/// Gives back the room of a part of a file, which then reads as zeros. Where that
/// is not supported it stays until the file goes.
pub(super) fn punch_hole(file: &File, range: Range<u64>) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, flags, range.start, range.end - range.start);
}
