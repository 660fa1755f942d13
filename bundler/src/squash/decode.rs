// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads and decompresses a layer, on two threads.
//!
//! [`feed`] reads the blob and hashes it; [`pump`] decompresses what it reads and
//! hands it on to be taken apart as [`Hashed`] pieces. Pieces live in fixed
//! buffers that return to their pool when the last reader is done, so memory is
//! the pools, and the decoder, which is the slowest of all, waits for nobody's
//! hashing.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use elfuse_payload::{Digest, Sha256Stream};

use super::gunzip::{Checksum, Gunzip};
use crate::image::LayerMediaType;

const CHUNK: usize = 256 << 10;
/// Buffers for what was decompressed.
const CHUNKS: usize = 8;
/// Pieces on their way between two threads.
pub(crate) const QUEUE: usize = 4;

/// A piece of the uncompressed stream; returns its buffer when dropped.
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Chunk {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // The pool is gone when decoding has ended.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// What readers receive: pieces in order, or the error that ended them.
pub(crate) type Piece = io::Result<Arc<Chunk>>;

/// Buffers that are used again and again.
struct Pool {
    home: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
}

impl Pool {
    fn new(count: usize) -> Self {
        let (home, free) = bounded(count);
        for _ in 0..count {
            let _ = home.send(Vec::with_capacity(CHUNK));
        }
        Self { home, free }
    }

    /// The next piece of `source`, which is empty at its end. Waits for a buffer.
    fn fill(&self, source: &mut dyn Read) -> io::Result<Chunk> {
        let mut bytes = self.free.recv().unwrap_or_default();
        bytes.resize(CHUNK, 0);
        let mut chunk = Chunk {
            bytes,
            home: self.home.clone(),
        };
        let filled = fill(source, &mut chunk.bytes)?;
        chunk.bytes.truncate(filled);
        Ok(chunk)
    }
}

/// Reads `blob` to its end and returns the digest and length of what it read.
/// Sends every piece to the decoder as long as that wants any: a blob that
/// cannot be decoded may simply not be the right one.
pub(crate) fn feed(mut blob: impl Read, decoder: &Sender<Piece>) -> io::Result<(Digest, u64)> {
    let pool = Pool::new(QUEUE + 2);
    let mut hash = Sha256Stream::new();
    let mut is_wanted = true;
    loop {
        let chunk = match pool.fill(&mut blob) {
            Ok(chunk) => Arc::new(chunk),
            Err(error) => {
                let _ = decoder.send(Err(error.kind().into()));
                return Err(error);
            }
        };
        if chunk.bytes().is_empty() {
            let length = hash.length();
            return Ok((hash.finish(), length));
        }
        // First to the decoder, which has the longer way to go.
        is_wanted = is_wanted && decoder.send(Ok(Arc::clone(&chunk))).is_ok();
        hash.update(chunk.bytes());
    }
}

/// Decompresses what [`feed`] sends and sends every piece to `parser`. Ends at
/// the end of the stream, after an error, or when the reader has gone away.
pub(crate) fn pump(
    media_type: LayerMediaType,
    checksum: Checksum,
    blob: Pieces,
    parser: &Sender<Piece>,
) {
    if let Err(error) = decode(media_type, checksum, blob, parser) {
        let _ = parser.send(Err(error));
    }
}

fn decode(
    media_type: LayerMediaType,
    checksum: Checksum,
    blob: Pieces,
    parser: &Sender<Piece>,
) -> io::Result<()> {
    let mut decoder = decoder(media_type, checksum, blob)?;
    let pool = Pool::new(CHUNKS);
    loop {
        let chunk = pool.fill(&mut *decoder)?;
        if chunk.bytes().is_empty() || parser.send(Ok(Arc::new(chunk))).is_err() {
            return Ok(());
        }
    }
}

fn decoder(
    media_type: LayerMediaType,
    checksum: Checksum,
    blob: Pieces,
) -> io::Result<Box<dyn Read>> {
    Ok(match media_type {
        LayerMediaType::Tar => Box::new(blob),
        LayerMediaType::Gzip => Box::new(Gunzip::new(blob, checksum)),
        // The decoder refuses windows of more than 128 MiB by default.
        LayerMediaType::Zstd => Box::new(zstd::Decoder::with_buffer(blob)?),
    })
}

fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads the pieces as one stream.
pub(crate) struct Pieces {
    queue: Receiver<Piece>,
    current: Option<Arc<Chunk>>,
    used: usize,
}

impl Pieces {
    pub(crate) fn new(queue: Receiver<Piece>) -> Self {
        Self {
            queue,
            current: None,
            used: 0,
        }
    }

    /// What of the current piece is left.
    fn rest(&self) -> &[u8] {
        let chunk = self.current.as_deref();
        chunk.map_or(&[], |chunk| &chunk.bytes()[self.used..])
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self
            .current
            .as_ref()
            .is_none_or(|chunk| self.used == chunk.bytes().len())
        {
            self.used = 0;
            self.current = None;
            // The decoder hangs up at the end of the stream.
            if let Ok(piece) = self.queue.recv() {
                self.current = Some(piece?);
            }
        }
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
    }
}

/// Pieces, and the digest of all that was consumed of them.
pub(crate) struct Hashed {
    pieces: Pieces,
    hash: Sha256Stream,
}

impl Hashed {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            hash: Sha256Stream::new(),
        }
    }

    /// Consumes bytes that another digest covers too.
    pub(crate) fn consume_into(&mut self, other: &mut Sha256Stream, count: usize) {
        let bytes = &self.pieces.rest()[..count];
        self.hash.update_with(bytes, other, bytes);
        self.pieces.consume(count);
    }

    pub(crate) fn finish(self) -> Digest {
        self.hash.finish()
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pieces.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

impl BufRead for Hashed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.pieces.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.hash.update(&self.pieces.rest()[..count]);
        self.pieces.consume(count);
    }
}

#[cfg(test)]
impl Hashed {
    /// Bytes in memory, in pieces that divide nothing.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (home, _) = bounded(0);
        let (pieces, queue) = crossbeam_channel::unbounded();
        for piece in bytes.chunks(700) {
            let chunk = Chunk {
                bytes: piece.to_vec(),
                home: home.clone(),
            };
            pieces.send(Ok(Arc::new(chunk))).expect("a receiver");
        }
        Self::new(Pieces::new(queue))
    }
}
