// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pulls entries out of a tar stream, one at a time, contents not copied.
//!
//! [`TarReader::next`] merges the extended headers that precede an entry into
//! one [`Header`]; [`TarReader::content`] then hands out the bytes as slices of
//! the source's own buffer. What is not taken is skipped. The precedence of
//! names follows Go's archive/tar, which the image tools are built on.

use std::io::{BufRead, Seek};

use super::header::Block;
use super::pax::Pax;
use super::sparse::{InlineMap, SparseMap, old_gnu};
use super::{BLOCK, BLOCK_LEN, MAX_RECORD, TarError, padding};
use crate::squash::entry::{Meta, Timestamp};

/// What kind of entry a header announces, contents aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    File,
    Dir,
    Symlink(Vec<u8>),
    Hardlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// One entry, extended headers applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: HeaderKind,
    pub(crate) meta: Meta,
    /// Size of the file, holes included.
    pub(crate) size: u64,
    /// Present when not all of `size` is in the archive.
    pub(crate) sparse: Option<SparseMap>,
    /// Where the stored bytes begin in the archive.
    pub(crate) data_offset: u64,
}

/// Extended headers waiting for the entry they describe.
#[derive(Default)]
struct Pending {
    pax: Pax,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

/// A reader positioned between entries, or inside an entry's contents.
pub(crate) struct TarReader<R> {
    source: R,
    position: u64,
    /// Contents of the current entry not yet handed out, then its padding.
    remaining: u64,
    padding: u64,
    globals: Pax,
    /// Bytes of extended headers read, global ones and this entry's.
    global_bytes: u64,
    record_bytes: u64,
    /// Name of the entry being read, for messages.
    current: Vec<u8>,
}

impl<R: BufRead> TarReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            position: 0,
            remaining: 0,
            padding: 0,
            globals: Pax::default(),
            global_bytes: 0,
            record_bytes: 0,
            current: Vec::new(),
        }
    }

    /// The last entry begun: where an error happened.
    pub(crate) fn current(&self) -> &[u8] {
        &self.current
    }

    /// Offset of the next byte to be read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Gives back the stream, which may hold bytes after the archive's end.
    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    /// The next entry, or `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Header>, TarError> {
        self.skip_rest()?;
        self.record_bytes = 0;
        let mut pending = Pending {
            pax: self.globals.clone(),
            ..Pending::default()
        };
        while let Some(bytes) = self.header_block()? {
            let Some(block) = Block::parse(&bytes)? else {
                // Two zero blocks end the archive; so does one at its very end.
                return match self.header_block()? {
                    Some(second) if second.iter().any(|&b| b != 0) => Err(TarError::Checksum),
                    _ => Ok(None),
                };
            };
            match block.type_flag() {
                b'x' | b'X' => pending.pax.merge(&self.record(&block, "pax header")?)?,
                b'g' => {
                    let body = self.record(&block, "global pax header")?;
                    self.global_bytes += body.len() as u64;
                    if self.global_bytes > MAX_RECORD {
                        return Err(TarError::TooLong("global pax headers", self.global_bytes));
                    }
                    self.globals.merge_global(&body)?;
                    pending.pax.merge_global(&body)?;
                }
                b'L' => pending.long_name = Some(self.c_string(&block, "long name")?),
                b'K' => pending.long_link = Some(self.c_string(&block, "long link name")?),
                // A volume label names the tape, not a file.
                b'V' => {}
                _ => return self.entry(&block, pending).map(Some),
            }
        }
        Ok(None)
    }

    /// The next slice of the current entry's stored bytes, at most what the
    /// source has buffered; empty at the end.
    pub(crate) fn content(&mut self) -> Result<&[u8], TarError> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let limit = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let available = self.source.fill_buf()?;
        if available.is_empty() {
            return Err(TarError::Truncated);
        }
        Ok(&available[..available.len().min(limit)])
    }

    /// Marks `count` bytes of the last slice as used, which `consume` takes from
    /// the source.
    pub(crate) fn consume_by(&mut self, count: usize, consume: impl FnOnce(&mut R)) {
        consume(&mut self.source);
        self.position += count as u64;
        self.remaining -= count as u64;
    }

    /// Jumps over the current entry's contents without reading them. Whether
    /// they are all there is the caller's to check.
    pub(crate) fn seek_rest(&mut self) -> Result<(), TarError>
    where
        R: Seek,
    {
        let left = std::mem::take(&mut self.remaining) + std::mem::take(&mut self.padding);
        let step = i64::try_from(left).map_err(|_| TarError::Truncated)?;
        self.source.seek_relative(step)?;
        self.position += left;
        Ok(())
    }

    fn entry(&mut self, block: &Block<'_>, pending: Pending) -> Result<Header, TarError> {
        let Pending {
            pax,
            long_name,
            long_link,
        } = pending;
        let path = long_name
            .or_else(|| pax.sparse.name.clone())
            .or(pax.path.clone())
            .unwrap_or_else(|| block.path());
        path.clone_into(&mut self.current);
        let link = long_link
            .or(pax.link.clone())
            .unwrap_or_else(|| block.link());
        let kind = kind(block, &path, link)?;
        let meta = meta(block, &pax)?;
        let mut size = match pax.size {
            Some(size) => size,
            None => block.size()?,
        };
        // Links, directories and devices have no contents, whatever they say.
        if kind != HeaderKind::File {
            size = 0;
        }
        self.remaining = size;
        self.padding = padding(size);
        let sparse = self.sparse_map(block, &kind, &pax)?;
        if let Some(map) = &sparse {
            if map.stored() != self.remaining {
                return Err(TarError::Sparse("the map does not add up to the data"));
            }
            size = map.size;
        }
        Ok(Header {
            path,
            kind,
            meta,
            size,
            sparse,
            data_offset: self.position,
        })
    }

    fn sparse_map(
        &mut self,
        block: &Block<'_>,
        kind: &HeaderKind,
        pax: &Pax,
    ) -> Result<Option<SparseMap>, TarError> {
        if *kind != HeaderKind::File {
            return Ok(None);
        }
        if block.type_flag() == b'S' {
            let mut next = || self.header_block()?.ok_or(TarError::Truncated);
            return old_gnu(block, &mut next).map(Some);
        }
        if !pax.sparse.has_inline_map() {
            return pax.sparse.map();
        }
        let mut inline = InlineMap::default();
        loop {
            if self.remaining < BLOCK {
                return Err(TarError::Sparse("the map is cut off"));
            }
            let bytes = self.header_block()?.ok_or(TarError::Truncated)?;
            self.remaining -= BLOCK;
            if inline.push(&bytes)? {
                return pax.sparse.inline_map(inline.numbers()).map(Some);
            }
        }
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let mut left = std::mem::take(&mut self.remaining) + std::mem::take(&mut self.padding);
        while left > 0 {
            let available = self.source.fill_buf()?.len();
            if available == 0 {
                return Err(TarError::Truncated);
            }
            let step = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.source.consume(step);
            self.position += step as u64;
            left -= step as u64;
        }
        Ok(())
    }

    /// One block, or `None` when the stream ends before it.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK_LEN]>, TarError> {
        let mut block = [0; BLOCK_LEN];
        let mut filled = 0;
        while filled < BLOCK_LEN {
            let available = self.source.fill_buf()?;
            if available.is_empty() {
                return if filled == 0 {
                    Ok(None)
                } else {
                    Err(TarError::Truncated)
                };
            }
            let step = available.len().min(BLOCK_LEN - filled);
            block[filled..filled + step].copy_from_slice(&available[..step]);
            self.source.consume(step);
            filled += step;
        }
        self.position += BLOCK;
        Ok(Some(block))
    }

    /// The contents of an extended header.
    fn record(&mut self, block: &Block<'_>, what: &'static str) -> Result<Vec<u8>, TarError> {
        let size = block.size()?;
        // Extended headers add up until an entry uses them.
        self.record_bytes = self.record_bytes.saturating_add(size);
        if self.record_bytes > 2 * MAX_RECORD || size > MAX_RECORD {
            return Err(TarError::TooLong(what, self.record_bytes));
        }
        self.remaining = size;
        self.padding = padding(size);
        let mut body = Vec::new();
        loop {
            let slice = self.content()?;
            if slice.is_empty() {
                break;
            }
            body.extend_from_slice(slice);
            let taken = slice.len();
            self.consume_by(taken, |source| source.consume(taken));
        }
        self.skip_rest()?;
        Ok(body)
    }

    fn c_string(&mut self, block: &Block<'_>, what: &'static str) -> Result<Vec<u8>, TarError> {
        let mut body = self.record(block, what)?;
        let end = body.iter().position(|&b| b == 0).unwrap_or(body.len());
        body.truncate(end);
        Ok(body)
    }
}

fn kind(block: &Block<'_>, path: &[u8], link: Vec<u8>) -> Result<HeaderKind, TarError> {
    Ok(match block.type_flag() {
        // v7 had no type for directories, only the slash.
        0 if path.ends_with(b"/") => HeaderKind::Dir,
        0 | b'0' | b'7' | b'S' => HeaderKind::File,
        b'1' => HeaderKind::Hardlink(link),
        b'2' => HeaderKind::Symlink(link),
        b'3' => block
            .device()
            .map(|(major, minor)| HeaderKind::CharDevice(major, minor))?,
        b'4' => block
            .device()
            .map(|(major, minor)| HeaderKind::BlockDevice(major, minor))?,
        b'5' => HeaderKind::Dir,
        b'6' => HeaderKind::Fifo,
        other => return Err(TarError::Type(other)),
    })
}

fn meta(block: &Block<'_>, pax: &Pax) -> Result<Meta, TarError> {
    Ok(Meta {
        mode: block.mode()?,
        uid: pax.uid.map_or_else(|| block.uid(), Ok)?,
        gid: pax.gid.map_or_else(|| block.gid(), Ok)?,
        mtime: match pax.mtime {
            Some(mtime) => mtime,
            None => Timestamp {
                secs: block.mtime()?,
                nanos: 0,
            },
        },
        xattrs: pax.xattrs.clone(),
    })
}
