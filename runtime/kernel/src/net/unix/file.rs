// SPDX-License-Identifier: MIT OR Apache-2.0
//! A local socket as an open file, and what is left when it is closed.

use std::sync::{PoisonError, Weak};
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::poll::PollEvents;

use super::{Ancillary, PeerCred, SEND_BUFFER, SocketKind, UnixSocket};
use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, IoSource, Ioctl, OpenFile, put_ioctl};
use crate::wait::WaitQueue;

impl File for UnixSocket {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        if dst.remaining() == 0 && self.kind == SocketKind::Stream {
            return Ok(0);
        }
        Ok(self.try_receive(dst, false)?.len)
    }

    fn try_write(
        &self,
        caller: &Caller<'_>,
        src: &mut dyn IoSource,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let cred = PeerCred::of(caller);
        Ok(self.try_send(src, None, &Ancillary::default(), cred)?)
    }

    fn readiness(&self) -> PollEvents {
        let state = self.lock();
        let mut events = PollEvents::empty();
        events.set(PollEvents::ERR, state.error.is_some());
        let is_over = state.is_read_shut || (state.is_peer_gone && !self.is_datagram());
        let has_connection = state
            .backlog
            .as_ref()
            .is_some_and(|b| !b.waiting.is_empty());
        if !state.inbox.is_empty() || is_over || has_connection {
            events |= PollEvents::READABLE;
        }
        if is_over {
            events |= PollEvents::RDHUP;
        }
        let is_unconnected = !self.is_datagram() && !state.is_connected && state.backlog.is_none();
        if (is_over && state.is_write_shut)
            || (state.is_peer_gone && !self.is_datagram())
            || is_unconnected
        {
            events |= PollEvents::HUP;
        }
        let peer = state.peer.as_ref().and_then(Weak::upgrade);
        let is_listening = state.backlog.is_some();
        drop(state);
        let has_room = peer.is_none_or(|peer| peer.lock().inbox_bytes < SEND_BUFFER / 2);
        if has_room && !is_listening {
            events |= PollEvents::WRITABLE;
        }
        events
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.lock().timeouts.receive
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, request: Ioctl) -> SysResult<usize> {
        if request.request != linux_abi::ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let state = self.lock();
        let len = match self.kind {
            SocketKind::Stream => state.inbox_bytes,
            _ => state.inbox.front().map_or(0, |message| message.data.len()),
        };
        drop(state);
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        put_ioctl(caller, request.arg, &len.to_le_bytes())
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let kind = self.kind;
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let had_unread = !state.inbox.is_empty();
        let peer = state.peer.take().and_then(|peer| peer.upgrade());
        // Messages may be waiting to be sent here by others than the peer.
        self.queue.wake_all();
        let Some(peer) = peer else { return };
        if kind != SocketKind::Datagram {
            let mut theirs = peer.lock();
            theirs.is_peer_gone = true;
            theirs.is_write_shut = true;
            if had_unread {
                theirs.error = Some(Errno::ECONNRESET);
            }
        }
        peer.queue.wake_all();
    }
}
