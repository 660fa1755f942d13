// SPDX-License-Identifier: MIT OR Apache-2.0
//! A directory as the tar stream of a layer.
//!
//! [`Rootfs::scan`] notes every name once, in byte order; the stream is then the
//! same each time it is read, and a file that has become shorter meanwhile ends
//! it with an error. Owners are kept when root builds. For anybody else the own
//! user and group count as root, as in a user namespace. Of extended
//! attributes, those stay that an image can have. Other file systems mounted
//! below are not entered, sockets are left out.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::SourceError;
use crate::image::OpenBlob;
use crate::progress::Progress;
use crate::squash::tar::writer::{END, Flag, Head, pad, write_header};
use crate::squash::{Meta, Timestamp, Xattrs};

/// A scanned directory.
#[derive(Debug, Clone)]
pub(super) struct Rootfs {
    root: Arc<Path>,
    entries: Arc<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    /// Relative to the root; empty for the root itself.
    path: Vec<u8>,
    kind: Kind,
    meta: Meta,
}

#[derive(Debug)]
enum Kind {
    File(u64),
    Dir,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

impl Rootfs {
    /// Notes everything below `root`.
    ///
    /// # Errors
    /// Names what cannot be read, or cannot be in a layer.
    pub(super) fn scan(root: &Path, progress: &dyn Progress) -> Result<Self, SourceError> {
        let metadata =
            fs::metadata(root).map_err(|source| SourceError::io("open", root, source))?;
        if !metadata.is_dir() {
            let why = "not a directory\nhint: an image of an archive is tar:FILE";
            return Err(SourceError::format(root, why));
        }
        let mut scan = Scan {
            root,
            device: metadata.dev(),
            owners: Owners::current(),
            links: HashMap::new(),
            progress,
        };
        let mut entries = Vec::new();
        // Depth first, the next name on top.
        let mut todo = vec![(Vec::new(), metadata)];
        while let Some((path, metadata)) = todo.pop() {
            if metadata.is_dir() {
                todo.extend(scan.children(&path, &metadata)?);
            }
            if let Some(kind) = scan.kind(&path, &metadata)? {
                let meta = scan.meta(&path, &metadata)?;
                entries.push(Entry { path, kind, meta });
            }
        }
        Ok(Self {
            root: root.into(),
            entries: entries.into(),
        })
    }

    /// Bytes of all files.
    pub(super) fn content_size(&self) -> u64 {
        let size = |entry: &Entry| match entry.kind {
            Kind::File(size) => size,
            _ => 0,
        };
        self.entries.iter().map(size).sum()
    }
}

impl OpenBlob for Rootfs {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Stream {
            rootfs: self.clone(),
            next: 0,
            bytes: Vec::new(),
            used: 0,
            file: None,
        }))
    }
}

struct Scan<'a> {
    root: &'a Path,
    device: u64,
    owners: Owners,
    /// First name of every file with several.
    links: HashMap<(u64, u64), Vec<u8>>,
    progress: &'a dyn Progress,
}

type Child = (Vec<u8>, Metadata);

impl Scan<'_> {
    /// A directory's children, the last name first.
    fn children(&self, dir: &[u8], metadata: &Metadata) -> Result<Vec<Child>, SourceError> {
        let host = host(self.root, dir);
        if metadata.dev() != self.device {
            let line = format!("left out what is mounted at {}", host.display());
            self.progress.note(&line);
            return Ok(Vec::new());
        }
        let failed = |source| SourceError::io("read", &host, source);
        let mut children = Vec::new();
        for child in fs::read_dir(&host).map_err(failed)? {
            let child = child.map_err(failed)?;
            let name = child.file_name().into_vec();
            if name.starts_with(b".wh.") {
                let why = "names that begin with .wh. have a meaning of their own in layers";
                return Err(SourceError::format(child.path(), why));
            }
            let metadata = child
                .metadata()
                .map_err(|source| SourceError::io("read", child.path(), source))?;
            let separator: &[u8] = if dir.is_empty() { b"" } else { b"/" };
            children.push(([dir, separator, &name].concat(), metadata));
        }
        children.sort_unstable_by(|a, b| b.0.cmp(&a.0));
        Ok(children)
    }

    /// `None` for what no layer can hold.
    fn kind(&mut self, path: &[u8], metadata: &Metadata) -> Result<Option<Kind>, SourceError> {
        let host = host(self.root, path);
        let failed = |source| SourceError::io("read", &host, source);
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Ok(Some(Kind::Dir));
        }
        if kind.is_socket() {
            let line = format!("left out the socket {}", host.display());
            self.progress.note(&line);
            return Ok(None);
        }
        if metadata.nlink() > 1 {
            let id = (metadata.dev(), metadata.ino());
            if let Some(first) = self.links.get(&id) {
                return Ok(Some(Kind::Hardlink(first.clone())));
            }
            self.links.insert(id, path.to_vec());
        }
        if kind.is_symlink() {
            let target = fs::read_link(&host).map_err(failed)?;
            return Ok(Some(Kind::Symlink(target.into_os_string().into_vec())));
        }
        if kind.is_fifo() {
            return Ok(Some(Kind::Fifo));
        }
        if kind.is_file() {
            return Ok(Some(Kind::File(metadata.len())));
        }
        let stat = rustix::fs::lstat(&host).map_err(|error| failed(error.into()))?;
        let major = rustix::fs::major(stat.st_rdev);
        let minor = rustix::fs::minor(stat.st_rdev);
        Ok(Some(if kind.is_char_device() {
            Kind::CharDevice(major, minor)
        } else {
            Kind::BlockDevice(major, minor)
        }))
    }

    fn meta(&self, path: &[u8], metadata: &Metadata) -> Result<Meta, SourceError> {
        let host = host(self.root, path);
        Ok(Meta {
            mode: metadata.permissions().mode() & 0o7777,
            uid: self.owners.user(metadata.uid()),
            gid: self.owners.group(metadata.gid()),
            mtime: Timestamp {
                secs: metadata.mtime(),
                nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            },
            xattrs: xattrs(&host).map_err(|source| SourceError::io("read", &host, source))?,
        })
    }
}

/// Who counts as root.
struct Owners {
    /// `None` when root builds.
    own: Option<(u32, u32)>,
}

impl Owners {
    fn current() -> Self {
        let user = rustix::process::geteuid();
        let group = rustix::process::getegid();
        Self {
            own: (!user.is_root()).then(|| (user.as_raw(), group.as_raw())),
        }
    }

    fn user(&self, uid: u32) -> u32 {
        match self.own {
            Some((own, _)) if own == uid => 0,
            _ => uid,
        }
    }

    fn group(&self, gid: u32) -> u32 {
        match self.own {
            Some((_, own)) if own == gid => 0,
            _ => gid,
        }
    }
}

/// Attributes that belong to the image; others, such as labels of the host's
/// security policy, belong to the host.
fn xattrs(path: &Path) -> io::Result<Xattrs> {
    let is_kept = |name: &[u8]| {
        name.starts_with(b"user.")
            || name == b"security.capability"
            || name == b"system.posix_acl_access"
            || name == b"system.posix_acl_default"
    };
    let unsupported = [rustix::io::Errno::NOTSUP, rustix::io::Errno::PERM];
    let mut names = vec![0; 1 << 16];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(error) if unsupported.contains(&error) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut found = Xattrs::new();
    for name in names[..length].split(|&b| b == 0) {
        if is_kept(name) {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..])?;
            value.truncate(length);
            found.insert(name.to_vec(), value);
        }
    }
    Ok(found)
}

fn host(root: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() {
        root.to_path_buf()
    } else {
        root.join(std::ffi::OsStr::from_bytes(path))
    }
}

/// The tar stream, made while it is read.
struct Stream {
    rootfs: Rootfs,
    /// Entry to begin next; one past the last is the end of the archive.
    next: usize,
    /// Header or padding, of which `used` bytes were handed out.
    bytes: Vec<u8>,
    used: usize,
    file: Option<Contents>,
}

struct Contents {
    file: File,
    path: PathBuf,
    size: u64,
    left: u64,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.bytes.len() && self.file.is_none() {
            if !self.begin_entry()? {
                return Ok(0);
            }
        }
        if self.used < self.bytes.len() {
            let count = buffer.len().min(self.bytes.len() - self.used);
            buffer[..count].copy_from_slice(&self.bytes[self.used..self.used + count]);
            self.used += count;
            return Ok(count);
        }
        self.read_contents(buffer)
    }
}

impl Stream {
    /// Makes the header of the next entry; false after the end.
    fn begin_entry(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.used = 0;
        let index = self.next;
        self.next += 1;
        let Some(entry) = self.rootfs.entries.get(index) else {
            let is_end = index == self.rootfs.entries.len();
            self.bytes
                .extend_from_slice(if is_end { &END } else { &[] });
            return Ok(is_end);
        };
        let size = match entry.kind {
            Kind::File(size) => size,
            _ => 0,
        };
        let head = Head {
            path: &entry.path,
            flag: entry.kind.flag(),
            meta: &entry.meta,
            mtime: entry.meta.mtime,
            size,
        };
        write_header(&mut self.bytes, &head);
        if size > 0 {
            self.file = Some(Contents::open(host(&self.rootfs.root, &entry.path), size)?);
        }
        Ok(true)
    }

    fn read_contents(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(contents) = &mut self.file else {
            return Ok(0);
        };
        let count = contents.read(buffer)?;
        if contents.left == 0 {
            let size = contents.size;
            self.file = None;
            self.bytes.clear();
            self.used = 0;
            pad(&mut self.bytes, size);
        }
        Ok(count)
    }
}

impl Contents {
    fn open(path: PathBuf, size: u64) -> io::Result<Self> {
        // What was a file may be something else by now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|error| named(&path, &error.into()))?;
        Ok(Self {
            file: file.into(),
            path,
            size,
            left: size,
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self
            .file
            .read(&mut buffer[..wanted])
            .map_err(|error| named(&self.path, &error))?;
        if count == 0 && wanted > 0 {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter");
            return Err(named(&self.path, &error));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Kind {
    fn flag(&self) -> Flag<'_> {
        match self {
            Self::File(_) => Flag::File,
            Self::Dir => Flag::Dir,
            Self::Symlink(target) => Flag::Symlink(target),
            Self::Hardlink(first) => Flag::Hardlink(first),
            Self::CharDevice(major, minor) => Flag::CharDevice(*major, *minor),
            Self::BlockDevice(major, minor) => Flag::BlockDevice(*major, *minor),
            Self::Fifo => Flag::Fifo,
        }
    }
}
