// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking what was received out of a socket's inbox.

use linux_abi::Errno;

use super::{Received, State};
use crate::file::IoSink;

impl State {
    pub(super) fn take_bytes(
        &mut self,
        dst: &mut dyn IoSink,
        peek: bool,
    ) -> Result<Received, Errno> {
        let mut received = Received::default();
        let mut index = 0;
        while dst.remaining() > 0 {
            let Some(message) = self.inbox.get_mut(index) else {
                break;
            };
            // Descriptors belong to the first byte of their message, and a read
            // never crosses into a message with others.
            let is_first = received.len == 0;
            if !is_first && (!message.files.is_empty() || received.cred != Some(message.cred)) {
                break;
            }
            let rest = &message.data[message.pos..];
            let taken = match dst.put(&rest[..rest.len().min(dst.remaining())]) {
                Ok(n) => n,
                Err(error) if is_first => return Err(error),
                Err(_) => break,
            };
            if is_first {
                received.cred = Some(message.cred);
                received.from.clone_from(&message.from);
                received.files = if peek {
                    message.files.clone()
                } else {
                    std::mem::take(&mut message.files)
                };
            }
            received.len += taken;
            let is_done = message.pos + taken == message.data.len();
            if peek {
                index += 1;
            } else {
                message.pos += taken;
                self.inbox_bytes -= taken;
                if is_done {
                    self.inbox.pop_front();
                }
            }
            if !is_done || !received.files.is_empty() {
                break;
            }
        }
        received.total = received.len;
        Ok(received)
    }

    pub(super) fn take_message(
        &mut self,
        dst: &mut dyn IoSink,
        peek: bool,
    ) -> Result<Received, Errno> {
        let message = self.inbox.front().ok_or(Errno::EAGAIN)?;
        let total = message.data.len();
        let len = total.min(dst.remaining());
        if len > 0 {
            dst.put(&message.data[..len])?;
        }
        let received = Received {
            len,
            total,
            files: message.files.clone(),
            cred: Some(message.cred),
            from: message.from.clone(),
        };
        if !peek {
            self.inbox.pop_front();
            self.inbox_bytes -= total;
        }
        Ok(received)
    }
}
