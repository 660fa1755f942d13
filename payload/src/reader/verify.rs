// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads every byte of a payload and says what is broken, and where.
//!
//! Documents and padding are read again; the layer is hashed as a blob on one
//! thread while its frames are decompressed on others and the tar and each
//! file are hashed as they come. A broken frame is named with the file it
//! belongs to; what no frame accounts for is named as a range of the layer.

use std::io;
use std::panic::resume_unwind;
use std::thread;

use super::{Payload, PayloadError, read_document, read_header};
use crate::layer::LayerError;
use crate::segment::{HEADER_LEN, Section, SectionKind};
use crate::toc::{Entry, Kind, Toc};
use crate::{Digest, ReadAt, Sha256Stream};

const BUFFER: usize = 1 << 18;
/// What has no path.
const END: &str = "the end of the tar";

/// What is broken in a payload. Offsets count from the segment's first byte
/// unless the message says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The header, a document, the seek table or the table of contents.
    #[error(transparent)]
    Open(#[from] PayloadError),
    /// Padding that is not zero.
    #[error("verify payload: padding at byte {0} is not zero")]
    Padding(u64),
    /// A data frame of the layer.
    #[error(
        "verify layer: frame {index} at bytes {offset} to {end}, which holds {path}, is broken"
    )]
    Frame {
        /// Number of the frame.
        index: usize,
        /// Where it begins.
        offset: u64,
        /// Where the next one begins.
        end: u64,
        /// The file whose contents it holds, or the entry after which it begins.
        path: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The contents of a file do not have its digest.
    #[error("verify layer: contents of {path} have digest {actual}, not {expected}")]
    File {
        /// Path in the layer.
        path: String,
        /// The digest in the table of contents.
        expected: Digest,
        /// The digest of the contents.
        actual: Digest,
    },
    /// The tar says something else of an entry than the table of contents.
    #[error(
        "verify layer: at byte {offset} of the tar, {path} is not what the table of contents says"
    )]
    Header {
        /// Path in the table, or the end of the tar.
        path: String,
        /// Where in the uncompressed tar.
        offset: u64,
    },
    /// The uncompressed tar does not have the config's diff id.
    #[error("verify layer: the tar has digest {actual}, not {expected} as the config says")]
    DiffId {
        /// The digest in the config.
        expected: Digest,
        /// The digest of the tar.
        actual: Digest,
    },
    /// The blob does not have its digest although its parts can be read.
    #[error("verify layer: bytes {offset} to {end} have digest {actual}, not {expected}", offset = section.offset, end = section.end(), expected = section.digest)]
    Layer {
        /// The section.
        section: Section,
        /// The digest of what is there.
        actual: Digest,
    },
}

/// Compares the tar with the table of contents. What a tar looks like is its
/// writer's knowledge and not this crate's.
pub trait TarCheck {
    /// The next piece of the tar.
    ///
    /// # Errors
    /// Where it differs from what `entries` say.
    fn data(&mut self, entries: &[Entry], data: &[u8]) -> Result<(), TarMismatch>;

    /// The tar has ended.
    ///
    /// # Errors
    /// Something of what `entries` say is missing.
    fn finish(&mut self, entries: &[Entry]) -> Result<(), TarMismatch>;
}

/// A tar that is not what its table of contents says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarMismatch {
    /// Number of the entry; `None` for the end of the tar.
    pub entry: Option<usize>,
    /// Where in the tar, at most the length of a header early.
    pub offset: u64,
}

impl Payload {
    /// Reads and checks every byte, decompressing on `threads` threads. `progress`
    /// is told how many more of the segment's bytes were hashed, from any thread.
    /// `check` sees the whole tar.
    ///
    /// # Errors
    /// What is broken, as exactly as can be told.
    pub fn verify(
        &self,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
        check: &mut dyn TarCheck,
    ) -> Result<(), VerifyError> {
        let header = read_header(&*self.source)?;
        let mut end = HEADER_LEN as u64;
        for section in &header.sections {
            self.check_padding(end, section.offset)?;
            end = section.end();
            if section.kind != SectionKind::Layer {
                read_document(&*self.source, section)?;
            }
        }
        self.check_padding(end, header.total)?;
        let section = *header.section(SectionKind::Layer);
        progress(header.total - section.len);
        thread::scope(|scope| {
            let blob = scope.spawn(|| self.blob_digest(&section, progress));
            // Asked first: it names the frame, the digest only the blob.
            self.check_layer(section.offset, threads, check)?;
            let actual = blob.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            if actual == section.digest {
                Ok(())
            } else {
                Err(VerifyError::Layer { section, actual })
            }
        })
    }

    fn check_padding(&self, start: u64, end: u64) -> Result<(), VerifyError> {
        // At most a page: the header's rules leave no room for more.
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
        let read = self.source.read_exact_at(&mut bytes, start);
        read.map_err(|source| PayloadError::Read {
            offset: start,
            source,
        })?;
        match bytes.iter().position(|&byte| byte != 0) {
            Some(at) => Err(VerifyError::Padding(start + at as u64)),
            None => Ok(()),
        }
    }

    fn blob_digest(
        &self,
        section: &Section,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Digest, VerifyError> {
        let mut hash = Sha256Stream::new();
        let mut buffer = vec![0; BUFFER];
        let mut offset = section.offset;
        while offset < section.end() {
            let left = usize::try_from(section.end() - offset).unwrap_or(usize::MAX);
            let part = &mut buffer[..left.min(BUFFER)];
            let read = self.source.read_exact_at(part, offset);
            read.map_err(|source| PayloadError::Read { offset, source })?;
            hash.update(part);
            offset += part.len() as u64;
            progress(part.len() as u64);
        }
        Ok(hash.finish())
    }

    fn check_layer(
        &self,
        offset: u64,
        threads: usize,
        check: &mut dyn TarCheck,
    ) -> Result<(), VerifyError> {
        let wrap = |source| VerifyError::Open(PayloadError::Layer { offset, source });
        let layer = self.layer()?;
        let toc = layer.toc().map_err(wrap)?;
        let mut files = FileHashes::new(&toc);
        let mut tar = Sha256Stream::new();
        let mut mismatch = None;
        let streamed = layer.stream(threads, &mut |_, data| {
            tar.update(data);
            files.update(data)?;
            check.data(&toc.entries, data).map_err(|found| {
                mismatch = Some(found);
                io::ErrorKind::InvalidData.into()
            })
        });
        if let Some((entry, actual)) = files.wrong {
            let (path, expected) = (display(&entry.path), entry.digest.unwrap_or(actual));
            return Err(VerifyError::File {
                path,
                expected,
                actual,
            });
        }
        if streamed.is_ok() {
            mismatch = check.finish(&toc.entries).err();
        }
        if let Some(TarMismatch { entry, offset }) = mismatch {
            let entry = entry.and_then(|index| toc.entries.get(index));
            let path = entry.map_or_else(|| END.to_owned(), |entry| display(&entry.path));
            return Err(VerifyError::Header { path, offset });
        }
        match streamed {
            Ok(()) => {}
            Err(LayerError::Frame {
                index,
                offset: at,
                end,
                source,
            }) => {
                let path = display(holder(&toc, tar.length()));
                let (at, end) = (at + offset, end + offset);
                return Err(VerifyError::Frame {
                    index,
                    offset: at,
                    end,
                    path,
                    source,
                });
            }
            Err(error) => return Err(wrap(error)),
        }
        let actual = tar.finish();
        if actual == self.diff_id {
            Ok(())
        } else {
            Err(VerifyError::DiffId {
                expected: self.diff_id,
                actual,
            })
        }
    }
}

/// Hashes the contents of each file out of the stream of the tar.
struct FileHashes<'a> {
    /// The files that have not begun or not ended.
    entries: std::iter::Peekable<std::slice::Iter<'a, Entry>>,
    hash: Sha256Stream,
    position: u64,
    /// The first file that does not have its digest, with the one it has.
    wrong: Option<(&'a Entry, Digest)>,
}

impl<'a> FileHashes<'a> {
    fn new(toc: &'a Toc) -> Self {
        let (entries, hash) = (toc.entries.iter().peekable(), Sha256Stream::new());
        Self {
            entries,
            hash,
            position: 0,
            wrong: None,
        }
    }

    fn update(&mut self, data: &[u8]) -> io::Result<()> {
        let start = self.position;
        let end = start + data.len() as u64;
        self.position = end;
        while let Some(entry) = self.entries.peek() {
            if entry.kind == Kind::File {
                if entry.offset > end {
                    return Ok(());
                }
                let entry_end = entry.offset + entry.size;
                let within =
                    |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap_or(usize::MAX);
                self.hash
                    .update(&data[within(entry.offset)..within(entry_end)]);
                if entry_end > end {
                    return Ok(());
                }
                let actual = std::mem::take(&mut self.hash).finish();
                if entry.digest != Some(actual) {
                    self.wrong = Some((entry, actual));
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
            self.entries.next();
        }
        Ok(())
    }
}

/// The path of the file that has this place in the tar, or of the next one.
fn holder(toc: &Toc, position: u64) -> &[u8] {
    let mut files = toc.entries.iter().filter(|entry| entry.kind == Kind::File);
    let holds = |entry: &&Entry| entry.offset + entry.size > position;
    files
        .find(holds)
        .map_or(END.as_bytes(), |entry| &entry.path)
}

fn display(path: &[u8]) -> String {
    path.escape_ascii().to_string()
}
