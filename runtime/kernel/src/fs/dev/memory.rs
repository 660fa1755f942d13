// SPDX-License-Identifier: MIT OR Apache-2.0
//! `null`, `zero`, `full`, `random` and `urandom` (`drivers/char/mem.c`).

use std::sync::Arc;

use linux_abi::Errno;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Whence};

/// Fills a buffer with random bytes.
type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Where random bytes come from.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

impl Random {
    /// A source that calls `fill`.
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills `buf`.
    pub fn fill(&self, buf: &mut [u8]) {
        (self.0)(buf);
    }
}

/// Bytes made at a time.
const CHUNK: usize = 4096;

pub(super) fn open(minor: u32, random: &Random) -> Result<Arc<dyn File>, Errno> {
    let what = match minor {
        3 => Memory::Null,
        5 => Memory::Zero,
        7 => Memory::Full,
        8 | 9 => Memory::Random(random.clone()),
        _ => return Err(Errno::ENXIO),
    };
    Ok(Arc::new(what))
}

enum Memory {
    Null,
    Zero,
    Full,
    Random(Random),
}

fn supply(dst: &mut dyn IoSink, mut fill: impl FnMut(&mut [u8])) -> SysResult<usize> {
    let mut done = 0;
    let mut chunk = [0; CHUNK];
    while dst.remaining() > 0 {
        let n = dst.remaining().min(CHUNK);
        fill(&mut chunk[..n]);
        match dst.put(&chunk[..n]) {
            Ok(n) => done += n,
            Err(error) if done == 0 => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl File for Memory {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        match self {
            Self::Null => Ok(0),
            Self::Zero | Self::Full => supply(dst, |chunk| chunk.fill(0)),
            Self::Random(random) => supply(dst, |chunk| random.fill(chunk)),
        }
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        match self {
            Self::Full => Err(Errno::ENOSPC.into()),
            // The bytes are not looked at, so a bad address is no error.
            _ => Ok(src.remaining()),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _pos: u64, _offset: i64, _whence: Whence) -> SysResult<u64> {
        Ok(0)
    }
}
