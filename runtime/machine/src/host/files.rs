// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories and files of the host.
//!
//! Ownership: a handle keeps its directory or file open until it is dropped; it
//! stays valid when the directory is renamed or removed. Threads: every method
//! may be called from any thread. Errors: Linux numbers; `EINVAL` for a name that
//! is empty, `.`, `..`, or holds a slash or a zero byte.

use std::any::Any;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use linux_abi::Errno;

/// Type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// Bytes.
    Regular,
    /// Names.
    Directory,
    /// A path.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A named socket.
    Socket,
}

/// What the host tells about a file.
#[derive(Clone, Copy, Debug)]
pub struct HostStat {
    /// Type.
    pub kind: HostKind,
    /// Device number of the file system, as the host has it.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Permission bits (07777).
    pub perm: u32,
    /// Names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device node: major, minor.
    pub rdev: (u32, u32),
    /// Size in bytes.
    pub size: u64,
    /// Allocated units of 512 bytes.
    pub blocks: u64,
    /// Last access: seconds, nanoseconds.
    pub atime: (i64, u32),
    /// Last change of content.
    pub mtime: (i64, u32),
    /// Last change of anything.
    pub ctime: (i64, u32),
}

/// A change of attributes; `None` leaves a field as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostSetAttr {
    /// New permission bits.
    pub perm: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New access time.
    pub atime: Option<(i64, u32)>,
    /// New modification time.
    pub mtime: Option<(i64, u32)>,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct HostEntry {
    /// The name.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u64,
    /// Type, when the host says it in the directory.
    pub kind: Option<HostKind>,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostOpen {
    /// For reading.
    Read,
    /// For reading and writing.
    ReadWrite,
    /// Made new with these permission bits, for reading and writing.
    Create(u32),
}

/// What is made in a directory besides regular files.
#[derive(Clone, Debug)]
pub enum HostNode {
    /// An empty directory.
    Directory,
    /// A symbolic link to this text.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
}

/// Sizes of a file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFsStat {
    /// Bytes in a block.
    pub block_size: u64,
    /// Blocks.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
}

/// Extended attributes: name and value.
pub type HostXattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// An open directory of the host.
pub trait HostDir: Any + Send + Sync {
    /// Opens a directory in this one.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP` for a link, `EACCES`, `EMFILE`.
    fn open_dir(&self, name: &[u8]) -> Result<Arc<dyn HostDir>, Errno>;

    /// Opens a regular file in this directory.
    ///
    /// # Errors
    /// `ENOENT`, `EEXIST`, `ELOOP` for a link, `EINVAL` for what is no regular
    /// file, `EACCES`, `EROFS`, `EMFILE`.
    fn open_file(&self, name: &[u8], how: HostOpen) -> Result<Arc<dyn HostFile>, Errno>;

    /// What is known about a name, or about the directory itself.
    ///
    /// # Errors
    /// `ENOENT`, `EACCES`.
    fn stat(&self, name: Option<&[u8]>) -> Result<HostStat, Errno>;

    /// All names but `.` and `..`.
    ///
    /// # Errors
    /// `EIO`, `EACCES`.
    fn list(&self) -> Result<Vec<HostEntry>, Errno>;

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// `EINVAL` when it is none, `ENOENT`.
    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno>;

    /// Makes something new.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, `EROFS`, `EACCES`.
    fn make(&self, name: &[u8], node: &HostNode, perm: u32) -> Result<(), Errno>;

    /// Gives a file another name in `to`, which is a directory of the same host.
    ///
    /// # Errors
    /// `EEXIST`, `EXDEV`, `EMLINK`, `EPERM`.
    fn link(&self, name: &[u8], to: &dyn HostDir, new_name: &[u8]) -> Result<(), Errno>;

    /// Moves a name to `to`, replacing what is there, or swapping the two.
    ///
    /// # Errors
    /// `EXDEV`, `ENOTEMPTY`, `EINVAL` when the host cannot swap.
    fn rename(
        &self,
        name: &[u8],
        to: &dyn HostDir,
        new_name: &[u8],
        exchange: bool,
    ) -> Result<(), Errno>;

    /// Removes a name; of a directory only when it is empty.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTEMPTY`, `EISDIR`, `ENOTDIR`, `EROFS`.
    fn remove(&self, name: &[u8], is_dir: bool) -> Result<(), Errno>;

    /// Changes attributes of a name, or of the directory itself.
    ///
    /// # Errors
    /// `EPERM`, `EROFS`.
    fn set_attr(&self, name: Option<&[u8]>, change: &HostSetAttr) -> Result<(), Errno>;

    /// Sizes of the file system.
    ///
    /// # Errors
    /// `EIO`.
    fn fs_stat(&self) -> Result<HostFsStat, Errno>;

    /// The extended attributes of a file in this one, or its own: name and value.
    ///
    /// # Errors
    /// As `lstat(2)`; `EOPNOTSUPP` where the host has none.
    fn xattrs(&self, name: Option<&[u8]>) -> Result<HostXattrs, Errno>;
}

/// An open regular file of the host.
pub trait HostFile: Send + Sync {
    /// Reads at `pos`; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// `EIO`.
    fn read_at(&self, buf: &mut [u8], pos: u64) -> Result<usize, Errno>;

    /// Writes all of `data` at `pos`, unless the host runs out of room.
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`, `EIO`, `EBADF` when it is open for reading.
    fn write_at(&self, data: &[u8], pos: u64) -> Result<usize, Errno>;

    /// Sets the size.
    ///
    /// # Errors
    /// `EFBIG`, `EINVAL` when it is open for reading.
    fn set_size(&self, size: u64) -> Result<(), Errno>;

    /// Makes the content durable.
    ///
    /// # Errors
    /// `EIO`.
    fn sync(&self) -> Result<(), Errno>;

    /// What is known about it.
    ///
    /// # Errors
    /// `EIO`.
    fn stat(&self) -> Result<HostStat, Errno>;

    /// The next data (or hole) at or after `pos`.
    ///
    /// # Errors
    /// `ENXIO` when there is none.
    fn next_extent(&self, pos: u64, is_hole: bool) -> Result<u64, Errno>;

    /// The descriptor, to be mapped.
    fn as_fd(&self) -> BorrowedFd<'_>;
}
