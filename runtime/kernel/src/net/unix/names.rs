// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of local sockets: paths, and the abstract name space.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use linux_abi::Errno;

use super::UnixSocket;

/// The name of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixName {
    /// The path given to `bind`.
    Path(Box<[u8]>),
    /// A name that is no file, without its leading zero.
    Abstract(Box<[u8]>),
}

/// The abstract name space.
#[derive(Default)]
pub struct UnixNames {
    sockets: Mutex<HashMap<Box<[u8]>, Weak<UnixSocket>>>,
}

impl UnixNames {
    /// Gives `socket` the abstract name `name`.
    ///
    /// # Errors
    /// `EADDRINUSE`.
    pub fn bind(&self, name: &[u8], socket: &Arc<UnixSocket>) -> Result<(), Errno> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|_, weak| weak.strong_count() > 0);
        if sockets.contains_key(name) {
            return Err(Errno::EADDRINUSE);
        }
        sockets.insert(name.into(), Arc::downgrade(socket));
        Ok(())
    }

    /// Gives `socket` a free name of five hexadecimal digits (autobind).
    ///
    /// # Errors
    /// `ENOSPC` when every name is used.
    pub fn bind_any(&self, socket: &Arc<UnixSocket>) -> Result<Box<[u8]>, Errno> {
        for number in 0..0x10_0000 {
            let name = format!("{number:05x}").into_bytes();
            if self.bind(&name, socket).is_ok() {
                return Ok(name.into());
            }
        }
        Err(Errno::ENOSPC)
    }

    /// The socket called `name`.
    ///
    /// # Errors
    /// `ECONNREFUSED`.
    pub fn lookup(&self, name: &[u8]) -> Result<Arc<UnixSocket>, Errno> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets
            .get(name)
            .and_then(Weak::upgrade)
            .ok_or(Errno::ECONNREFUSED)
    }
}
