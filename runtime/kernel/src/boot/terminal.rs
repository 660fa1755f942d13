// SPDX-License-Identifier: MIT OR Apache-2.0
//! A terminal for a program that the host starts beside the first one: a pty of the
//! guest whose master is the host's, so the program finds it as `/dev/pts/N`.
//!
//! Dropping the master hangs up, as on Linux.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::termios::Winsize;

use super::Booted;
use crate::file::{Caller, OpenFile};
use crate::tty::console::{Console, HostScreen};
use crate::tty::pty::Master;
use crate::vfs::{FsCred, SetAttr};

/// The host's side of the pty; what is typed and shown goes through its console.
pub struct HostPty {
    console: Arc<Console>,
    master: Arc<Master>,
}

impl HostPty {
    /// What is typed, shown and resized.
    #[must_use]
    pub fn console(&self) -> &Arc<Console> {
        &self.console
    }

    /// Opens the program's side for `uid`.
    pub(super) fn open(&self, booted: &Booted, uid: u32) -> Result<Arc<OpenFile>, Errno> {
        let pty = self.master.pty();
        let cred = FsCred::root();
        let caller = Caller::kernel(&cred);
        let slave = pty.open_slave(&caller, OpenFlags::RDWR)?;
        let place = booted.kernel().files().pty_place(pty.tty().name());
        let owner = SetAttr {
            uid: Some(uid),
            ..SetAttr::default()
        };
        // A root without /dev/pts has no node that could have an owner.
        let _ = place.inode().set_attr(&owner);
        Ok(OpenFile::new(slave, place, OpenFlags::RDWR))
    }
}

impl Booted {
    /// Makes a pty that is shown on `screen`.
    ///
    /// # Errors
    /// `ENOSPC` when the guest has too many.
    pub fn open_pty(&self, screen: Arc<dyn HostScreen>, window: Winsize) -> Result<HostPty, Errno> {
        let master = self.kernel().files().ptys.open_pair()?;
        master.pty().unlock();
        let tty = Arc::clone(master.pty().tty());
        tty.set_window(window);
        Ok(HostPty {
            console: Console::over(tty, screen),
            master,
        })
    }
}
