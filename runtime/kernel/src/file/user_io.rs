// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program's buffers as sink and source: `iovec`s in user memory.

use linux_abi::Errno;

use crate::file::{IoSink, IoSource};
use crate::mm::{IoVec, UserAddr, UserMemory};

/// The most bytes that one call moves (`MAX_RW_COUNT`).
const MAX_COUNT: usize = 0x7fff_f000;
/// The most pieces of a scattered buffer (`UIO_MAXIOV`).
pub const MAX_PIECES: usize = 1024;

/// Buffers of a program, used up from the front. A clone starts where the
/// original stands.
#[derive(Clone)]
pub struct UserBuf {
    memory: UserMemory,
    pieces: Pieces,
    next: usize,
    remaining: usize,
}

/// Mostly there is one, which takes no memory of its own: each attempt of a transfer
/// has a clone.
#[derive(Clone)]
enum Pieces {
    One([(UserAddr, usize); 1]),
    Many(Vec<(UserAddr, usize)>),
}

impl Pieces {
    fn get_mut(&mut self, index: usize) -> Option<&mut (UserAddr, usize)> {
        match self {
            Self::One(piece) => piece.get_mut(index),
            Self::Many(pieces) => pieces.get_mut(index),
        }
    }
}

impl UserBuf {
    /// One buffer; what exceeds the most that a call moves is left out.
    #[must_use]
    pub fn single(memory: UserMemory, addr: UserAddr, len: usize) -> Self {
        let len = len.min(MAX_COUNT);
        Self {
            memory,
            pieces: Pieces::One([(addr, len)]),
            next: 0,
            remaining: len,
        }
    }

    /// The buffers that an array of `iovec`s lists.
    ///
    /// # Errors
    /// `EINVAL` for too many or a sum over the signed range, `EFAULT`.
    pub fn gather(memory: UserMemory, array: UserAddr, count: usize) -> Result<Self, Errno> {
        if count > MAX_PIECES {
            return Err(Errno::EINVAL);
        }
        let mut pieces = Vec::with_capacity(count);
        let mut remaining = 0usize;
        for index in 0..count {
            let offset = u64::try_from(index * size_of::<IoVec>()).unwrap_or(u64::MAX);
            let iov: IoVec = memory.read_value(array.offset(offset))?;
            let len = isize::try_from(iov.len)
                .map_err(|_| Errno::EINVAL)?
                .unsigned_abs();
            let len = len.min(MAX_COUNT - remaining);
            remaining += len;
            pieces.push((UserAddr(iov.base), len));
        }
        Ok(Self {
            memory,
            pieces: Pieces::Many(pieces),
            next: 0,
            remaining,
        })
    }

    /// The same addresses in another memory.
    #[must_use]
    pub fn in_memory(mut self, memory: UserMemory) -> Self {
        self.memory = memory;
        self
    }

    /// Moves at most `limit` bytes more.
    pub fn limit(&mut self, limit: usize) {
        self.remaining = self.remaining.min(limit);
    }

    /// Bytes that are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remaining
    }

    /// Is nothing left?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// Moves up to `len` bytes with `copy(memory, address, range of the caller's
    /// buffer)`, which says how many it could.
    fn advance(
        &mut self,
        len: usize,
        mut copy: impl FnMut(&UserMemory, UserAddr, usize, usize) -> usize,
    ) -> Result<usize, Errno> {
        let len = len.min(self.remaining);
        let mut done = 0;
        while done < len {
            let Some((addr, piece)) = self.pieces.get_mut(self.next) else {
                break;
            };
            if *piece == 0 {
                self.next += 1;
                continue;
            }
            let want = (*piece).min(len - done);
            let moved = copy(&self.memory, *addr, done, want);
            *addr = addr.offset(u64::try_from(moved).unwrap_or(0));
            *piece -= moved;
            done += moved;
            self.remaining -= moved;
            if moved < want {
                break;
            }
        }
        if done == 0 && len > 0 {
            Err(Errno::EFAULT)
        } else {
            Ok(done)
        }
    }
}

impl IoSink for UserBuf {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn put(&mut self, data: &[u8]) -> Result<usize, Errno> {
        self.advance(data.len(), |memory, addr, from, len| {
            memory.write_partial(addr, &data[from..from + len])
        })
    }
}

impl IoSource for UserBuf {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn get(&mut self, buf: &mut [u8]) -> Result<usize, Errno> {
        self.advance(buf.len(), |memory, addr, from, len| {
            memory.read_partial(addr, &mut buf[from..from + len])
        })
    }

    fn peek(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        self.clone().get(buf)
    }

    fn skip(&mut self, count: usize) {
        // Moving nothing cannot fault.
        let _ = self.advance(count, |_, _, _, len| len);
    }
}
