// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm/fcntl.h` and `linux/fcntl.h`, as arm64 has them.
//!
//! The open flags differ from x86: `O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`
//! and `O_LARGEFILE` have Arm's values. Linux 6.12.

use bitflags::bitflags;

bitflags! {
    /// Flags of `open`, kept in the open file description.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct OpenFlags: u32 {
        /// Open for writing only.
        const WRONLY = 0o1;
        /// Open for reading and writing.
        const RDWR = 0o2;
        /// Create the file when it is missing.
        const CREAT = 0o100;
        /// With `CREAT`: the file must not exist.
        const EXCL = 0o200;
        /// Do not make a terminal the controlling one.
        const NOCTTY = 0o400;
        /// Cut a regular file to length 0.
        const TRUNC = 0o1000;
        /// Every write goes to the end.
        const APPEND = 0o2000;
        /// Do not wait.
        const NONBLOCK = 0o4000;
        /// Data is durable when a write returns.
        const DSYNC = 0o10000;
        /// Signal when I/O is possible.
        const ASYNC = 0o20000;
        /// The last component must be a directory.
        const DIRECTORY = 0o40000;
        /// The last component must not be a symbolic link.
        const NOFOLLOW = 0o100000;
        /// Bypass the cache.
        const DIRECT = 0o200000;
        /// Allow files over 2 GiB (always set on arm64).
        const LARGEFILE = 0o400000;
        /// Leave the access time alone.
        const NOATIME = 0o1000000;
        /// Close on exec: belongs to the descriptor, not the description.
        const CLOEXEC = 0o2000000;
        /// The part of `O_SYNC` that is not `O_DSYNC`.
        const SYNC_BIT = 0o4000000;
        /// A handle to the place only.
        const PATH = 0o10000000;
        /// The part of `O_TMPFILE` that is not `O_DIRECTORY`.
        const TMPFILE_BIT = 0o20000000;
    }
}

impl OpenFlags {
    /// Both bits of the access mode; the value 3 means neither read nor write.
    pub const ACCMODE: u32 = 0o3;
    /// `O_TMPFILE` as user space passes it.
    pub const TMPFILE: Self = Self::TMPFILE_BIT.union(Self::DIRECTORY);
    /// What `F_SETFL` may change.
    pub const SETTABLE: Self = Self::APPEND
        .union(Self::NONBLOCK)
        .union(Self::ASYNC)
        .union(Self::DIRECT)
        .union(Self::NOATIME);

    /// May the description be read?
    #[must_use]
    pub const fn is_readable(self) -> bool {
        let mode = self.bits() & Self::ACCMODE;
        (mode == 0 || mode == 2) && !self.contains(Self::PATH)
    }

    /// May the description be written?
    #[must_use]
    pub const fn is_writable(self) -> bool {
        let mode = self.bits() & Self::ACCMODE;
        (mode == 1 || mode == 2) && !self.contains(Self::PATH)
    }
}

bitflags! {
    /// The `AT_*` flags of the `*at` family.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct AtFlags: u32 {
        /// Do not follow a link in the last component.
        const SYMLINK_NOFOLLOW = 0x100;
        /// `unlinkat`: remove a directory. `faccessat`: use effective ids.
        const REMOVEDIR = 0x200;
        /// `linkat`: follow a link in the last component.
        const SYMLINK_FOLLOW = 0x400;
        /// Do not trigger automounts (there are none).
        const NO_AUTOMOUNT = 0x800;
        /// An empty path names the descriptor itself.
        const EMPTY_PATH = 0x1000;
        /// `statx`: ask the server.
        const STATX_FORCE_SYNC = 0x2000;
        /// `statx`: cached values will do.
        const STATX_DONT_SYNC = 0x4000;
    }
}

impl AtFlags {
    /// `faccessat2`: check with effective instead of real ids.
    pub const EACCESS: Self = Self::REMOVEDIR;
}

/// "The current directory" as a directory descriptor.
pub const AT_FDCWD: i32 = -100;
/// Descriptor flag of `F_SETFD`.
pub const FD_CLOEXEC: u32 = 1;

/// `fcntl`: duplicate to the lowest free number from the argument.
pub const F_DUPFD: u32 = 0;
/// `fcntl`: read the descriptor flags.
pub const F_GETFD: u32 = 1;
/// `fcntl`: set the descriptor flags.
pub const F_SETFD: u32 = 2;
/// `fcntl`: read the description flags.
pub const F_GETFL: u32 = 3;
/// `fcntl`: set the description flags.
pub const F_SETFL: u32 = 4;
/// `fcntl`: test a record lock.
pub const F_GETLK: u32 = 5;
/// `fcntl`: set a record lock.
pub const F_SETLK: u32 = 6;
/// `fcntl`: set a record lock, waiting.
pub const F_SETLKW: u32 = 7;
/// `fcntl`: set the owner of `SIGIO`.
pub const F_SETOWN: u32 = 8;
/// `fcntl`: read the owner of `SIGIO`.
pub const F_GETOWN: u32 = 9;
/// `fcntl`: test an open-file-description lock.
pub const F_OFD_GETLK: u32 = 36;
/// `fcntl`: set an open-file-description lock.
pub const F_OFD_SETLK: u32 = 37;
/// `fcntl`: set an open-file-description lock, waiting.
pub const F_OFD_SETLKW: u32 = 38;
/// `fcntl`: duplicate with close-on-exec.
pub const F_DUPFD_CLOEXEC: u32 = 1030;
/// `fcntl`: set the capacity of a pipe.
pub const F_SETPIPE_SZ: u32 = 1031;
/// `fcntl`: read the capacity of a pipe.
pub const F_GETPIPE_SZ: u32 = 1032;
/// `fcntl`: add seals to a memfd.
pub const F_ADD_SEALS: u32 = 1033;
/// `fcntl`: read the seals of a memfd.
pub const F_GET_SEALS: u32 = 1034;

/// Record lock for reading.
pub const F_RDLCK: i16 = 0;
/// Record lock for writing.
pub const F_WRLCK: i16 = 1;
/// No record lock.
pub const F_UNLCK: i16 = 2;

/// `flock`: shared.
pub const LOCK_SH: u32 = 1;
/// `flock`: exclusive.
pub const LOCK_EX: u32 = 2;
/// `flock`: do not wait.
pub const LOCK_NB: u32 = 4;
/// `flock`: release.
pub const LOCK_UN: u32 = 8;

/// No more seals may be added.
pub const F_SEAL_SEAL: u32 = 1;
/// The file may not shrink.
pub const F_SEAL_SHRINK: u32 = 2;
/// The file may not grow.
pub const F_SEAL_GROW: u32 = 4;
/// The file may not be written.
pub const F_SEAL_WRITE: u32 = 8;
/// No new writes; existing writable maps stay.
pub const F_SEAL_FUTURE_WRITE: u32 = 16;
/// The execute bits are fixed.
pub const F_SEAL_EXEC: u32 = 32;

/// `renameat2`: the target must not exist.
pub const RENAME_NOREPLACE: u32 = 1;
/// `renameat2`: swap the two.
pub const RENAME_EXCHANGE: u32 = 2;
/// `renameat2`: leave a whiteout behind.
pub const RENAME_WHITEOUT: u32 = 4;

/// `fallocate`: do not change the size.
pub const FALLOC_FL_KEEP_SIZE: u32 = 1;
/// `fallocate`: release the range.
pub const FALLOC_FL_PUNCH_HOLE: u32 = 2;
/// `fallocate`: remove the range, moving what follows.
pub const FALLOC_FL_COLLAPSE_RANGE: u32 = 8;
/// `fallocate`: zero the range.
pub const FALLOC_FL_ZERO_RANGE: u32 = 16;
/// `fallocate`: insert a hole, moving what follows.
pub const FALLOC_FL_INSERT_RANGE: u32 = 32;

bitflags! {
    /// `linux/openat2.h`: the `RESOLVE_*` flags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Resolve: u64 {
        /// Do not cross mounts.
        const NO_XDEV = 1;
        /// Do not follow magic links.
        const NO_MAGICLINKS = 2;
        /// Do not follow any symbolic link.
        const NO_SYMLINKS = 4;
        /// Stay below the starting directory; leaving is `EXDEV`.
        const BENEATH = 8;
        /// The starting directory is the root.
        const IN_ROOT = 16;
        /// Only what the cache answers.
        const CACHED = 32;
    }
}

/// The argument of `openat2`.
#[derive(
    Clone, Copy, Debug, Default, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
)]
#[repr(C)]
pub struct OpenHow {
    /// `O_*` flags.
    pub flags: u64,
    /// Mode of a new file.
    pub mode: u64,
    /// `RESOLVE_*` flags.
    pub resolve: u64,
}

/// The argument of the record lock commands (`struct flock`, 64 bit).
#[derive(
    Clone, Copy, Debug, Default, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
)]
#[repr(C)]
pub struct Flock {
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub l_type: i16,
    /// `SEEK_SET`, `SEEK_CUR` or `SEEK_END`.
    pub l_whence: i16,
    /// Padding.
    pub pad1: i32,
    /// First byte, relative to `l_whence`.
    pub l_start: i64,
    /// Length; 0 means to the end.
    pub l_len: i64,
    /// Holder of the conflicting lock.
    pub l_pid: i32,
    /// Padding.
    pub pad2: i32,
}
const _: () = assert!(size_of::<Flock>() == 32);
