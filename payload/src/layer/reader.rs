// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads any part of a layer blob.
//!
//! [`LayerReader::open`] reads the seek table only. Frames are decompressed one at
//! a time by a [`Decoder`], so memory is two frames per reader whatever the size
//! of a file. [`LayerReader::stream`] passes the whole tar on, in order,
//! decompressed on several threads.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use zstd::bulk::Decompressor;

use super::LayerError;
use super::contents;
use crate::seekable::{
    FOOTER, FRAME_BYTES, FRAME_LEN, FrameInfo, SeekTable, decompress_frame, max_compressed,
};
use crate::toc::{Entry, MAX_ENCODED, Toc};
use crate::{Digest, ReadAt, Sha256Stream};

/// Decompressed frames that may wait for the receiver of a stream, per thread.
const QUEUE: usize = 2;

/// An open layer blob. Clones share it.
#[derive(Clone)]
pub struct LayerReader {
    source: Arc<dyn ReadAt>,
    frames: Arc<[Frame]>,
    contents: Frame,
    tar_size: u64,
}

/// A frame and where it begins.
#[derive(Clone, Copy)]
struct Frame {
    offset: u64,
    info: FrameInfo,
}

impl Frame {
    fn end(&self) -> u64 {
        self.offset + u64::from(self.info.compressed_len)
    }
}

impl LayerReader {
    /// Opens a blob: reads and checks its seek table.
    ///
    /// # Errors
    /// The seek table is missing or wrong, or cannot be read.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self, LayerError> {
        let table = read_seek_table(&*source)?;
        let mut frames = Vec::with_capacity(table.frames.len());
        let mut offset = 0;
        for info in table.frames {
            frames.push(Frame { offset, info });
            offset += u64::from(info.compressed_len);
        }
        let missing = LayerError::Layout {
            index: 0,
            offset: 0,
        };
        let contents = frames.pop().ok_or(missing)?;
        check_layout(&frames, contents)?;
        let tar_size = frames
            .iter()
            .map(|frame| u64::from(frame.info.decompressed_len))
            .sum();
        Ok(Self {
            source,
            frames: frames.into(),
            contents,
            tar_size,
        })
    }

    /// Length of the uncompressed tar.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// How many data frames there are.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// Reads the table of contents.
    ///
    /// # Errors
    /// It is broken, or cannot be read.
    pub fn toc(&self) -> Result<Toc, LayerError> {
        let offset = self.contents.offset;
        let mut frame = Vec::new();
        self.read_frame(&self.contents, &mut frame)?;
        let table =
            contents::decode(&frame).map_err(|source| LayerError::Contents { offset, source })?;
        drop(frame);
        Toc::parse(&table, self.tar_size).map_err(|source| LayerError::Toc { offset, source })
    }

    /// The contents of a file, checked against its digest: the read that would
    /// complete wrong contents fails instead.
    ///
    /// # Errors
    /// `InvalidInput` for an entry that is not a file, or not of this layer.
    pub fn open_entry(&self, entry: &Entry) -> io::Result<ContentReader> {
        let end = entry
            .offset
            .checked_add(entry.size)
            .filter(|&end| end <= self.tar_size);
        let (Some(end), Some(digest)) = (end, entry.digest) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let check = Some((Sha256Stream::new(), digest));
        Ok(ContentReader {
            decoder: self.decoder()?,
            position: entry.offset,
            end,
            check,
        })
    }

    /// The whole uncompressed tar.
    ///
    /// # Errors
    /// Zstandard has no memory.
    pub fn tar_stream(&self) -> io::Result<ContentReader> {
        let (position, end) = (0, self.tar_size);
        Ok(ContentReader {
            decoder: self.decoder()?,
            position,
            end,
            check: None,
        })
    }

    /// Passes the whole tar to `sink`, in order and in pieces with their offsets,
    /// decompressed on `threads` threads.
    ///
    /// # Errors
    /// The first broken frame, or what `sink` said.
    pub fn stream(
        &self,
        threads: usize,
        sink: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), LayerError> {
        let mut offset = 0;
        self.map(threads, &Ok, &mut |data: Vec<u8>| {
            sink(offset, &data)?;
            offset += data.len() as u64;
            Ok(())
        })
    }

    /// Has `work` done on every frame's data, on `threads` threads, and passes the
    /// results to `sink` in the order of the tar. Memory is a few frames and
    /// results per thread.
    ///
    /// # Errors
    /// The first broken frame, or what `work` or `sink` said.
    pub fn map<T: Send>(
        &self,
        threads: usize,
        work: &(dyn Fn(Vec<u8>) -> io::Result<T> + Sync),
        sink: &mut dyn FnMut(T) -> io::Result<()>,
    ) -> Result<(), LayerError> {
        let threads = threads.clamp(1, self.frames.len().max(1));
        thread::scope(|scope| {
            let mut outputs = Vec::with_capacity(threads);
            for first in 0..threads {
                let (results, output) = sync_channel(QUEUE);
                outputs.push(output);
                scope.spawn(move || {
                    let send = |result: Result<_, _>| {
                        let goes_on = result.is_ok();
                        results.send(result).is_ok() && goes_on
                    };
                    let mut decoder = match self.decoder() {
                        Ok(decoder) => decoder,
                        Err(error) => {
                            send(Err(LayerError::Sink(error)));
                            return;
                        }
                    };
                    let mut done = |index| {
                        let data = decoder.take(index)?;
                        work(data).map_err(LayerError::Sink)
                    };
                    // Frames are dealt in turn and taken back in the same turn.
                    let mut mine = (first..self.frames.len()).step_by(threads);
                    while mine.next().is_some_and(|index| send(done(index))) {}
                });
            }
            self.receive(&outputs, sink)
        })
    }

    fn receive<T>(
        &self,
        outputs: &[Receiver<Result<T, LayerError>>],
        sink: &mut dyn FnMut(T) -> io::Result<()>,
    ) -> Result<(), LayerError> {
        for (_, output) in self.frames.iter().zip(outputs.iter().cycle()) {
            let died = |_| LayerError::Sink(io::Error::other("decompress: helper thread died"));
            let result = output.recv().map_err(died)??;
            sink(result).map_err(LayerError::Sink)?;
        }
        Ok(())
    }

    /// Something that decompresses frames of this layer.
    pub(crate) fn decoder(&self) -> io::Result<Decoder> {
        Ok(Decoder {
            layer: self.clone(),
            decompressor: Decompressor::new()?,
            compressed: Vec::new(),
            data: Vec::new(),
            loaded: None,
        })
    }

    fn read_frame(&self, frame: &Frame, buf: &mut Vec<u8>) -> Result<(), LayerError> {
        let offset = frame.offset;
        buf.resize(
            usize::try_from(frame.info.compressed_len).unwrap_or(usize::MAX),
            0,
        );
        self.source
            .read_exact_at(buf, offset)
            .map_err(|source| LayerError::Read { offset, source })
    }
}

fn read_seek_table(source: &dyn ReadAt) -> Result<SeekTable, LayerError> {
    let size = source.size();
    let read = |buf: &mut [u8], offset| {
        source
            .read_exact_at(buf, offset)
            .map_err(|source| LayerError::Read { offset, source })
    };
    let mut footer = [0; FOOTER];
    read(&mut footer, size.saturating_sub(FOOTER as u64))?;
    let offset = size.saturating_sub(FOOTER as u64);
    let count = SeekTable::parse_footer(&footer)
        .map_err(|source| LayerError::SeekTable { offset, source })?;
    let length = SeekTable::encoded_len(count);
    let offset = size.saturating_sub(length as u64);
    let mut bytes = vec![0; length];
    read(&mut bytes, offset)?;
    SeekTable::parse(&bytes, offset).map_err(|source| LayerError::SeekTable { offset, source })
}

/// Data frames are full but for the last; the last frame of all is the table
/// of contents. So a position in the tar says its frame by division.
fn check_layout(frames: &[Frame], contents: Frame) -> Result<(), LayerError> {
    let last = frames.len().saturating_sub(1);
    for (index, frame) in frames.iter().enumerate() {
        let length = frame.info.decompressed_len;
        let is_full = length == FRAME_LEN || (index == last && (1..FRAME_LEN).contains(&length));
        if !is_full || u64::from(frame.info.compressed_len) > max_compressed() {
            return Err(LayerError::Layout {
                index,
                offset: frame.offset,
            });
        }
    }
    let most = MAX_ENCODED + (MAX_ENCODED >> 4);
    let length = contents.info.compressed_len;
    if contents.info != FrameInfo::skippable(length) || length as usize > most {
        return Err(LayerError::Layout {
            index: frames.len(),
            offset: contents.offset,
        });
    }
    Ok(())
}

/// Decompresses frames one at a time and keeps the last one.
pub(crate) struct Decoder {
    layer: LayerReader,
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
    data: Vec<u8>,
    loaded: Option<usize>,
}

impl Decoder {
    /// The bytes of the tar from `position` to the end of its frame.
    pub(crate) fn at(&mut self, position: u64) -> Result<&[u8], LayerError> {
        let index = usize::try_from(position / u64::from(FRAME_LEN)).unwrap_or(usize::MAX);
        self.load(index)?;
        let within = usize::try_from(position % u64::from(FRAME_LEN)).unwrap_or(FRAME_BYTES);
        Ok(self.data.get(within..).unwrap_or_default())
    }

    /// The whole data of a frame.
    fn take(&mut self, index: usize) -> Result<Vec<u8>, LayerError> {
        self.load(index)?;
        self.loaded = None;
        Ok(std::mem::take(&mut self.data))
    }

    fn load(&mut self, index: usize) -> Result<(), LayerError> {
        if self.loaded == Some(index) {
            return Ok(());
        }
        self.loaded = None;
        let layer = &self.layer;
        let Some(frame) = layer.frames.get(index) else {
            return Err(LayerError::Layout {
                index,
                offset: layer.contents.offset,
            });
        };
        layer.read_frame(frame, &mut self.compressed)?;
        let (offset, end) = (frame.offset, frame.end());
        decompress_frame(
            &mut self.decompressor,
            &frame.info,
            &self.compressed,
            &mut self.data,
        )
        .map_err(|source| LayerError::Frame {
            index,
            offset,
            end,
            source,
        })?;
        self.loaded = Some(index);
        Ok(())
    }
}

/// Reads a part of the tar: the contents of a file, or all of it.
pub struct ContentReader {
    decoder: Decoder,
    position: u64,
    end: u64,
    /// What the bytes so far hash to, and what all must.
    check: Option<(Sha256Stream, Digest)>,
}

impl Read for ContentReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.end - self.position;
        if left > 0 && !buf.is_empty() {
            let data = self
                .decoder
                .at(self.position)
                .map_err(LayerError::into_io)?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let n = data.len().min(most);
            buf[..n].copy_from_slice(&data[..n]);
            if let Some((hash, _)) = &mut self.check {
                hash.update(&buf[..n]);
            }
            self.position += n as u64;
            if self.position == self.end {
                self.finish()?;
            }
            return Ok(n);
        }
        if left == 0 {
            self.finish()?;
        }
        Ok(0)
    }
}

impl ContentReader {
    fn finish(&mut self) -> io::Result<()> {
        let Some((hash, expected)) = self.check.take() else {
            return Ok(());
        };
        let actual = hash.finish();
        if actual == expected {
            return Ok(());
        }
        let message = format!("read file contents: digest is {actual}, not {expected}");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}
