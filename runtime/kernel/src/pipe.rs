// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes and fifos (`fs/pipe.c`, Linux 6.12).
//!
//! [`Pipe`] is the buffer, [`PipeEnd`] one open end; the ends count themselves,
//! so the last reader or writer that goes away is noticed by the others. Writes
//! of up to `PIPE_BUF` bytes are atomic. One mutex, held while user memory is
//! copied (a page fault never needs a pipe); the queues are woken after it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::PollEvents;

use crate::budget::{BUFFERS, Charge};
use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Ioctl, OpenFile};
use crate::gauge::{self, Counted};
use crate::wait::WaitQueue;

/// Bytes that are written at once or not at all.
pub const PIPE_BUF: usize = 4096;
/// Capacity of a new pipe.
const DEFAULT_CAPACITY: usize = 65536;
/// Capacity of a new pipe when there are so many that this shall not go on.
const SMALL_CAPACITY: usize = PIPE_BUF;
/// The most an unprivileged process may ask for (`fs.pipe-max-size`).
pub const MAX_CAPACITY: usize = 1 << 20;
/// Bytes copied at a time.
const CHUNK: usize = 16384;

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Lengths of packets at the front of `bytes`, when written with `O_DIRECT`.
    packets: VecDeque<usize>,
    capacity: usize,
    /// The capacity's part of the budget; none when even the smallest is over it.
    charge: Option<Charge>,
    readers: usize,
    writers: usize,
    /// Made by `pipe(2)`: opened again (through `/proc`) it waits for nobody.
    is_anonymous: bool,
    /// Ends ever opened: what a blocking open of a fifo waits for.
    readers_ever: u64,
    writers_ever: u64,
}

impl State {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }
}

/// The buffer between writers and readers.
pub struct Pipe {
    state: Mutex<State>,
    /// Woken when there is more to read, or nobody to write it.
    for_readers: WaitQueue,
    /// Woken when there is room, or nobody to read it.
    for_writers: WaitQueue,
    /// Woken for either: the queue of ends that do both.
    for_both: WaitQueue,
    _counted: Counted,
}

impl Pipe {
    /// An empty pipe that nobody has open.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let charge = BUFFERS.charge(DEFAULT_CAPACITY);
        let capacity = if charge.is_some() {
            DEFAULT_CAPACITY
        } else {
            SMALL_CAPACITY
        };
        let state = State {
            capacity,
            charge: charge.or_else(|| BUFFERS.charge(capacity)),
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            for_readers: WaitQueue::default(),
            for_writers: WaitQueue::default(),
            for_both: WaitQueue::default(),
            _counted: gauge::PIPES.count(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_readers(&self) {
        self.for_readers.wake_all();
        self.for_both.wake_all();
    }

    fn wake_writers(&self) {
        self.for_writers.wake_all();
        self.for_both.wake_all();
    }

    fn wake_everybody(&self) {
        self.for_readers.wake_all();
        self.wake_writers();
    }

    /// Opens an end (of a fifo: without waiting for the other side).
    ///
    /// # Errors
    /// `ENXIO` for a non-blocking write end of a pipe that nobody reads.
    pub fn open_end(self: &Arc<Self>, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
        let (reads, writes) = (flags.is_readable(), flags.is_writable());
        let mut state = self.lock();
        let is_lonely = writes && !reads && state.readers == 0 && !state.is_anonymous;
        if is_lonely && flags.contains(OpenFlags::NONBLOCK) {
            return Err(Errno::ENXIO);
        }
        let end = PipeEnd {
            pipe: self.clone(),
            reads,
            writes,
            partner_before: if reads {
                state.writers_ever
            } else {
                state.readers_ever
            },
            had_partner: state.is_anonymous
                || (reads && writes)
                || if reads {
                    state.writers > 0
                } else {
                    state.readers > 0
                },
        };
        state.readers += usize::from(reads);
        state.readers_ever += u64::from(reads);
        state.writers += usize::from(writes);
        state.writers_ever += u64::from(writes);
        drop(state);
        self.wake_everybody();
        Ok(Arc::new(end))
    }

    /// A new pipe with both ends: read, write.
    #[must_use]
    pub fn pair() -> (Arc<Self>, Arc<dyn File>, Arc<dyn File>) {
        let pipe = Self::new();
        pipe.lock().is_anonymous = true;
        let end = |reads: bool| {
            let mut state = pipe.lock();
            state.readers += usize::from(reads);
            state.writers += usize::from(!reads);
            let (partner_before, had_partner) = (0, true);
            Arc::new(PipeEnd {
                pipe: pipe.clone(),
                reads,
                writes: !reads,
                partner_before,
                had_partner,
            })
        };
        let (reader, writer): (Arc<dyn File>, Arc<dyn File>) = (end(true), end(false));
        (pipe.clone(), reader, writer)
    }
}

/// One open end of a pipe.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    partner_before: u64,
    had_partner: bool,
}

impl PipeEnd {
    /// Has the other side been opened since this end was, or was it open then?
    #[must_use]
    pub fn has_met_partner(&self) -> bool {
        let state = self.pipe.lock();
        let ever = if self.reads {
            state.writers_ever
        } else {
            state.readers_ever
        };
        self.had_partner || ever != self.partner_before
    }

    /// Bytes that the pipe can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pipe.lock().capacity
    }

    /// Changes how much the pipe can hold; returns what it became.
    ///
    /// # Errors
    /// `EINVAL` for 0, `EPERM` above the limits, `EBUSY` when the content does not fit.
    pub fn set_capacity(&self, wanted: usize, is_privileged: bool) -> Result<usize, Errno> {
        if wanted == 0 || wanted > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let capacity = wanted.max(PIPE_BUF).next_power_of_two();
        if capacity > MAX_CAPACITY && (!is_privileged || capacity > MAX_CAPACITY << 6) {
            return Err(Errno::EPERM);
        }
        let mut state = self.pipe.lock();
        if state.bytes.len() > capacity {
            return Err(Errno::EBUSY);
        }
        if capacity > state.capacity {
            let more = BUFFERS.charge(capacity).ok_or(Errno::EPERM)?;
            state.charge = Some(more);
        }
        state.capacity = capacity;
        drop(state);
        self.pipe.wake_writers();
        Ok(capacity)
    }

    /// A copy of the first bytes, without taking them (`tee`).
    ///
    /// # Errors
    /// `EAGAIN` when it is empty and has writers.
    pub fn peek(&self, limit: usize) -> Result<Vec<u8>, Errno> {
        let state = self.pipe.lock();
        if state.bytes.is_empty() && state.writers > 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(state.bytes.iter().take(limit).copied().collect())
    }

    /// Can this end be read (written)?
    #[must_use]
    pub fn is_reader(&self) -> bool {
        self.reads
    }

    /// Bytes that fit now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.pipe.lock().room()
    }
}

impl File for PipeEnd {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.lock();
        if state.bytes.is_empty() {
            return if state.writers == 0 {
                Ok(0)
            } else {
                Err(Errno::EAGAIN.into())
            };
        }
        let done = if state.packets.is_empty() {
            drain(&mut state.bytes, dst)?
        } else {
            take_packet(&mut state, dst)?
        };
        drop(state);
        self.pipe.wake_writers();
        Ok(done)
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        how: IoFlags,
    ) -> SysResult<usize> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE.into());
        }
        let (room, total) = (state.room(), src.remaining());
        if room == 0 || (total <= PIPE_BUF && room < total) {
            return Err(Errno::EAGAIN.into());
        }
        let is_packet = how.contains(IoFlags::PACKET);
        let limit = if is_packet { room.min(PIPE_BUF) } else { room };
        let done = fill(&mut state.bytes, src, limit)?;
        if is_packet || !state.packets.is_empty() {
            let plain = state.bytes.len() - done - state.packets.iter().sum::<usize>();
            if plain > 0 {
                state.packets.push_back(plain);
            }
            state.packets.push_back(done);
        }
        drop(state);
        self.pipe.wake_readers();
        Ok(done)
    }

    fn readiness(&self) -> PollEvents {
        let state = self.pipe.lock();
        let mut events = PollEvents::empty();
        if self.reads {
            if !state.bytes.is_empty() {
                events |= PollEvents::READABLE;
            }
            let met = self.had_partner || state.writers_ever != self.partner_before;
            if state.writers == 0 && met {
                events |= PollEvents::HUP;
            }
        }
        if self.writes {
            if state.room() >= PIPE_BUF {
                events |= PollEvents::WRITABLE;
            }
            if state.readers == 0 {
                events |= PollEvents::ERR;
            }
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(match (self.reads, self.writes) {
            (true, true) => &self.pipe.for_both,
            (true, false) => &self.pipe.for_readers,
            _ => &self.pipe.for_writers,
        })
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, req: Ioctl) -> SysResult<usize> {
        if req.request != linux_abi::ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let len = self.pipe.lock().bytes.len();
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        crate::file::put_ioctl(caller, req.arg, &len.to_le_bytes())
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        {
            let mut state = self.pipe.lock();
            state.readers -= usize::from(self.reads);
            state.writers -= usize::from(self.writes);
        }
        self.pipe.wake_everybody();
    }
}

/// Moves bytes out; those the sink did not take stay.
fn drain(bytes: &mut VecDeque<u8>, dst: &mut dyn IoSink) -> Result<usize, Errno> {
    let mut done = 0;
    while dst.remaining() > 0 && !bytes.is_empty() {
        let front = bytes.as_slices().0;
        match dst.put(&front[..front.len().min(dst.remaining())]) {
            Ok(n) => {
                bytes.drain(..n);
                done += n;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Reads one packet; what does not fit is lost, as `pipe(2)` says.
fn take_packet(state: &mut State, dst: &mut dyn IoSink) -> Result<usize, Errno> {
    let len = state.packets.front().copied().unwrap_or(0);
    let packet: Vec<u8> = state.bytes.iter().take(len).copied().collect();
    let done = dst.put(&packet[..len.min(dst.remaining())])?;
    state.bytes.drain(..len);
    state.packets.pop_front();
    Ok(done)
}

fn fill(bytes: &mut VecDeque<u8>, src: &mut dyn IoSource, limit: usize) -> Result<usize, Errno> {
    let mut done = 0;
    let mut chunk = vec![0; src.remaining().min(limit).min(CHUNK)];
    while src.remaining() > 0 && done < limit {
        let want = chunk.len().min(limit - done);
        match src.get(&mut chunk[..want]) {
            Ok(0) => break,
            Ok(n) => {
                bytes.extend(&chunk[..n]);
                done += n;
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
