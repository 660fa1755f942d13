// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the tree as one deterministic tar, and describes it for the table of
//! contents.
//!
//! Names come in byte order of their paths. The first name of a file carries
//! its contents and attributes, later names are hard links to the first.
//! Contents are read straight into the writer's buffer; nothing grows with
//! their size.

use std::io::{self, Write};

use elfuse_payload::Digest;
use elfuse_payload::layer::LayerWriter;
use elfuse_payload::toc;

use super::entry::{Content, Meta, Timestamp};
use super::spill::Spilled;
use super::tar::writer::{END, Flag, Head, pad, write_header};
use super::tree::{Body, Node, Path, Tree};
use crate::progress::Task;

/// Bytes of headers after which they are written though no contents follow.
const MOST_WAITING: usize = 64 << 10;

/// Takes the tar: a writer that lends its own buffer.
pub(crate) trait Sink {
    /// Where the next bytes go, at least one.
    fn space(&mut self) -> &mut [u8];

    /// Takes over the first `count` bytes of the space.
    fn advance(&mut self, count: usize) -> io::Result<()>;
}

impl<W: Write> Sink for LayerWriter<W> {
    fn space(&mut self) -> &mut [u8] {
        self.space()
    }

    fn advance(&mut self, count: usize) -> io::Result<()> {
        self.advance(count)
    }
}

/// Why emitting failed: the two ends have different culprits.
pub(crate) enum Failure {
    Scratch(io::Error),
    Write(io::Error),
}

/// What to emit.
pub(crate) struct Emit<'a> {
    pub(crate) tree: &'a Tree,
    /// What [`Content::source`] counts.
    pub(crate) sources: &'a mut [Spilled],
    /// No time is later than this.
    pub(crate) epoch: Option<i64>,
    /// Told about contents as they pass.
    pub(crate) task: &'a dyn Task,
}

impl Emit<'_> {
    /// Writes the tar to `out` and returns the table of contents in path order.
    pub(crate) fn run(self, out: &mut dyn Sink) -> Result<Vec<toc::Entry>, Failure> {
        let tree = self.tree;
        let paths = tree.paths();
        let mut first_names = vec![None; tree.len()];
        let mut emitter = Emitter {
            emit: self,
            out,
            head: Vec::new(),
            position: 0,
        };
        let mut entries = Vec::with_capacity(paths.len());
        for (index, Path { path, node }) in paths.iter().enumerate() {
            let slot = &mut first_names[tree.index(*node)];
            let first = slot.map(|first: usize| paths[first].path.as_slice());
            slot.get_or_insert(index);
            entries.push(emitter.entry(path, tree.node(*node), first)?);
        }
        emitter.head.extend_from_slice(&END);
        emitter.flush()?;
        Ok(entries)
    }
}

struct Emitter<'a> {
    emit: Emit<'a>,
    out: &'a mut dyn Sink,
    /// Headers and padding that wait to be written.
    head: Vec<u8>,
    /// Offset in the tar of the first byte that waits.
    position: u64,
}

impl Emitter<'_> {
    fn entry(
        &mut self,
        path: &[u8],
        node: &Node,
        first: Option<&[u8]>,
    ) -> Result<toc::Entry, Failure> {
        let mtime = clamp(node.meta.mtime, self.emit.epoch);
        let (flag, content) = match (&node.body, first) {
            (_, Some(first)) => (Flag::Hardlink(first), None),
            (Body::File(content), None) => (Flag::File, Some(content)),
            (Body::Dir(_), None) => (Flag::Dir, None),
            (Body::Symlink(target), None) => (Flag::Symlink(target), None),
            (Body::CharDevice(major, minor), None) => (Flag::CharDevice(*major, *minor), None),
            (Body::BlockDevice(major, minor), None) => (Flag::BlockDevice(*major, *minor), None),
            (Body::Fifo, None) => (Flag::Fifo, None),
        };
        let size = content.map_or(0, |content| content.size);
        write_header(
            &mut self.head,
            &Head {
                path,
                flag,
                meta: &node.meta,
                mtime,
                size,
            },
        );
        let offset = self.position + self.head.len() as u64;
        if let Some(content) = content {
            self.flush()?;
            self.content(content)?;
            pad(&mut self.head, size);
        } else if self.head.len() >= MOST_WAITING {
            self.flush()?;
        }
        Ok(describe(
            path,
            flag,
            &node.meta,
            mtime,
            content.map(|c| (offset, c.size, c.digest)),
        ))
    }

    fn content(&mut self, content: &Content) -> Result<(), Failure> {
        let source = self.emit.sources.get_mut(content.source as usize);
        let source = source.ok_or_else(|| Failure::Scratch(io::ErrorKind::NotFound.into()))?;
        let mut done = 0;
        while done < content.size {
            let space = self.out.space();
            let left = usize::try_from(content.size - done).unwrap_or(usize::MAX);
            let step = left.min(space.len());
            source
                .read_exact_at(&mut space[..step], content.offset + done)
                .map_err(Failure::Scratch)?;
            self.out.advance(step).map_err(Failure::Write)?;
            done += step as u64;
            self.emit.task.advance(step as u64);
        }
        self.position += content.size;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut rest = self.head.as_slice();
        while !rest.is_empty() {
            let space = self.out.space();
            let (now, later) = rest.split_at(rest.len().min(space.len()));
            space[..now.len()].copy_from_slice(now);
            self.out.advance(now.len()).map_err(Failure::Write)?;
            rest = later;
        }
        self.position += self.head.len() as u64;
        self.head.clear();
        Ok(())
    }
}

/// `SOURCE_DATE_EPOCH` is the latest time a reproducible build may record.
fn clamp(mtime: Timestamp, epoch: Option<i64>) -> Timestamp {
    let latest = epoch.map(|secs| Timestamp { secs, nanos: 0 });
    latest.map_or(mtime, |latest| mtime.min(latest))
}

fn describe(
    path: &[u8],
    flag: Flag<'_>,
    meta: &Meta,
    mtime: Timestamp,
    content: Option<(u64, u64, Digest)>,
) -> toc::Entry {
    let mut device = (0, 0);
    let mut link = Vec::new();
    let kind = match flag {
        Flag::File => toc::Kind::File,
        Flag::Dir => toc::Kind::Dir,
        Flag::Fifo => toc::Kind::Fifo,
        Flag::Symlink(target) => {
            link = target.to_vec();
            toc::Kind::Symlink
        }
        Flag::Hardlink(first) => {
            link = first.to_vec();
            toc::Kind::Hardlink
        }
        Flag::CharDevice(major, minor) => {
            device = (major, minor);
            toc::Kind::CharDevice
        }
        Flag::BlockDevice(major, minor) => {
            device = (major, minor);
            toc::Kind::BlockDevice
        }
    };
    let (offset, size, digest) = match content {
        Some((offset, size, digest)) => (offset, size, Some(digest)),
        None => (0, 0, None),
    };
    toc::Entry {
        path: path.to_vec(),
        kind,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        mtime,
        xattrs: meta
            .xattrs
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        link,
        device,
        offset,
        size,
        digest,
    }
}
