// SPDX-License-Identifier: MIT OR Apache-2.0
//! What travels between local sockets.

use std::sync::Arc;

use super::UnixName;
use crate::budget::Charge;
use crate::file::{Caller, OpenFile};

/// Who is at the other side (`struct ucred`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCred {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl PeerCred {
    /// The caller's own.
    #[must_use]
    pub fn of(caller: &Caller<'_>) -> Self {
        Self {
            pid: caller.process_id(),
            uid: caller.cred.uid,
            gid: caller.cred.gid,
        }
    }
}

/// What is sent besides bytes.
#[derive(Clone, Default)]
pub struct Ancillary {
    /// Descriptions to hand over (`SCM_RIGHTS`).
    pub files: Vec<Arc<OpenFile>>,
    /// Credentials given explicitly (`SCM_CREDENTIALS`).
    pub cred: Option<PeerCred>,
}

/// A message in an inbox.
pub struct Message {
    pub(super) data: Vec<u8>,
    pub(super) pos: usize,
    pub(super) files: Vec<Arc<OpenFile>>,
    pub(super) cred: PeerCred,
    pub(super) from: Option<UnixName>,
    pub(super) charge: Charge,
}

impl Message {
    /// May bytes of `next` be appended without anybody seeing the difference?
    pub(super) fn can_take(&self, next: &Self) -> bool {
        self.files.is_empty()
            && next.files.is_empty()
            && self.cred == next.cred
            && self.from == next.from
            && self.data.len() + next.data.len() <= 65536
    }
}

/// What was received.
#[derive(Default)]
pub struct Received {
    /// Bytes stored.
    pub len: usize,
    /// Bytes the message had: more than `len` when it was cut.
    pub total: usize,
    /// Descriptions handed over.
    pub files: Vec<Arc<OpenFile>>,
    /// The sender's credentials; `None` at end of file.
    pub cred: Option<PeerCred>,
    /// The sender's name.
    pub from: Option<UnixName>,
}
