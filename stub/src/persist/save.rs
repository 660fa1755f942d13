// SPDX-License-Identifier: MIT OR Apache-2.0
//! A writable layer as a tar: directories before what is in them, the second name
//! of a file as a hard link to the first. Sockets are left out: nobody listens at
//! them in the next run.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use elfuse_kernel::file::{Caller, VecSink};
use elfuse_kernel::vfs::{Attr, FsCred, Inode, Kind};
use linux_abi::Errno;
use linux_abi::stat::{dev_major, dev_minor};
use tar::{Builder, EntryType, Header};

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;
/// Prefix of PAX records that hold extended attributes, name and value in hex:
/// readers of these records stumble over line ends in them.
pub(super) const XATTR: &str = "ELFUSE.xattr.";
/// PAX record of the nanoseconds that a tar header has no room for.
pub(super) const NANOS: &str = "ELFUSE.mtime.nsec";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The host's error for one of the guest's.
pub(super) fn failed(errno: Errno) -> io::Error {
    io::Error::other(errno.to_string())
}

/// Writes everything below `root`, and its own attributes.
pub(super) fn write(root: &Arc<dyn Inode>, out: &mut File) -> io::Result<()> {
    let mut saver = Saver {
        tar: Builder::new(io::BufWriter::new(out)),
        cred: FsCred::root(),
        names: HashMap::new(),
    };
    let mut todo = vec![(b"./".to_vec(), Arc::clone(root))];
    while let Some((path, inode)) = todo.pop() {
        saver.add(&path, &inode)?;
        if let Some(dir) = inode.as_dir() {
            let caller = Caller::kernel(&saver.cred);
            for entry in dir.list(&caller).map_err(failed)? {
                let child = dir.lookup(&caller, &entry.name).map_err(failed)?;
                let mut path = path.clone();
                path.extend_from_slice(&entry.name);
                if child.kind() == Kind::Directory {
                    path.push(b'/');
                }
                todo.push((path, child));
            }
        }
    }
    saver.tar.into_inner()?.flush()
}

struct Saver<W: Write> {
    tar: Builder<W>,
    cred: FsCred,
    /// First names of files that have more.
    names: HashMap<u64, Vec<u8>>,
}

impl<W: Write> Saver<W> {
    fn add(&mut self, path: &[u8], inode: &Arc<dyn Inode>) -> io::Result<()> {
        let attr = inode.attr().map_err(failed)?;
        let name = Path::new(std::ffi::OsStr::from_bytes(path));
        let mut header = header(&attr);
        if attr.kind != Kind::Directory && attr.nlink > 1 {
            if let Some(first) = self.names.get(&attr.ino) {
                let first = Path::new(std::ffi::OsStr::from_bytes(first));
                header.set_entry_type(EntryType::Link);
                return self.tar.append_link(&mut header, name, first);
            }
            self.names.insert(attr.ino, path.to_vec());
        }
        let kind = match attr.kind {
            Kind::Socket => return Ok(()),
            Kind::Regular => EntryType::Regular,
            Kind::Directory => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::Char => EntryType::Char,
            Kind::Block => EntryType::Block,
            Kind::Fifo => EntryType::Fifo,
        };
        header.set_entry_type(kind);
        self.extensions(&attr, inode)?;
        match (inode.as_regular(), kind) {
            (Some(_), _) => {
                header.set_size(attr.size);
                let content = Content { inode, pos: 0 };
                self.tar
                    .append_data(&mut header, name, content.take(attr.size))
            }
            (None, EntryType::Symlink) => {
                let target = inode
                    .read_link(&Caller::kernel(&self.cred))
                    .map_err(failed)?;
                let target = Path::new(std::ffi::OsStr::from_bytes(&target));
                self.tar.append_link(&mut header, name, target)
            }
            (None, _) => self.tar.append_data(&mut header, name, io::empty()),
        }
    }

    fn extensions(&mut self, attr: &Attr, inode: &Arc<dyn Inode>) -> io::Result<()> {
        let mut records = vec![(NANOS.to_owned(), attr.mtime.nsec.to_string().into_bytes())];
        if let Some(xattrs) = inode.as_xattrs() {
            for name in xattrs.list().map_err(failed)? {
                let value = xattrs.get(&name).map_err(failed)?;
                records.push((format!("{XATTR}{}", hex(&name)), hex(&value).into_bytes()));
            }
        }
        let records = records
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_slice()));
        self.tar.append_pax_extensions(records)
    }
}

fn header(attr: &Attr) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(attr.perm);
    header.set_uid(attr.uid.into());
    header.set_gid(attr.gid.into());
    // Times before 1970 do not fit; what a guest writes has none.
    header.set_mtime(u64::try_from(attr.mtime.sec).unwrap_or(0));
    header.set_size(0);
    // A GNU header has room for device numbers.
    let _ = header.set_device_major(dev_major(attr.rdev));
    let _ = header.set_device_minor(dev_minor(attr.rdev));
    header
}

/// The bytes of a regular file.
struct Content<'a> {
    inode: &'a Arc<dyn Inode>,
    pos: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.inode.as_regular().ok_or(io::ErrorKind::InvalidInput)?;
        let mut sink = VecSink::new(buf.len().min(CHUNK));
        let count = file.read_at(&mut sink, self.pos).map_err(failed)?;
        buf[..count].copy_from_slice(&sink.as_slice()[..count]);
        self.pos += u64::try_from(count).map_err(io::Error::other)?;
        Ok(count)
    }
}
