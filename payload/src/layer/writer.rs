// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a layer blob from the stream of a tar.
//!
//! [`LayerWriter`] cuts what is written to it into frames (the only copy) for the
//! threads that compress. Whoever is free takes the next; each has its own way
//! back, and these are waited for in order, so the bytes written do not depend
//! on the number of threads. One more thread hashes what goes in and what comes
//! out. Queues are short: memory is a few frames per thread.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::contents;
use crate::seekable::{DEFAULT_LEVEL, FRAME_BYTES, FrameCompressor, FrameInfo, SeekTable};
use crate::toc::{Entry, Toc};
use crate::{Digest, Sha256Stream};

/// Frames that may wait for a digest.
const QUEUE: usize = 4;

/// Frames that may wait to be compressed or written, beside the one each thread
/// has: bounds memory on machines with many cores.
const SLACK: usize = 4;

/// How to compress a layer.
#[derive(Debug, Clone, Copy)]
pub struct LayerOptions {
    /// Zstandard level, 1 to 19.
    pub level: i32,
    /// Threads that compress; at least one is used.
    pub threads: usize,
}

impl Default for LayerOptions {
    fn default() -> Self {
        Self {
            level: DEFAULT_LEVEL,
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// A finished layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerSummary {
    /// Digest of the blob.
    pub digest: Digest,
    /// Length of the blob.
    pub size: u64,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Length of the uncompressed tar.
    pub tar_size: u64,
}

/// Takes a tar as a stream and writes it as a layer blob.
#[derive(Debug)]
pub struct LayerWriter<W> {
    out: W,
    /// The frame that is not yet full, of full length.
    frame: Vec<u8>,
    /// How much of it is.
    filled: usize,
    /// Where the threads take frames.
    jobs: SyncSender<Job>,
    /// Results that are owed, in order.
    pending: VecDeque<Receiver<io::Result<Compressed>>>,
    /// How many may be.
    most_pending: usize,
    frames: Vec<FrameInfo>,
    hasher: HashThread,
    tar_size: u64,
    spare: Vec<Vec<u8>>,
    /// Frames that are written and may still be hashed.
    written: VecDeque<Arc<Vec<u8>>>,
}

impl<W: Write> LayerWriter<W> {
    /// Starts a layer that goes to `out`.
    ///
    /// # Errors
    /// Zstandard refuses the level, or the host a thread.
    pub fn new(out: W, options: LayerOptions) -> io::Result<Self> {
        let threads = options.threads.max(1);
        let most_pending = threads + SLACK;
        let (jobs, queue) = sync_channel(most_pending);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            start_compressing(options.level, Arc::clone(&queue))?;
        }
        Ok(Self {
            out,
            frame: vec![0; FRAME_BYTES],
            filled: 0,
            jobs,
            pending: VecDeque::new(),
            most_pending,
            frames: Vec::new(),
            hasher: HashThread::start()?,
            tar_size: 0,
            spare: Vec::new(),
            written: VecDeque::new(),
        })
    }

    /// Writes what remains, the table of contents and the seek table. `entries`
    /// describe the tar that was written, in order of their paths.
    ///
    /// # Errors
    /// `InvalidInput` if the entries are not a proper table of this tar, or
    /// what writing said. What was written is then useless.
    pub fn finish(mut self, entries: Vec<Entry>) -> io::Result<LayerSummary> {
        self.submit()?;
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let table = Toc { entries }.encode(self.tar_size).map_err(invalid)?;
        let contents = contents::encode(&table)?;
        drop(table);
        while !self.pending.is_empty() {
            self.collect()?;
        }
        let length = u32::try_from(contents.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.frames.push(FrameInfo::skippable(length));
        self.emit(contents)?;
        let frames = std::mem::take(&mut self.frames);
        let seek_table = SeekTable { frames }.encode();
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        self.emit(seek_table.map_err(invalid)?)?;
        self.out.flush()?;
        self.hasher.finish()
    }

    /// Hands the current frame, if it has anything, to the next worker.
    fn submit(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        if self.pending.len() >= self.most_pending {
            self.collect()?;
        }
        let fresh = self.spare.pop().unwrap_or_else(|| vec![0; FRAME_BYTES]);
        let mut full = std::mem::replace(&mut self.frame, fresh);
        // Only the last frame is not full; its buffer need not be.
        full.truncate(std::mem::take(&mut self.filled));
        let full = Arc::new(full);
        self.tar_size += full.len() as u64;
        self.hasher.send(Piece::Tar(Arc::clone(&full)))?;
        let (result, pending) = sync_channel(1);
        let job = Job {
            data: full,
            frame: self.reclaim(),
            result,
        };
        self.jobs.send(job).map_err(|_| died("compress"))?;
        self.pending.push_back(pending);
        Ok(())
    }

    /// Waits for the oldest frame and writes it.
    fn collect(&mut self) -> io::Result<()> {
        let Some(oldest) = self.pending.pop_front() else {
            return Ok(());
        };
        let Compressed { data, frame, info } = oldest.recv().map_err(|_| died("compress"))??;
        // Usually the hash has passed it by now; otherwise it is freed there.
        if let Ok(data) = Arc::try_unwrap(data) {
            self.spare.push(data);
        }
        self.frames.push(info);
        self.emit(frame)
    }

    fn emit(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.out.write_all(&bytes)?;
        let bytes = Arc::new(bytes);
        self.hasher.send(Piece::Blob(Arc::clone(&bytes)))?;
        self.written.push_back(bytes);
        Ok(())
    }

    /// A buffer whose frame was written and hashed, or a new one.
    fn reclaim(&mut self) -> Vec<u8> {
        let oldest = self.written.pop_front().map(Arc::try_unwrap);
        match oldest {
            Some(Ok(buffer)) => buffer,
            Some(Err(busy)) => {
                self.written.push_front(busy);
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

impl<W: Write> LayerWriter<W> {
    /// Where the next bytes of the tar may be put, at least one; what it holds
    /// does not count.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.frame[self.filled..]
    }

    /// Takes over the first `count` bytes of [`LayerWriter::space`].
    ///
    /// # Errors
    /// As writing.
    ///
    /// # Panics
    /// There were fewer.
    pub fn advance(&mut self, count: usize) -> io::Result<()> {
        assert!(count <= self.space().len(), "more than there was room for");
        self.filled += count;
        if self.filled == FRAME_BYTES {
            self.submit()?;
        }
        Ok(())
    }
}

impl<W: Write> Write for LayerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let space = self.space();
        let taken = bytes.len().min(space.len());
        space[..taken].copy_from_slice(&bytes[..taken]);
        self.advance(taken)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A frame is written when it is full: flushing must not change the bytes.
        Ok(())
    }
}

#[derive(Debug)]
struct Job {
    data: Arc<Vec<u8>>,
    /// Where the frame goes; what it holds does not count.
    frame: Vec<u8>,
    result: SyncSender<io::Result<Compressed>>,
}

#[derive(Debug)]
struct Compressed {
    data: Arc<Vec<u8>>,
    frame: Vec<u8>,
    info: FrameInfo,
}

/// Starts a thread that compresses. It ends when nobody can send frames any more.
fn start_compressing(level: i32, queue: Arc<Mutex<Receiver<Job>>>) -> io::Result<()> {
    // Here, so that a bad level is reported before anything is read.
    let mut compressor = FrameCompressor::new(level)?;
    let next = move || {
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.recv().ok()
    };
    let run = move || {
        while let Some(Job {
            data,
            mut frame,
            result,
        }) = next()
        {
            let made = compressor.compress(&data, &mut frame);
            // Nobody wants it after an error elsewhere.
            let _ = result.send(made.map(|info| Compressed { data, frame, info }));
        }
    };
    let builder = thread::Builder::new().name("compress".into());
    builder.spawn(run).map(drop)
}

/// Part of one of the two streams.
enum Piece {
    Tar(Arc<Vec<u8>>),
    Blob(Arc<Vec<u8>>),
}

/// A thread that computes the digests of the tar and of the blob.
#[derive(Debug)]
struct HashThread {
    input: SyncSender<Piece>,
    thread: JoinHandle<LayerSummary>,
}

impl HashThread {
    fn start() -> io::Result<Self> {
        let (input, pieces) = sync_channel(QUEUE);
        let builder = thread::Builder::new().name("hash".into());
        let thread = builder.spawn(move || hash(pieces))?;
        Ok(Self { input, thread })
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.input.send(piece).map_err(|_| died("hash"))
    }

    fn finish(self) -> io::Result<LayerSummary> {
        drop(self.input);
        self.thread.join().map_err(|_| died("hash"))
    }
}

/// Frames of the blob wait for the next one of the tar: two digests computed in
/// turn take less time than one after the other.
fn hash(pieces: Receiver<Piece>) -> LayerSummary {
    let (mut tar, mut blob) = (Sha256Stream::new(), Sha256Stream::new());
    let mut waiting = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Blob(frame) => waiting.push(frame),
            Piece::Tar(frame) => {
                let mut rest = frame.as_slice();
                for part in waiting.drain(..) {
                    let (now, later) = rest.split_at(rest.len().min(part.len()));
                    tar.update_with(now, &mut blob, &part);
                    rest = later;
                }
                tar.update(rest);
            }
        }
    }
    waiting.iter().for_each(|part| blob.update(part));
    let (size, tar_size) = (blob.length(), tar.length());
    LayerSummary {
        digest: blob.finish(),
        size,
        diff_id: tar.finish(),
        tar_size,
    }
}

/// A helper thread ended early, which only a panic in it can cause.
fn died(what: &str) -> io::Error {
    io::Error::other(format!("{what}: helper thread died"))
}
