// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decompresses a layer on a thread of its own.
//!
//! The decoder fills fixed buffers and hands each, shared, to two readers: the
//! one that hashes the whole stream and the one that takes it apart. Buffers
//! return to the pool when both are done, so memory is the pool, and the
//! decoder, which is the slowest of the three, never waits for hashing.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::gunzip::{Checksum, Gunzip};
use crate::image::LayerMediaType;

const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;

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

/// Decompresses `blob` and sends every piece to both readers. Ends at the end
/// of the stream, after an error, or when a reader has gone away.
pub(crate) fn pump(
    media_type: LayerMediaType,
    checksum: Checksum,
    blob: Box<dyn Read + Send>,
    hasher: &Sender<Arc<Chunk>>,
    parser: &Sender<Piece>,
) {
    let mut decoder = match decoder(media_type, checksum, blob) {
        Ok(decoder) => decoder,
        Err(error) => {
            let _ = parser.send(Err(error));
            return;
        }
    };
    let (home, pool) = bounded(CHUNKS);
    for _ in 0..CHUNKS {
        let _ = home.send(Vec::with_capacity(CHUNK));
    }
    while let Ok(mut bytes) = pool.recv() {
        bytes.resize(CHUNK, 0);
        let filled = match fill(&mut *decoder, &mut bytes) {
            Ok(filled) => filled,
            Err(error) => {
                let _ = parser.send(Err(error));
                return;
            }
        };
        bytes.truncate(filled);
        if filled == 0 {
            return;
        }
        let chunk = Arc::new(Chunk {
            bytes,
            home: home.clone(),
        });
        if hasher.send(Arc::clone(&chunk)).is_err() || parser.send(Ok(chunk)).is_err() {
            return;
        }
    }
}

fn decoder(
    media_type: LayerMediaType,
    checksum: Checksum,
    blob: Box<dyn Read + Send>,
) -> io::Result<Box<dyn Read>> {
    Ok(match media_type {
        LayerMediaType::Tar => Box::new(blob),
        LayerMediaType::Gzip => {
            Box::new(Gunzip::new(BufReader::with_capacity(CHUNK, blob), checksum))
        }
        // The decoder refuses windows of more than 128 MiB by default.
        LayerMediaType::Zstd => Box::new(zstd::Decoder::new(blob)?),
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
        Ok(self
            .current
            .as_ref()
            .map_or(&[], |chunk| &chunk.bytes()[self.used..]))
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
    }
}
