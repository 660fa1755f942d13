// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/inotify.h`.

use bitflags::bitflags;

bitflags! {
    /// Events and options of inotify.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct InotifyMask: u32 {
        /// Read.
        const ACCESS = 0x1;
        /// Written.
        const MODIFY = 0x2;
        /// Attributes changed.
        const ATTRIB = 0x4;
        /// A writer closed it.
        const CLOSE_WRITE = 0x8;
        /// A reader closed it.
        const CLOSE_NOWRITE = 0x10;
        /// Opened.
        const OPEN = 0x20;
        /// Moved out of the directory.
        const MOVED_FROM = 0x40;
        /// Moved into the directory.
        const MOVED_TO = 0x80;
        /// Created in the directory.
        const CREATE = 0x100;
        /// Removed from the directory.
        const DELETE = 0x200;
        /// The watched file itself is gone.
        const DELETE_SELF = 0x400;
        /// The watched file itself moved.
        const MOVE_SELF = 0x800;
        /// The file system was unmounted.
        const UNMOUNT = 0x2000;
        /// Events were lost.
        const Q_OVERFLOW = 0x4000;
        /// The watch is gone.
        const IGNORED = 0x8000;
        /// Watch directories only.
        const ONLYDIR = 0x0100_0000;
        /// Do not follow links.
        const DONT_FOLLOW = 0x0200_0000;
        /// No events for removed children.
        const EXCL_UNLINK = 0x0400_0000;
        /// The watch must not exist.
        const MASK_CREATE = 0x1000_0000;
        /// Add to the mask of an existing watch.
        const MASK_ADD = 0x2000_0000;
        /// The subject is a directory.
        const ISDIR = 0x4000_0000;
        /// One event only.
        const ONESHOT = 0x8000_0000;
    }
}

impl InotifyMask {
    /// Everything that can happen.
    pub const ALL_EVENTS: Self = Self::from_bits_truncate(0xfff);
}
