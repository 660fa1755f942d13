// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tar as a writable layer again. Only names inside the layer can be made, by
//! single components below directories that the tar itself has made.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use elfuse_kernel::file::SliceSource;
use elfuse_kernel::vfs::{Inode, NewKind, NewNode, SetAttr, SetTime, Timespec, XattrSet};
use linux_abi::stat::make_dev;
use tar::{Archive, Entry, EntryType};

use super::save::{NANOS, XATTR, failed};

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// What the records before an entry say.
#[derive(Default)]
struct Records {
    nanos: u32,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Makes everything in `tar` below `root`.
pub(super) fn read(tar: impl Read, root: &Arc<dyn Inode>) -> io::Result<()> {
    let mut made: HashMap<Vec<u8>, Arc<dyn Inode>> = HashMap::new();
    let mut times = Vec::new();
    let mut archive = Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = trimmed(&entry.path_bytes());
        let records = records(&mut entry)?;
        let node = new_node(&entry)?;
        let inode = if path.is_empty() {
            Arc::clone(root)
        } else {
            let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
                Some(at) => (made.get(&path[..at]), &path[at + 1..]),
                None => (Some(root), path.as_slice()),
            };
            let parent = parent.ok_or_else(|| damaged("a name comes before its directory"))?;
            let dir = parent
                .as_dir()
                .ok_or_else(|| damaged("a name is below a file"))?;
            if entry.header().entry_type() == EntryType::Link {
                let target = entry.link_name_bytes().map(|name| trimmed(&name));
                let target = target.and_then(|target| made.get(&target));
                let target = target.ok_or_else(|| damaged("a link comes before its file"))?;
                dir.link(name, target).map_err(failed)?;
                continue;
            }
            dir.create(name, &node).map_err(failed)?
        };
        copy(&mut entry, &inode)?;
        for (name, value) in &records.xattrs {
            let xattrs = inode
                .as_xattrs()
                .ok_or_else(|| damaged("no attributes here"))?;
            xattrs.set(name, value, XattrSet::Any).map_err(failed)?;
        }
        let seconds = i64::try_from(entry.header().mtime()?).map_err(io::Error::other)?;
        times.push((Arc::clone(&inode), node, seconds, records.nanos));
        made.insert(path, inode);
    }
    // Making a file changes the time of its directory, so times come last.
    for (inode, node, sec, nsec) in times {
        let time = Some(SetTime::To(Timespec { sec, nsec }));
        let is_link = matches!(node.kind, NewKind::Symlink(_));
        let change = SetAttr {
            perm: (!is_link).then_some(node.perm),
            uid: Some(node.uid),
            gid: Some(node.gid),
            atime: time,
            mtime: time,
        };
        inode.set_attr(&change).map_err(failed)?;
    }
    Ok(())
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the kept layer is damaged: {what}"),
    )
}

/// What is written in hex.
fn bytes(hex: &[u8]) -> Option<Vec<u8>> {
    let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect()
}

/// The path without `./` before it and slashes after it.
fn trimmed(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let end = path
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |at| at + 1);
    path[..end].to_vec()
}

fn records<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Records> {
    let mut records = Records::default();
    let Some(extensions) = entry.pax_extensions()? else {
        return Ok(records);
    };
    for record in extensions {
        let record = record?;
        let key = record.key_bytes();
        if key == NANOS.as_bytes() {
            let nanos = record.value().ok().and_then(|value| value.parse().ok());
            records.nanos = nanos.ok_or_else(|| damaged("a time is no number"))?;
        } else if let Some(name) = key.strip_prefix(XATTR.as_bytes()) {
            let pair = bytes(name).zip(bytes(record.value_bytes()));
            records
                .xattrs
                .push(pair.ok_or_else(|| damaged("an attribute is not hex"))?);
        }
    }
    Ok(records)
}

fn new_node<R: Read>(entry: &Entry<'_, R>) -> io::Result<NewNode> {
    let header = entry.header();
    let device = || -> io::Result<u64> {
        let major = header.device_major()?.unwrap_or(0);
        Ok(make_dev(major, header.device_minor()?.unwrap_or(0)))
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Link => NewKind::Regular,
        EntryType::Directory => NewKind::Directory,
        EntryType::Symlink => {
            let target = entry.link_name_bytes();
            NewKind::Symlink(
                target
                    .ok_or_else(|| damaged("a link has no target"))?
                    .into_owned(),
            )
        }
        EntryType::Char => NewKind::Char(device()?),
        EntryType::Block => NewKind::Block(device()?),
        EntryType::Fifo => NewKind::Fifo,
        _ => return Err(damaged("it has an entry of an unknown kind")),
    };
    Ok(NewNode {
        kind,
        perm: header.mode()? & 0o7777,
        uid: u32::try_from(header.uid()?).map_err(io::Error::other)?,
        gid: u32::try_from(header.gid()?).map_err(io::Error::other)?,
    })
}

fn copy<R: Read>(entry: &mut Entry<'_, R>, inode: &Arc<dyn Inode>) -> io::Result<()> {
    let Some(file) = inode.as_regular() else {
        return Ok(());
    };
    let mut buf = vec![0; CHUNK];
    let mut pos = 0;
    loop {
        let count = entry.read(&mut buf)?;
        if count == 0 {
            return Ok(());
        }
        let mut done = 0;
        while done < count {
            let mut source = SliceSource(&buf[done..count]);
            let (written, next) = file.write_at(&mut source, Some(pos)).map_err(failed)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            (done, pos) = (done + written, next);
        }
    }
}
