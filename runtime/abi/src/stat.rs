// SPDX-License-Identifier: MIT OR Apache-2.0
//! `asm/stat.h`, `linux/stat.h` and `asm/statfs.h` for arm64, and the packing
//! of device numbers (`linux/kdev_t.h`).

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// File type bits of a mode.
pub const S_IFMT: u32 = 0o170000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120000;
/// Regular file.
pub const S_IFREG: u32 = 0o100000;
/// Block device.
pub const S_IFBLK: u32 = 0o060000;
/// Directory.
pub const S_IFDIR: u32 = 0o040000;
/// Character device.
pub const S_IFCHR: u32 = 0o020000;
/// Fifo.
pub const S_IFIFO: u32 = 0o010000;
/// Set user id on exec.
pub const S_ISUID: u32 = 0o4000;
/// Set group id on exec; on a directory: inherit the group.
pub const S_ISGID: u32 = 0o2000;
/// On a directory: only owners may remove entries.
pub const S_ISVTX: u32 = 0o1000;

/// The `struct stat` of arm64.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation of the interface"
)]
pub struct Stat {
    pub st_dev: u64,
    pub st_ino: u64,
    pub st_mode: u32,
    pub st_nlink: u32,
    pub st_uid: u32,
    pub st_gid: u32,
    pub st_rdev: u64,
    pub pad1: u64,
    pub st_size: i64,
    pub st_blksize: i32,
    pub pad2: i32,
    pub st_blocks: i64,
    pub st_atime: i64,
    pub st_atime_nsec: u64,
    pub st_mtime: i64,
    pub st_mtime_nsec: u64,
    pub st_ctime: i64,
    pub st_ctime_nsec: u64,
    pub unused: [u32; 2],
}
const _: () = assert!(size_of::<Stat>() == 128);

/// A time of `statx`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation of the interface"
)]
pub struct StatxTimestamp {
    pub tv_sec: i64,
    pub tv_nsec: u32,
    pub reserved: i32,
}

/// The result of `statx`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation of the interface"
)]
pub struct Statx {
    pub stx_mask: u32,
    pub stx_blksize: u32,
    pub stx_attributes: u64,
    pub stx_nlink: u32,
    pub stx_uid: u32,
    pub stx_gid: u32,
    pub stx_mode: u16,
    pub pad1: u16,
    pub stx_ino: u64,
    pub stx_size: u64,
    pub stx_blocks: u64,
    pub stx_attributes_mask: u64,
    pub stx_atime: StatxTimestamp,
    pub stx_btime: StatxTimestamp,
    pub stx_ctime: StatxTimestamp,
    pub stx_mtime: StatxTimestamp,
    pub stx_rdev_major: u32,
    pub stx_rdev_minor: u32,
    pub stx_dev_major: u32,
    pub stx_dev_minor: u32,
    pub stx_mnt_id: u64,
    pub stx_dio_mem_align: u32,
    pub stx_dio_offset_align: u32,
    pub spare: [u64; 12],
}
const _: () = assert!(size_of::<Statx>() == 256);

/// Everything `stat` answers.
pub const STATX_BASIC_STATS: u32 = 0x7ff;
/// The time of birth.
pub const STATX_BTIME: u32 = 0x800;
/// The identity of the mount.
pub const STATX_MNT_ID: u32 = 0x1000;
/// A reserved bit that makes `statx` fail.
pub const STATX_RESERVED: u32 = 0x8000_0000;
/// Attribute: the root of a mount.
pub const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;

/// The `struct statfs` of arm64.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the field names are the documentation of the interface"
)]
pub struct Statfs {
    pub f_type: i64,
    pub f_bsize: i64,
    pub f_blocks: u64,
    pub f_bfree: u64,
    pub f_bavail: u64,
    pub f_files: u64,
    pub f_ffree: u64,
    pub f_fsid: [i32; 2],
    pub f_namelen: i64,
    pub f_frsize: i64,
    pub f_flags: i64,
    pub f_spare: [i64; 4],
}
const _: () = assert!(size_of::<Statfs>() == 120);

/// `utimensat`: the current time.
pub const UTIME_NOW: i64 = 0x3fff_ffff;
/// `utimensat`: leave as it is.
pub const UTIME_OMIT: i64 = 0x3fff_fffe;

/// Packs a device number as user space sees it (`new_encode_dev`).
#[must_use]
pub const fn make_dev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// The major half of a packed device number.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
pub const fn dev_major(dev: u64) -> u32 {
    ((dev >> 8 & 0xfff) | (dev >> 32 & 0xffff_f000)) as u32
}

/// The minor half of a packed device number.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
pub const fn dev_minor(dev: u64) -> u32 {
    ((dev & 0xff) | (dev >> 12 & 0xffff_ff00)) as u32
}

/// `getdents64` entry types.
pub const DT_FIFO: u8 = 1;
/// Character device.
pub const DT_CHR: u8 = 2;
/// Directory.
pub const DT_DIR: u8 = 4;
/// Block device.
pub const DT_BLK: u8 = 6;
/// Regular file.
pub const DT_REG: u8 = 8;
/// Symbolic link.
pub const DT_LNK: u8 = 10;
/// Socket.
pub const DT_SOCK: u8 = 12;
