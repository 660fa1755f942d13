// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes one layer's tar stream apart: entries to memory, contents to scratch
//! space, each hashed on the way, everything charged to the limits first.

use std::io::{self, BufRead};
use std::path::Path;

use elfuse_payload::{Digest, Sha256Stream};

use super::decode::Hashed;
use super::entry::{Content, Entry, Kind, Name};
use super::error::SquashError;
use super::limits::Account;
use super::spill::{Spill, Spilled};
use super::tar::TarError;
use super::tar::reader::{Header, HeaderKind, TarReader};

/// What identifies a layer in errors and contents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerId {
    /// Of the blob.
    pub(crate) digest: Digest,
    /// Of the blob: the ratio's denominator.
    pub(crate) size: u64,
    /// The number of its scratch file among the squash's sources.
    pub(crate) source: u32,
}

/// A layer taken apart.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) entries: Vec<Entry>,
    pub(crate) contents: Spilled,
    /// Of the whole stream, what follows the archive included.
    pub(crate) diff_id: Digest,
}

/// Takes the archive apart: entries to memory, contents to scratch space.
pub(crate) fn parse(
    stream: Hashed,
    layer: LayerId,
    account: &Account,
    scratch: &Path,
) -> Result<Scanned, SquashError> {
    let scratch_error = |source| SquashError::Scratch {
        dir: scratch.to_path_buf(),
        source,
    };
    let mut parser = Parser {
        layer,
        account,
        spill: Spill::create(scratch).map_err(scratch_error)?,
        holes: 0,
    };
    let mut archive = TarReader::new(stream);
    let mut entries = Vec::new();
    loop {
        let header = match archive.next() {
            Ok(Some(header)) => header,
            Ok(None) => break,
            Err(source) => return Err(parser.archive_error(&archive, source)),
        };
        entries.push(match parser.entry(&mut archive, header) {
            Ok(entry) => entry,
            Err(Failure::Archive(source)) => return Err(parser.archive_error(&archive, source)),
            Err(Failure::Scratch(source)) => return Err(scratch_error(source)),
            Err(Failure::Other(error)) => return Err(*error),
        });
    }
    let diff_id = parser.drain(archive)?;
    let contents = parser.spill.finish().map_err(scratch_error)?;
    Ok(Scanned {
        entries,
        contents,
        diff_id,
    })
}

struct Parser<'a> {
    layer: LayerId,
    account: &'a Account,
    spill: Spill,
    /// Bytes of holes, which count as expansion too.
    holes: u64,
}

enum Failure {
    Archive(TarError),
    Scratch(io::Error),
    Other(Box<SquashError>),
}

impl From<TarError> for Failure {
    fn from(error: TarError) -> Self {
        Self::Archive(error)
    }
}

impl Parser<'_> {
    fn entry(&mut self, archive: &mut TarReader<Hashed>, header: Header) -> Result<Entry, Failure> {
        self.charge(&header, archive.position())?;
        let kind = match header.kind {
            HeaderKind::File => Kind::File(self.content(archive, &header)?),
            HeaderKind::Dir => Kind::Dir,
            HeaderKind::Symlink(target) => Kind::Symlink(target),
            HeaderKind::Hardlink(target) => Kind::Hardlink(target),
            HeaderKind::CharDevice(major, minor) => Kind::CharDevice(major, minor),
            HeaderKind::BlockDevice(major, minor) => Kind::BlockDevice(major, minor),
            HeaderKind::Fifo => Kind::Fifo,
        };
        Ok(Entry {
            path: header.path,
            kind,
            meta: header.meta,
        })
    }

    /// Charges the entry before its contents are read.
    fn charge(&mut self, header: &Header, position: u64) -> Result<(), Failure> {
        let link = match &header.kind {
            HeaderKind::Symlink(target) | HeaderKind::Hardlink(target) => target.len(),
            _ => 0,
        };
        let xattrs: usize = header
            .meta
            .xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let names = header.path.len() + link + xattrs;
        if let Some(map) = &header.sparse {
            self.holes = self
                .holes
                .saturating_add(header.size.saturating_sub(map.stored()));
        }
        let expanded = position
            .saturating_add(header.size)
            .saturating_add(self.holes);
        self.account
            .add(header.size, names as u64)
            .and_then(|()| self.account.check_ratio(self.layer.size, expanded))
            .map_err(|excess| {
                let entry = Name(header.path.clone());
                Failure::Other(Box::new(SquashError::Limit {
                    layer: self.layer.digest,
                    entry,
                    excess,
                }))
            })
    }

    fn content(
        &mut self,
        archive: &mut TarReader<Hashed>,
        header: &Header,
    ) -> Result<Content, Failure> {
        let offset = self.spill.position();
        let mut digest = Sha256Stream::new();
        let whole = [(0, header.size)];
        let extents = header
            .sparse
            .as_ref()
            .map_or(&whole[..], |map| &map.extents);
        let mut at = 0;
        for &(start, length) in extents {
            self.hole(&mut digest, start - at)?;
            self.copy(archive, &mut digest, length)?;
            at = start + length;
        }
        self.hole(&mut digest, header.size - at)?;
        Ok(Content {
            source: self.layer.source,
            offset,
            size: header.size,
            digest: digest.finish(),
        })
    }

    fn copy(
        &mut self,
        archive: &mut TarReader<Hashed>,
        digest: &mut Sha256Stream,
        length: u64,
    ) -> Result<(), Failure> {
        let mut left = length;
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            let slice = archive.content()?;
            let slice = &slice[..slice.len().min(limit)];
            if slice.is_empty() {
                return Err(Failure::Archive(TarError::Truncated));
            }
            self.spill.write(slice).map_err(Failure::Scratch)?;
            let count = slice.len();
            archive.consume_by(count, |stream| stream.consume_into(digest, count));
            left -= count as u64;
        }
        Ok(())
    }

    fn hole(&mut self, digest: &mut Sha256Stream, length: u64) -> Result<(), Failure> {
        const ZEROS: &[u8] = &[0; 64 << 10];
        if length == 0 {
            return Ok(());
        }
        let mut left = length;
        while left > 0 {
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            digest.update(&ZEROS[..step]);
            left -= step as u64;
        }
        self.spill.skip(length).map_err(Failure::Scratch)
    }

    /// Reads what follows the archive and returns the digest of the whole stream.
    fn drain(&self, archive: TarReader<Hashed>) -> Result<Digest, SquashError> {
        let layer = self.layer.digest;
        let mut total = archive.position();
        let entry = Name(archive.current().to_vec());
        let mut rest = archive.into_inner();
        loop {
            let read = rest.fill_buf().map(<[u8]>::len);
            let count = read.map_err(|source| SquashError::Read { layer, source })?;
            if count == 0 {
                return Ok(rest.finish());
            }
            rest.consume(count);
            total += count as u64;
            if let Err(excess) = self.account.check_ratio(self.layer.size, total) {
                return Err(SquashError::Limit {
                    layer,
                    entry,
                    excess,
                });
            }
        }
    }

    /// An error of the stream below is the layer's, not the archive's.
    fn archive_error(&self, archive: &TarReader<Hashed>, error: TarError) -> SquashError {
        let layer = self.layer.digest;
        match error {
            TarError::Read(source) => SquashError::Read { layer, source },
            source => SquashError::Archive {
                layer,
                entry: Name(archive.current().to_vec()),
                at: archive.position(),
                source,
            },
        }
    }
}
