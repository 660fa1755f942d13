// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a file system implements.
//!
//! [`Inode`] is any file; [`Directory`], [`Regular`] and [`Xattrs`] are what some
//! files can do besides. Callers (the `ops` of this module) check permissions,
//! mounts, names and types first, and hold the parent dentry's lock while a
//! name changes; a file system only keeps its own data consistent. All methods
//! may be called from any thread. Errors are Linux's.

use std::any::Any;
use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;

use crate::file::{Caller, File, IoSink, IoSource};
use crate::mm::Mappable;
use crate::vfs::{Attachments, Attr, FsStat, Kind, Location, SetAttr};

/// A mounted file system.
pub trait FileSystem: Send + Sync {
    /// Its name as `/proc/mounts` shows it.
    fn name(&self) -> &'static str;

    /// The root directory.
    fn root(&self) -> Arc<dyn Inode>;

    /// Sizes for `statfs`.
    fn stat(&self) -> FsStat;

    /// The device number that `stat` shows.
    fn dev(&self) -> u64;

    /// Options as `/proc/mounts` shows them, without `rw` and the like.
    fn options(&self) -> String {
        String::new()
    }

    /// May names change without this module being told (host directories,
    /// `/proc`)? Then every cached name is revalidated.
    fn is_volatile(&self) -> bool {
        false
    }

    /// How many names stay known that nobody uses. File systems that make their
    /// files up keep none: they would outlive what they are about.
    fn kept_names(&self) -> usize {
        4096
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// `EIO` and what the host reports.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Where a symbolic link leads.
pub enum Link {
    /// A path to walk.
    Path(Vec<u8>),
    /// A place, without a walk (the magic links of `/proc`).
    Place(Location),
}

/// A file.
pub trait Inode: Any + Send + Sync {
    /// The type, which never changes.
    fn kind(&self) -> Kind;

    /// The attributes now.
    ///
    /// # Errors
    /// `EIO`, `ESTALE` or `ESRCH` when the object behind is gone.
    fn attr(&self) -> Result<Attr, Errno>;

    /// Changes attributes.
    ///
    /// # Errors
    /// `EROFS`, `EPERM` when the file system has no such change.
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno>;

    /// State that belongs to the file, not to the file system: locks, watches,
    /// the pipe of a fifo.
    fn attachments(&self) -> &Attachments;

    /// The file as a directory.
    fn as_dir(&self) -> Option<&dyn Directory> {
        None
    }

    /// The file as bytes.
    fn as_regular(&self) -> Option<&dyn Regular> {
        None
    }

    /// The file's extended attributes.
    fn as_xattrs(&self) -> Option<&dyn Xattrs> {
        None
    }

    /// The target of a symbolic link as text.
    ///
    /// # Errors
    /// `EINVAL` when it is no link.
    fn read_link(&self, _caller: &Caller<'_>) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }

    /// Where following the link leads.
    ///
    /// # Errors
    /// As `read_link`; `EACCES` for magic links of foreign processes.
    fn follow(&self, caller: &Caller<'_>) -> Result<Link, Errno> {
        self.read_link(caller).map(Link::Path)
    }

    /// Opens the file in its own way; `None` means the way of its type.
    ///
    /// # Errors
    /// What opening that object answers.
    fn open_special(
        &self,
        _caller: &Caller<'_>,
        _at: &Location,
        _flags: OpenFlags,
    ) -> Option<Result<Arc<dyn File>, Errno>> {
        None
    }
}

impl dyn Inode {
    /// The concrete type behind the trait object.
    #[must_use]
    pub fn downcast<T: Inode>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A name that `getdents64` returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: Box<[u8]>,
    /// Inode number.
    pub ino: u64,
    /// Type.
    pub kind: Kind,
}

/// What kind of file to make.
#[derive(Clone, Debug)]
pub enum NewKind {
    /// Regular file, empty.
    Regular,
    /// Directory, empty.
    Directory,
    /// Symbolic link with a target.
    Symlink(Vec<u8>),
    /// Character device.
    Char(u64),
    /// Block device.
    Block(u64),
    /// Named pipe.
    Fifo,
    /// Named socket.
    Socket,
}

impl NewKind {
    /// The type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Regular => Kind::Regular,
            Self::Directory => Kind::Directory,
            Self::Symlink(_) => Kind::Symlink,
            Self::Char(_) => Kind::Char,
            Self::Block(_) => Kind::Block,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
        }
    }
}

/// A file to be made.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// What.
    pub kind: NewKind,
    /// Permission bits, the umask already applied.
    pub perm: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A directory.
pub trait Directory: Send + Sync {
    /// The file called `name`.
    ///
    /// # Errors
    /// `ENOENT`, `ENAMETOOLONG`.
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno>;

    /// All names except `.` and `..`, at one moment.
    ///
    /// # Errors
    /// What reading the directory answers.
    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno>;

    /// Makes a file called `name`.
    ///
    /// # Errors
    /// `EEXIST`, `ENOSPC`, `EROFS`, `EPERM`.
    fn create(&self, _name: &[u8], _node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EPERM)
    }

    /// Makes a file without a name (`O_TMPFILE`).
    ///
    /// # Errors
    /// `EOPNOTSUPP` where there is no such thing.
    fn create_unnamed(&self, _node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `target`, a file of the same file system, another name.
    ///
    /// # Errors
    /// `EEXIST`, `EMLINK`, `EPERM`, `EXDEV`.
    fn link(&self, _name: &[u8], _target: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes the name of a file that is no directory.
    ///
    /// # Errors
    /// `ENOENT`, `EROFS`, `EPERM`.
    fn unlink(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTEMPTY`, `EROFS`, `EPERM`.
    fn rmdir(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Moves `name` to `new_name` in `new_dir`, a directory of the same file
    /// system, replacing what is there; with `exchange` the two are swapped.
    /// Types, ancestry and permissions are checked by the caller.
    ///
    /// # Errors
    /// `ENOTEMPTY` when a directory with entries would be replaced, `EXDEV`.
    fn rename(
        &self,
        _name: &[u8],
        _new_dir: &Arc<dyn Inode>,
        _new_name: &[u8],
        _exchange: bool,
    ) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// `child` is called `name` in this directory from now on. Told after a rename
    /// of names that are cached.
    fn renamed(&self, _child: &Arc<dyn Inode>, _name: &[u8]) {}

    /// Is `child` still what `name` refers to? Asked of volatile file systems.
    fn revalidate(&self, _caller: &Caller<'_>, _name: &[u8], _child: &Arc<dyn Inode>) -> bool {
        true
    }
}

/// What `fallocate` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallocate {
    /// Reserve space, growing the file.
    Extend,
    /// Reserve space beyond the size.
    Reserve,
    /// Release the range.
    PunchHole,
    /// Zero the range, growing the file.
    Zero,
    /// Zero the range without growing the file.
    ZeroKeepSize,
    /// Remove the range.
    Collapse,
    /// Insert a hole.
    Insert,
}

/// A regular file.
pub trait Regular: Send + Sync {
    /// Reads at `pos`; 0 at and after the end.
    ///
    /// # Errors
    /// `EIO`, `EFAULT`.
    fn read_at(&self, dst: &mut dyn IoSink, pos: u64) -> Result<usize, Errno>;

    /// Writes at `pos`, or at the end when `pos` is `None`, and returns the
    /// count and the offset after it.
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`, `EIO`, `EFAULT`, `EROFS`, `EPERM` for sealed files.
    fn write_at(&self, src: &mut dyn IoSource, pos: Option<u64>) -> Result<(usize, u64), Errno>;

    /// Sets the size.
    ///
    /// # Errors
    /// `EFBIG`, `EROFS`, `EPERM` for sealed files.
    fn truncate(&self, size: u64) -> Result<(), Errno>;

    /// Changes the allocation of a range.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for what the file system cannot do.
    fn allocate(&self, _how: Fallocate, _start: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The next data (or hole) at or after `pos`.
    ///
    /// # Errors
    /// `ENXIO` when there is none.
    fn next_extent(&self, pos: u64, size: u64, is_hole: bool) -> Result<u64, Errno> {
        if pos >= size {
            Err(Errno::ENXIO)
        } else {
            Ok(if is_hole { size } else { pos })
        }
    }

    /// Makes the content durable.
    ///
    /// # Errors
    /// `EIO`.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    /// The file as memory.
    fn mappable(&self) -> Option<Arc<dyn Mappable>> {
        None
    }
}

/// Whether an attribute may or must exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrSet {
    /// Create or replace.
    Any,
    /// It must not exist (`EEXIST`).
    Create,
    /// It must exist (`ENODATA`).
    Replace,
}

/// Extended attributes; names are complete (`user.mime_type`).
pub trait Xattrs: Send + Sync {
    /// The value of `name`.
    ///
    /// # Errors
    /// `ENODATA`, `EOPNOTSUPP`.
    fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno>;

    /// Sets `name`.
    ///
    /// # Errors
    /// `EEXIST`, `ENODATA`, `ENOSPC`, `EROFS`, `EOPNOTSUPP`.
    fn set(&self, name: &[u8], value: &[u8], how: XattrSet) -> Result<(), Errno>;

    /// All names.
    ///
    /// # Errors
    /// `EIO`.
    fn list(&self) -> Result<Vec<Vec<u8>>, Errno>;

    /// Removes `name`.
    ///
    /// # Errors
    /// `ENODATA`, `EROFS`.
    fn remove(&self, name: &[u8]) -> Result<(), Errno>;
}
