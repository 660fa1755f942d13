// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host files through POSIX calls relative to open directories, for Linux and
//! Darwin alike. No call here follows a link or takes a path of two components.

use std::any::Any;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use linux_abi::Errno;
use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, SeekFrom, Timespec, Timestamps,
    Uid,
};

use super::errno::from_host;
use super::files::{
    HostDir, HostEntry, HostFile, HostFsStat, HostKind, HostNode, HostOpen, HostSetAttr, HostStat,
    HostXattrs,
};

/// Longest target of a symbolic link.
const LINK_MAX: usize = 4096;
/// Longest extended attribute, and longest list of their names.
const XATTR_MAX: usize = 65536;

/// Opens a directory of the host, as the root of what a guest may reach. This
/// path, which the user gave, is the only one whose links are followed.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`, `EACCES`.
pub fn open_root(path: &Path) -> Result<Arc<dyn HostDir>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = fs::open(path, flags, Mode::empty()).map_err(from_host)?;
    Ok(Arc::new(UnixDir { fd }))
}

struct UnixDir {
    fd: OwnedFd,
}

struct UnixFile {
    fd: OwnedFd,
}

/// A single name, as the system takes it.
fn component(name: &[u8]) -> Result<CString, Errno> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    CString::new(name).map_err(|_| Errno::EINVAL)
}

fn kind_of(kind: FileType) -> Option<HostKind> {
    Some(match kind {
        FileType::RegularFile => HostKind::Regular,
        FileType::Directory => HostKind::Directory,
        FileType::Symlink => HostKind::Symlink,
        FileType::CharacterDevice => HostKind::Char,
        FileType::BlockDevice => HostKind::Block,
        FileType::Fifo => HostKind::Fifo,
        FileType::Socket => HostKind::Socket,
        FileType::Unknown => return None,
    })
}

/// Narrows a number of the host's `stat`, whose widths differ between systems.
fn narrow<T, U: TryFrom<T> + Default>(value: T) -> U {
    U::try_from(value).unwrap_or_default()
}

/// Widens the mode, which has 16 bits on Darwin.
fn widen(mode: impl Into<u32>) -> u32 {
    mode.into()
}

fn stat_of(stat: &fs::Stat) -> Result<HostStat, Errno> {
    let kind = kind_of(FileType::from_raw_mode(stat.st_mode)).ok_or(Errno::EIO)?;
    let rdev = stat.st_rdev;
    Ok(HostStat {
        kind,
        dev: narrow(stat.st_dev),
        ino: stat.st_ino,
        perm: widen(stat.st_mode) & 0o7777,
        nlink: narrow(stat.st_nlink),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: (fs::major(rdev), fs::minor(rdev)),
        size: narrow(stat.st_size),
        blocks: narrow(stat.st_blocks),
        atime: (stat.st_atime, narrow(stat.st_atime_nsec)),
        mtime: (stat.st_mtime, narrow(stat.st_mtime_nsec)),
        ctime: (stat.st_ctime, narrow(stat.st_ctime_nsec)),
    })
}

fn mode_of(perm: u32) -> Mode {
    Mode::from_bits_truncate(narrow(perm))
}

fn time_of(time: Option<(i64, u32)>) -> Timespec {
    match time {
        Some((sec, nsec)) => Timespec {
            tv_sec: sec,
            tv_nsec: nsec.into(),
        },
        None => Timespec {
            tv_sec: 0,
            tv_nsec: fs::UTIME_OMIT,
        },
    }
}

fn directory(dir: &dyn HostDir) -> Result<&UnixDir, Errno> {
    (dir as &dyn Any).downcast_ref().ok_or(Errno::EXDEV)
}

impl UnixDir {
    fn open(&self, name: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.fd, component(name)?, flags, mode).map_err(from_host)
    }
}

impl HostDir for UnixDir {
    fn open_dir(&self, name: &[u8]) -> Result<Arc<dyn HostDir>, Errno> {
        let fd = self.open(name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(Arc::new(Self { fd }))
    }

    fn open_file(&self, name: &[u8], how: HostOpen) -> Result<Arc<dyn HostFile>, Errno> {
        // Opening a fifo must not wait for its other side.
        let (flags, mode) = match how {
            HostOpen::Read => (OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()),
            HostOpen::ReadWrite => (OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()),
            HostOpen::Create(perm) => (OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, mode_of(perm)),
        };
        let file = UnixFile {
            fd: self.open(name, flags, mode)?,
        };
        if file.stat()?.kind == HostKind::Regular {
            Ok(Arc::new(file))
        } else {
            Err(Errno::EINVAL)
        }
    }

    fn stat(&self, name: Option<&[u8]>) -> Result<HostStat, Errno> {
        let stat = match name {
            Some(name) => fs::statat(&self.fd, component(name)?, AtFlags::SYMLINK_NOFOLLOW),
            None => fs::fstat(&self.fd),
        };
        stat_of(&stat.map_err(from_host)?)
    }

    fn list(&self) -> Result<Vec<HostEntry>, Errno> {
        let mut all = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(from_host)? {
            let entry = entry.map_err(from_host)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let kind = kind_of(entry.file_type());
                all.push(HostEntry {
                    name: name.to_vec(),
                    ino: entry.ino(),
                    kind,
                });
            }
        }
        Ok(all)
    }

    fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let target = fs::readlinkat(&self.fd, component(name)?, Vec::with_capacity(LINK_MAX));
        target.map(CString::into_bytes).map_err(from_host)
    }

    fn make(&self, name: &[u8], node: &HostNode, perm: u32) -> Result<(), Errno> {
        let name = component(name)?;
        match node {
            HostNode::Directory => fs::mkdirat(&self.fd, name, mode_of(perm)),
            HostNode::Symlink(target) => {
                let target = CString::new(target.as_slice()).map_err(|_| Errno::EINVAL)?;
                fs::symlinkat(target, &self.fd, name)
            }
            HostNode::Fifo => return Err(Errno::EPERM),
        }
        .map_err(from_host)
    }

    fn link(&self, name: &[u8], to: &dyn HostDir, new_name: &[u8]) -> Result<(), Errno> {
        let (name, new_name) = (component(name)?, component(new_name)?);
        let to = &directory(to)?.fd;
        fs::linkat(&self.fd, name, to, new_name, AtFlags::empty()).map_err(from_host)
    }

    fn rename(
        &self,
        name: &[u8],
        to: &dyn HostDir,
        new_name: &[u8],
        exchange: bool,
    ) -> Result<(), Errno> {
        let (name, new_name) = (component(name)?, component(new_name)?);
        let to = &directory(to)?.fd;
        if exchange {
            fs::renameat_with(&self.fd, name, to, new_name, RenameFlags::EXCHANGE)
        } else {
            fs::renameat(&self.fd, name, to, new_name)
        }
        .map_err(from_host)
    }

    fn remove(&self, name: &[u8], is_dir: bool) -> Result<(), Errno> {
        let flags = if is_dir {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        fs::unlinkat(&self.fd, component(name)?, flags).map_err(from_host)
    }

    fn set_attr(&self, name: Option<&[u8]>, change: &HostSetAttr) -> Result<(), Errno> {
        let name = name.map(component).transpose()?;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        if change.uid.is_some() || change.gid.is_some() {
            let (uid, gid) = (change.uid.map(Uid::from_raw), change.gid.map(Gid::from_raw));
            match &name {
                Some(name) => fs::chownat(&self.fd, name, uid, gid, nofollow),
                None => fs::fchown(&self.fd, uid, gid),
            }
            .map_err(from_host)?;
        }
        if let Some(perm) = change.perm {
            self.set_perm(name.as_ref(), mode_of(perm))?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let times = Timestamps {
                last_access: time_of(change.atime),
                last_modification: time_of(change.mtime),
            };
            match &name {
                Some(name) => fs::utimensat(&self.fd, name, &times, nofollow),
                None => fs::futimens(&self.fd, &times),
            }
            .map_err(from_host)?;
        }
        Ok(())
    }

    fn fs_stat(&self) -> Result<HostFsStat, Errno> {
        let stat = fs::fstatvfs(&self.fd).map_err(from_host)?;
        Ok(HostFsStat {
            block_size: stat.f_frsize,
            blocks: stat.f_blocks,
            free: stat.f_bavail,
            files: stat.f_files,
            files_free: stat.f_ffree,
        })
    }

    fn xattrs(&self, name: Option<&[u8]>) -> Result<HostXattrs, Errno> {
        let Some(name) = name else {
            return list_xattrs(self.fd.as_fd());
        };
        // Opening a device may do something, and a link cannot be opened.
        let kind = self.stat(Some(name))?.kind;
        if !matches!(kind, HostKind::Regular | HostKind::Directory) {
            return Ok(Vec::new());
        }
        let file = self.open(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        list_xattrs(file.as_fd())
    }
}

impl UnixDir {
    /// Mode bits of a link cannot be set; opening it refuses it before `fchmod`
    /// could follow it.
    fn set_perm(&self, name: Option<&CString>, mode: Mode) -> Result<(), Errno> {
        let Some(name) = name else {
            return fs::fchmod(&self.fd, mode).map_err(from_host);
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(&self.fd, name, flags, Mode::empty()).map_err(from_host)?;
        fs::fchmod(&fd, mode).map_err(from_host)
    }
}

fn list_xattrs(file: BorrowedFd<'_>) -> Result<HostXattrs, Errno> {
    let mut names = vec![0; XATTR_MAX];
    let length = fs::flistxattr(file, names.as_mut_slice()).map_err(from_host)?;
    names.truncate(length);
    let mut value = vec![0; XATTR_MAX];
    let mut xattrs = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|n| !n.is_empty()) {
        match fs::fgetxattr(file, name, value.as_mut_slice()) {
            Ok(length) => xattrs.push((name.to_vec(), value[..length].to_vec())),
            // Removed meanwhile.
            Err(error) if is_no_attribute(error) => {}
            Err(error) => return Err(from_host(error)),
        }
    }
    Ok(xattrs)
}

/// Linux calls a missing attribute `ENODATA` (61), Darwin `ENOATTR` (93). Each
/// number is one about sockets on the other system, which no file answers.
fn is_no_attribute(error: rustix::io::Errno) -> bool {
    matches!(error.raw_os_error(), 61 | 93)
}

impl HostFile for UnixFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while done < buf.len() {
            let at = pos + u64::try_from(done).unwrap_or(0);
            match rustix::io::pread(&self.fd, &mut buf[done..], at) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) if done == 0 => return Err(from_host(error)),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write_at(&self, data: &[u8], pos: u64) -> Result<usize, Errno> {
        let mut done = 0;
        while done < data.len() {
            let at = pos + u64::try_from(done).unwrap_or(0);
            match rustix::io::pwrite(&self.fd, &data[done..], at) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) if done == 0 => return Err(from_host(error)),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        fs::ftruncate(&self.fd, size).map_err(from_host)
    }

    fn sync(&self) -> Result<(), Errno> {
        fs::fsync(&self.fd).map_err(from_host)
    }

    fn stat(&self) -> Result<HostStat, Errno> {
        stat_of(&fs::fstat(&self.fd).map_err(from_host)?)
    }

    fn next_extent(&self, pos: u64, is_hole: bool) -> Result<u64, Errno> {
        let from = if is_hole {
            SeekFrom::Hole(pos)
        } else {
            SeekFrom::Data(pos)
        };
        fs::seek(&self.fd, from).map_err(from_host)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use linux_abi::Errno;

    use super::open_root;
    use crate::host::{HostKind, HostOpen};

    #[test]
    fn links_out_of_the_directory_are_never_followed() {
        let temp = tempfile::tempdir().unwrap();
        symlink("/etc", temp.path().join("dir")).unwrap();
        symlink("/etc/passwd", temp.path().join("file")).unwrap();
        let root = open_root(temp.path()).unwrap();
        let refused = [Some(Errno::ELOOP), Some(Errno::ENOTDIR)];
        assert!(refused.contains(&root.open_dir(b"dir").err()));
        assert_eq!(
            root.open_file(b"file", HostOpen::Read).err(),
            Some(Errno::ELOOP)
        );
        assert_eq!(root.stat(Some(b"file")).unwrap().kind, HostKind::Symlink);
        assert_eq!(root.read_link(b"file").unwrap(), b"/etc/passwd");
    }

    #[test]
    fn only_single_names_are_taken() {
        let temp = tempfile::tempdir().unwrap();
        let root = open_root(temp.path()).unwrap();
        for name in [&b""[..], b".", b"..", b"a/b", b"/etc", b"a\0b"] {
            assert_eq!(root.stat(Some(name)).err(), Some(Errno::EINVAL), "{name:?}");
            assert_eq!(root.open_dir(name).err(), Some(Errno::EINVAL));
            assert_eq!(root.remove(name, false).err(), Some(Errno::EINVAL));
        }
    }

    #[test]
    fn handle_outlives_the_name_of_its_directory() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("a")).unwrap();
        let root = open_root(temp.path()).unwrap();
        let dir = root.open_dir(b"a").unwrap();
        root.rename(b"a", &*root, b"b", false).unwrap();
        let file = dir.open_file(b"x", HostOpen::Create(0o600)).unwrap();
        assert_eq!(file.write_at(b"hello", 3), Ok(5));
        assert_eq!(
            std::fs::read(temp.path().join("b/x")).unwrap(),
            b"\0\0\0hello"
        );
    }
}
