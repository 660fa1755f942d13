// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contents of a regular file in memory: reading, writing, seals, pages.
//!
//! Writers of one file take turns (`io`), so that an append finds the end where
//! it was; readers share the data's lock with nobody who sleeps.

use std::sync::{Arc, PoisonError};

use linux_abi::Errno;
use linux_abi::fcntl as seal;

use super::super::{BLOCK, BLOCK_LEN};
use super::{Bytes, TmpNode};
use crate::file::{IoSink, IoSource};
use crate::mm::{MapError, Mappable, Page};
use crate::vfs::{Fallocate, MAX_FILE_SIZE, Regular};

/// Bytes moved between user memory and the file at a time.
const CHUNK: usize = 64 * 1024;

impl Regular for TmpNode {
    fn read_at(&self, dst: &mut dyn IoSink, pos: u64) -> Result<usize, Errno> {
        let bytes = self.bytes()?;
        let mut buf = vec![0; dst.remaining().min(CHUNK)];
        let mut done = 0;
        while dst.remaining() > 0 {
            let want = dst.remaining().min(buf.len());
            let at = pos.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            let got = {
                let data = bytes.data.read().unwrap_or_else(PoisonError::into_inner);
                data.read(at, &mut buf[..want])
            };
            if got == 0 {
                break;
            }
            match dst.put(&buf[..got]) {
                Ok(n) => done += n,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.touch_access();
        Ok(done)
    }

    fn write_at(&self, src: &mut dyn IoSource, pos: Option<u64>) -> Result<(usize, u64), Errno> {
        let bytes = self.bytes()?;
        let _io = bytes.io.lock().unwrap_or_else(PoisonError::into_inner);
        let seals = self.seals();
        if seals & (seal::F_SEAL_WRITE | seal::F_SEAL_FUTURE_WRITE) != 0 {
            return Err(Errno::EPERM);
        }
        let size = bytes
            .data
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .size;
        let start = pos.unwrap_or(size);
        let mut room = MAX_FILE_SIZE.saturating_sub(start);
        if seals & seal::F_SEAL_GROW != 0 {
            room = size.saturating_sub(start);
            if room == 0 && src.remaining() > 0 {
                return Err(Errno::EPERM);
            }
        }
        if room == 0 && src.remaining() > 0 {
            return Err(Errno::EFBIG);
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (mut at, mut done) = (start, 0);
        let mut buf = vec![0; src.remaining().min(CHUNK)];
        let mut failed = None;
        while src.remaining() > 0 && done < room {
            let want = src.remaining().min(buf.len()).min(room - done);
            let stored = src
                .get(&mut buf[..want])
                .and_then(|got| self.store(bytes, at, &buf[..got]));
            match stored {
                Ok(0) => break,
                Ok(n) => {
                    done += n;
                    at += u64::try_from(n).unwrap_or(0);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        match failed {
            Some(error) if done == 0 => Err(error),
            _ => {
                self.touch_content();
                Ok((done, at))
            }
        }
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        let bytes = self.bytes()?;
        let _io = bytes.io.lock().unwrap_or_else(PoisonError::into_inner);
        if size > MAX_FILE_SIZE {
            return Err(Errno::EFBIG);
        }
        let mut data = bytes.data.write().unwrap_or_else(PoisonError::into_inner);
        let seals = self.seals();
        let is_sealed = (size < data.size && seals & seal::F_SEAL_SHRINK != 0)
            || (size > data.size && seals & seal::F_SEAL_GROW != 0);
        if is_sealed {
            return Err(Errno::EPERM);
        }
        let released = data.resize(size);
        drop(data);
        self.shared.give_blocks(released);
        self.touch_content();
        Ok(())
    }

    fn allocate(&self, how: Fallocate, start: u64, len: u64) -> Result<(), Errno> {
        let bytes = self.bytes()?;
        let end = start
            .checked_add(len)
            .filter(|&e| e <= MAX_FILE_SIZE)
            .ok_or(Errno::EFBIG)?;
        let _io = bytes.io.lock().unwrap_or_else(PoisonError::into_inner);
        let mut data = bytes.data.write().unwrap_or_else(PoisonError::into_inner);
        let seals = self.seals();
        let grows = matches!(how, Fallocate::Extend | Fallocate::Zero) && end > data.size;
        if grows && seals & seal::F_SEAL_GROW != 0 {
            return Err(Errno::EPERM);
        }
        match how {
            Fallocate::PunchHole => {
                if seals & (seal::F_SEAL_WRITE | seal::F_SEAL_FUTURE_WRITE) != 0 {
                    return Err(Errno::EPERM);
                }
                let released = data.punch(start, end);
                self.shared.give_blocks(released);
            }
            Fallocate::Extend | Fallocate::Reserve => {
                self.shared.take_blocks(data.missing(start, end))?;
                data.fill(start, end);
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if grows {
            data.size = end;
        }
        drop(data);
        self.touch_content();
        Ok(())
    }

    fn next_extent(&self, pos: u64, _size: u64, is_hole: bool) -> Result<u64, Errno> {
        let data = self
            .bytes()?
            .data
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        data.next_extent(pos, is_hole)
    }

    fn mappable(&self) -> Option<Arc<dyn Mappable>> {
        self.shared.frames.as_ref()?;
        self.me.upgrade().map(|node| node as Arc<dyn Mappable>)
    }
}

impl TmpNode {
    fn store(&self, bytes: &Bytes, at: u64, chunk: &[u8]) -> Result<usize, Errno> {
        let mut data = bytes.data.write().unwrap_or_else(PoisonError::into_inner);
        let mut len = chunk.len();
        let end = |len: usize| at + u64::try_from(len).unwrap_or(0);
        // When the file system is nearly full, what still fits is written.
        while self.shared.take_blocks(data.missing(at, end(len))).is_err() {
            if len <= BLOCK {
                return Err(Errno::ENOSPC);
            }
            len -= BLOCK;
        }
        data.write(at, &chunk[..len]);
        Ok(len)
    }
}

impl Mappable for TmpNode {
    fn page(&self, page_index: u64, _for_write: bool) -> Result<Page, MapError> {
        let frames = self.shared.frames.as_ref().ok_or(MapError::Bus)?;
        let bytes = self.bytes().map_err(|_| MapError::Bus)?;
        let mut data = bytes.data.write().unwrap_or_else(PoisonError::into_inner);
        let start = page_index.checked_mul(BLOCK_LEN).ok_or(MapError::Bus)?;
        if start >= data.size {
            return Err(MapError::Bus);
        }
        let missing = data.missing(start, start + 1);
        self.shared
            .take_blocks(missing)
            .map_err(|_| MapError::Bus)?;
        data.page(page_index, frames)
    }
}
