// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's standard streams as descriptors of the first program, when they are
//! no terminal.
//!
//! Input is read ahead by one thread, only after the guest has asked for it and only
//! while nothing is left over, so that what the guest does not read stays with the
//! host as far as possible. Output is written at once.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::poll::PollEvents;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource};
use crate::wait::WaitQueue;

/// Bytes read from the host at a time.
const CHUNK: usize = 16 * 1024;

#[derive(Default)]
struct InputState {
    bytes: VecDeque<u8>,
    is_wanted: bool,
    is_ended: bool,
}

/// The host's standard input.
pub struct HostInput {
    state: Mutex<InputState>,
    wanted: Condvar,
    queue: WaitQueue,
}

impl HostInput {
    /// Reads `source` in a thread of its own.
    ///
    /// # Errors
    /// When the host gives no thread.
    pub fn start(source: impl Read + Send + 'static) -> std::io::Result<Arc<Self>> {
        let input = Arc::new(Self {
            state: Mutex::default(),
            wanted: Condvar::new(),
            queue: WaitQueue::new(),
        });
        let weak = Arc::downgrade(&input);
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || pump(&weak, source))?;
        Ok(input)
    }

    fn lock(&self) -> MutexGuard<'_, InputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, state: &mut InputState) {
        if !state.is_ended && state.bytes.is_empty() && !state.is_wanted {
            state.is_wanted = true;
            self.wanted.notify_one();
        }
    }
}

fn pump(input: &Weak<HostInput>, mut source: impl Read) {
    let mut buf = vec![0; CHUNK];
    loop {
        let Some(input) = input.upgrade() else { return };
        let mut state = input.lock();
        while !state.is_wanted {
            state = input
                .wanted
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let count = source.read(&mut buf).unwrap_or(0);
        let mut state = input.lock();
        state.bytes.extend(&buf[..count]);
        state.is_ended = count == 0;
        state.is_wanted = false;
        drop(state);
        input.queue.wake_all();
        if count == 0 {
            return;
        }
    }
}

impl File for HostInput {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let mut state = self.lock();
        if state.bytes.is_empty() {
            if state.is_ended {
                return Ok(0);
            }
            self.ask(&mut state);
            return Err(Errno::EAGAIN.into());
        }
        let len = dst.remaining().min(state.bytes.len());
        let (front, back) = state.bytes.as_slices();
        let piece = if front.is_empty() { back } else { front };
        let done = dst.put(&piece[..len.min(piece.len())])?;
        state.bytes.drain(..done);
        Ok(done)
    }

    fn readiness(&self) -> PollEvents {
        let mut state = self.lock();
        self.ask(&mut state);
        let is_ready = state.is_ended || !state.bytes.is_empty();
        if is_ready {
            PollEvents::READABLE
        } else {
            PollEvents::empty()
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }
}

/// The host's standard output or error.
pub struct HostOutput {
    sink: Mutex<Box<dyn Write + Send>>,
}

impl HostOutput {
    /// Writes to `sink`, which is flushed after every write.
    #[must_use]
    pub fn new(sink: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            sink: Mutex::new(Box::new(sink)),
        })
    }
}

impl File for HostOutput {
    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let mut buf = vec![0; src.remaining().min(CHUNK)];
        let len = src.get(&mut buf)?;
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = sink.write_all(&buf[..len]).and_then(|()| sink.flush());
        match written {
            Ok(()) => Ok(len),
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(Errno::EPIPE.into())
            }
            Err(_) => Err(Errno::EIO.into()),
        }
    }

    fn readiness(&self) -> PollEvents {
        PollEvents::WRITABLE
    }
}
