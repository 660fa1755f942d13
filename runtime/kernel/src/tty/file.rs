// SPDX-License-Identifier: MIT OR Apache-2.0
//! A descriptor of a terminal: what `read`, `write`, `poll` and `ioctl` do.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::ioctl as req;
use linux_abi::poll::PollEvents;

use super::{Tty, pty};
use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Ioctl, OpenFile, get_ioctl, put_ioctl};
use crate::wait::WaitQueue;

/// A descriptor of a terminal.
pub struct TtyFile {
    tty: Arc<Tty>,
    _opened: pty::SlaveCount,
}

impl TtyFile {
    /// Opens the terminal; `opened` counts the descriptor.
    #[must_use]
    pub fn new(tty: Arc<Tty>, opened: pty::SlaveCount) -> Self {
        Self {
            tty,
            _opened: opened,
        }
    }

    /// The terminal.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl File for TtyFile {
    fn try_read(
        &self,
        caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        how: IoFlags,
    ) -> SysResult<usize> {
        self.tty.read(caller, dst, how.contains(IoFlags::EXPIRED))
    }

    fn try_write(
        &self,
        caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if src.remaining() == 0 {
            Ok(0)
        } else {
            self.tty.write(caller, src)
        }
    }

    fn readiness(&self) -> PollEvents {
        self.tty.readiness()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.queue)
    }

    fn read_timeout(&self) -> Option<std::time::Duration> {
        self.tty.lock().ldisc.read_timeout()
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, request: Ioctl) -> SysResult<usize> {
        let tty = &self.tty;
        if tty.lock().is_hung_up {
            return Err(Errno::EIO.into());
        }
        match request.request {
            req::TIOCGPGRP | req::TIOCSPGRP | req::TIOCGSID | req::TIOCSCTTY | req::TIOCNOTTY => {
                tty.job_ioctl(caller, request)
            }
            req::FIONREAD => {
                let len = i32::try_from(tty.lock().ldisc.readable_len()).unwrap_or(i32::MAX);
                put_ioctl(caller, request.arg, &len.to_le_bytes())
            }
            req::TIOCOUTQ => {
                let len = i32::try_from(tty.lock().output.len()).unwrap_or(i32::MAX);
                put_ioctl(caller, request.arg, &len.to_le_bytes())
            }
            req::TIOCSTI => {
                let may = caller.job().is_some_and(|job| tty.is_controlling(job));
                if !may && !caller.cred.has(crate::vfs::Capability::SysAdmin) {
                    return Err(Errno::EPERM.into());
                }
                let mut byte = [0];
                get_ioctl(caller, request.arg, &mut byte)?;
                tty.receive(&byte);
                Ok(0)
            }
            _ => tty.common_ioctl(caller, request),
        }
    }
}
