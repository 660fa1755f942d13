// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of a regular file in memory: sparse, in blocks of 4 KiB.
//!
//! A block lives on the host heap until somebody maps it; then it becomes a page
//! of guest memory, and reads and writes use that page, so that `read` and a
//! mapping always agree.

use std::collections::BTreeMap;
use std::ops::Range;

use elfuse_machine::Frame;
use linux_abi::Errno;

use super::{BLOCK, BLOCK_LEN};
use crate::mm::{FrameSource, MapError, Page};

enum Block {
    Heap(Box<[u8; BLOCK]>),
    Mapped(Frame),
}

impl Block {
    fn zeroed() -> Self {
        Self::Heap(Box::new([0; BLOCK]))
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        match self {
            Self::Heap(bytes) => out.copy_from_slice(&bytes[at..at + out.len()]),
            Self::Mapped(frame) => frame.read(at, out),
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) {
        match self {
            Self::Heap(bytes) => bytes[at..at + data.len()].copy_from_slice(data),
            Self::Mapped(frame) => frame.write(at, data),
        }
    }

    fn zero(&mut self, range: Range<usize>) {
        let zeros = [0; BLOCK];
        self.write(range.start, &zeros[..range.len()]);
    }
}

/// Size and blocks.
#[derive(Default)]
pub(super) struct Data {
    pub(super) size: u64,
    blocks: BTreeMap<u64, Block>,
}

/// The parts of `start..end` that lie in single blocks: (block, range in it).
fn parts(start: u64, end: u64) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut at = start;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let block = at / BLOCK_LEN;
        let stop = ((block + 1) * BLOCK_LEN).min(end);
        let from = index(at % BLOCK_LEN);
        let part = (block, from..from + index(stop - at));
        at = stop;
        Some(part)
    })
}

/// A distance within a buffer as an index; saturates, which no buffer reaches.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Data {
    pub(super) fn block_count(&self) -> u64 {
        u64::try_from(self.blocks.len()).unwrap_or(u64::MAX)
    }

    /// Copies out from `pos`, up to the end; returns the count.
    pub(super) fn read(&self, pos: u64, out: &mut [u8]) -> usize {
        let room = u64::try_from(out.len()).unwrap_or(u64::MAX);
        let end = pos.saturating_add(room).min(self.size);
        let mut done = 0;
        for (block, range) in parts(pos, end) {
            let target = &mut out[done..done + range.len()];
            match self.blocks.get(&block) {
                Some(b) => b.read(range.start, target),
                None => target.fill(0),
            }
            done += range.len();
        }
        done
    }

    /// Blocks in `start..end` that are not there yet.
    pub(super) fn missing(&self, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let (first, last) = (start / BLOCK_LEN, (end - 1) / BLOCK_LEN);
        let present = self.blocks.range(first..=last).count();
        (last - first + 1).saturating_sub(u64::try_from(present).unwrap_or(0))
    }

    /// Copies in at `pos`, growing the file. The caller accounted for the
    /// missing blocks.
    pub(super) fn write(&mut self, pos: u64, data: &[u8]) {
        let end = pos + u64::try_from(data.len()).unwrap_or(0);
        let mut done = 0;
        for (block, range) in parts(pos, end) {
            let entry = self.blocks.entry(block).or_insert_with(Block::zeroed);
            entry.write(range.start, &data[done..done + range.len()]);
            done += range.len();
        }
        self.size = self.size.max(end);
    }

    /// Makes every block of `start..end` exist.
    pub(super) fn fill(&mut self, start: u64, end: u64) {
        for (block, _) in parts(start, end) {
            self.blocks.entry(block).or_insert_with(Block::zeroed);
        }
    }

    /// Zeroes a range, releasing whole blocks; returns how many.
    pub(super) fn punch(&mut self, start: u64, end: u64) -> u64 {
        let mut released = 0;
        let first = start / BLOCK_LEN;
        let touched: Vec<u64> = self.blocks.range(first..).map(|(b, _)| *b).collect();
        for block in touched {
            let (from, to) = (block * BLOCK_LEN, (block + 1) * BLOCK_LEN);
            if from >= end {
                break;
            }
            if start <= from && to <= end {
                self.blocks.remove(&block);
                released += 1;
            } else if let Some(b) = self.blocks.get_mut(&block) {
                b.zero(index(start.max(from) - from)..index(end.min(to) - from));
            }
        }
        released
    }

    /// Sets the size; returns how many blocks were released.
    pub(super) fn resize(&mut self, size: u64) -> u64 {
        let old = std::mem::replace(&mut self.size, size);
        if size < old {
            self.punch(size, u64::MAX)
        } else {
            0
        }
    }

    /// The next block-wise data or hole at or after `pos`.
    pub(super) fn next_extent(&self, pos: u64, is_hole: bool) -> Result<u64, Errno> {
        if pos >= self.size {
            return Err(Errno::ENXIO);
        }
        let mut block = pos / BLOCK_LEN;
        if is_hole {
            while self.blocks.contains_key(&block) {
                block += 1;
            }
            return Ok((block * BLOCK_LEN).clamp(pos, self.size));
        }
        let next = self
            .blocks
            .range(block..)
            .next()
            .map(|(b, _)| b * BLOCK_LEN);
        next.map(|at| at.max(pos))
            .filter(|&at| at < self.size)
            .ok_or(Errno::ENXIO)
    }

    /// The page behind `block`, made if need be. The caller accounted for it.
    pub(super) fn page(&mut self, block: u64, frames: &FrameSource) -> Result<Page, MapError> {
        if block
            .checked_mul(BLOCK_LEN)
            .is_none_or(|start| start >= self.size)
        {
            return Err(MapError::Bus);
        }
        let entry = self.blocks.entry(block).or_insert_with(Block::zeroed);
        if let Block::Heap(bytes) = entry {
            let frame = frames.alloc()?;
            frame.write(0, bytes.as_slice());
            *entry = Block::Mapped(frame);
        }
        match entry {
            Block::Mapped(frame) => Ok(Page::Anon(frame.clone())),
            Block::Heap(_) => Err(MapError::OutOfMemory),
        }
    }
}
