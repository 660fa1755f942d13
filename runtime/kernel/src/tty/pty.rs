// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pseudo terminals: the master side, and the table of pairs.
//!
//! The master is a [`File`]: what it writes is input of the [`Tty`], what it reads
//! is the terminal's output. When the master goes, the terminal is hung up; when
//! the last slave goes, the master reads `EIO`. Linux 6.12 `drivers/tty/pty.c`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::ioctl as req;
use linux_abi::poll::PollEvents;
use linux_abi::stat::make_dev;

use super::{Groups, Tty, TtyFile};
use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Ioctl, OpenFile, get_ioctl, put_ioctl};
use crate::wait::WaitQueue;

/// Major number of pty slaves.
pub const PTS_MAJOR: u32 = 136;
/// The most pairs (`kernel.pty.max`).
const MAX_PTYS: u32 = 4096;

/// A pair of terminal sides.
pub struct Pty {
    tty: Arc<Tty>,
    index: u32,
    pub(super) is_locked: AtomicBool,
    is_packet: AtomicBool,
    slaves: Arc<AtomicUsize>,
    was_opened: AtomicBool,
}

impl Pty {
    /// The slave side.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }

    /// Lets the slave side be opened (`unlockpt`).
    pub fn unlock(&self) {
        self.is_locked.store(false, Ordering::Release);
    }

    /// Opens the slave side.
    ///
    /// # Errors
    /// `EIO` while it is locked or when the master is gone.
    pub fn open_slave(
        &self,
        caller: &Caller<'_>,
        flags: OpenFlags,
    ) -> Result<Arc<dyn File>, Errno> {
        let (is_hung_up, is_exclusive) = {
            let state = self.tty.lock();
            (state.is_hung_up, state.is_exclusive)
        };
        if self.is_locked.load(Ordering::Acquire) || is_hung_up {
            return Err(Errno::EIO);
        }
        if is_exclusive && !caller.cred.has(crate::vfs::Capability::SysAdmin) {
            return Err(Errno::EBUSY);
        }
        self.was_opened.store(true, Ordering::Release);
        if !flags.contains(OpenFlags::NOCTTY)
            && let Some(job) = caller.job()
        {
            self.tty.adopt(job);
        }
        let count = SlaveCount::new(&self.slaves, &self.tty);
        Ok(Arc::new(TtyFile::new(self.tty.clone(), count)))
    }
}

/// Counts the descriptors of a slave; the master hears of the last one.
pub struct SlaveCount {
    slaves: Arc<AtomicUsize>,
    tty: Arc<Tty>,
}

impl SlaveCount {
    /// One more descriptor.
    #[must_use]
    pub fn new(slaves: &Arc<AtomicUsize>, tty: &Arc<Tty>) -> Self {
        slaves.fetch_add(1, Ordering::AcqRel);
        Self {
            slaves: slaves.clone(),
            tty: tty.clone(),
        }
    }
}

impl Drop for SlaveCount {
    fn drop(&mut self) {
        if self.slaves.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tty.other_side.wake_all();
        }
    }
}

/// All pairs of one `devpts`.
pub struct PtyTable {
    groups: Arc<dyn Groups>,
    pairs: Mutex<BTreeMap<u32, Arc<Pty>>>,
}

impl PtyTable {
    /// No pairs yet.
    #[must_use]
    pub fn new(groups: Arc<dyn Groups>) -> Arc<Self> {
        Arc::new(Self {
            groups,
            pairs: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Pty>>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a pair and opens its master (`/dev/ptmx`).
    ///
    /// # Errors
    /// `ENOSPC` when there are too many.
    pub fn open_master(self: &Arc<Self>) -> Result<Arc<dyn File>, Errno> {
        let master: Arc<dyn File> = self.open_pair()?;
        Ok(master)
    }

    /// Makes a pair; what is answered is its master side.
    ///
    /// # Errors
    /// `ENOSPC` when there are too many.
    pub fn open_pair(self: &Arc<Self>) -> Result<Arc<Master>, Errno> {
        let mut pairs = self.lock();
        let index = (0..MAX_PTYS)
            .find(|i| !pairs.contains_key(i))
            .ok_or(Errno::ENOSPC)?;
        let dev = make_dev(PTS_MAJOR, index);
        let pty = Arc::new(Pty {
            tty: Tty::new(format!("pts/{index}"), dev, self.groups.clone()),
            index,
            is_locked: AtomicBool::new(true),
            is_packet: AtomicBool::new(false),
            slaves: Arc::default(),
            was_opened: AtomicBool::new(false),
        });
        pairs.insert(index, pty.clone());
        drop(pairs);
        Ok(Arc::new(Master {
            pty,
            table: self.clone(),
        }))
    }

    /// The pair with this number.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Arc<Pty>> {
        self.lock().get(&index).cloned()
    }

    /// All numbers in use.
    #[must_use]
    pub fn indices(&self) -> Vec<u32> {
        self.lock().keys().copied().collect()
    }
}

/// The master side of a pair.
pub struct Master {
    pty: Arc<Pty>,
    table: Arc<PtyTable>,
}

impl Master {
    /// The pair.
    #[must_use]
    pub fn pty(&self) -> &Arc<Pty> {
        &self.pty
    }

    fn is_abandoned(&self) -> bool {
        self.pty.was_opened.load(Ordering::Acquire) && self.pty.slaves.load(Ordering::Acquire) == 0
    }
}

impl File for Master {
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
        let is_packet = self.pty.is_packet.load(Ordering::Relaxed);
        let limit = dst.remaining() - usize::from(is_packet);
        let bytes = self.pty.tty.take_output(limit.max(1));
        if bytes.is_empty() {
            let gone = self.is_abandoned();
            return Err(if gone { Errno::EIO } else { Errno::EAGAIN }.into());
        }
        let mut done = 0;
        if is_packet {
            done += dst.put(&[0])?;
        }
        match dst.put(&bytes) {
            Ok(n) => {
                self.pty.tty.return_output(&bytes[n..]);
                Ok(done + n)
            }
            Err(error) => {
                self.pty.tty.return_output(&bytes);
                if done == 0 {
                    Err(error.into())
                } else {
                    Ok(done)
                }
            }
        }
    }

    fn try_write(
        &self,
        _caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let mut done = 0;
        let mut chunk = [0; super::CHUNK];
        while src.remaining() > 0 {
            let room = self.pty.tty.input_room().min(chunk.len());
            if room == 0 {
                break;
            }
            let got = match src.get(&mut chunk[..room]) {
                Ok(got) => got,
                Err(error) if done == 0 => return Err(error.into()),
                Err(_) => break,
            };
            self.pty.tty.receive(&chunk[..got]);
            done += got;
        }
        if done == 0 && src.remaining() > 0 {
            Err(Errno::EAGAIN.into())
        } else {
            Ok(done)
        }
    }

    fn readiness(&self) -> PollEvents {
        let mut events = PollEvents::empty();
        if self.pty.tty.output_len() > 0 {
            events |= PollEvents::READABLE;
        }
        if self.is_abandoned() {
            events |= PollEvents::HUP;
        }
        if self.pty.tty.input_room() > 0 {
            events |= PollEvents::WRITABLE;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pty.tty.other_side)
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, request: Ioctl) -> SysResult<usize> {
        let pty = &self.pty;
        let arg = request.arg;
        let get_flag = || -> SysResult<bool> {
            let mut value = [0; 4];
            get_ioctl(caller, arg, &mut value)?;
            Ok(value != [0; 4])
        };
        let put = |value: i32| put_ioctl(caller, arg, &value.to_le_bytes());
        match request.request {
            req::TIOCGPTN => put(i32::try_from(pty.index).unwrap_or(i32::MAX)),
            req::TIOCSPTLCK => {
                pty.is_locked.store(get_flag()?, Ordering::Release);
                Ok(0)
            }
            req::TIOCGPTLCK => put(i32::from(pty.is_locked.load(Ordering::Acquire))),
            req::TIOCPKT => {
                pty.is_packet.store(get_flag()?, Ordering::Relaxed);
                Ok(0)
            }
            req::TIOCGPKT => put(i32::from(pty.is_packet.load(Ordering::Relaxed))),
            req::FIONREAD => put(i32::try_from(pty.tty.output_len()).unwrap_or(i32::MAX)),
            req::TIOCGPGRP => put(pty.tty.foreground()),
            req::TIOCGSID => {
                let session = pty.tty.lock().session.ok_or(Errno::ENOTTY)?;
                put(session)
            }
            _ => pty.tty.common_ioctl(caller, request),
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.table.lock().remove(&self.pty.index);
        self.pty.tty.hang_up();
    }
}
