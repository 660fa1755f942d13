// SPDX-License-Identifier: MIT OR Apache-2.0
//! State that the kernel keeps for a file, whatever its file system.
//!
//! Locks, watches, the pipe behind a fifo and the socket behind a socket node
//! hang on the inode, so that every name and every descriptor of the file meets
//! them. Each is made on first use; a file that nobody locks or watches pays a
//! few words.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::file::locks::FileLocks;
use crate::fs::inotify::Watches;
use crate::pipe::Pipe;

/// What the kernel attaches to an inode.
#[derive(Default)]
pub struct Attachments {
    locks: OnceLock<Arc<FileLocks>>,
    watches: OnceLock<Watches>,
    fifo: Mutex<Weak<Pipe>>,
    socket: Mutex<Option<Weak<dyn Any + Send + Sync>>>,
}

impl Attachments {
    /// The locks of the file.
    pub fn locks(&self) -> &Arc<FileLocks> {
        self.locks.get_or_init(Arc::default)
    }

    /// The locks, when somebody ever locked the file.
    pub fn locks_if_any(&self) -> Option<&Arc<FileLocks>> {
        self.locks.get()
    }

    /// The inotify watches of the file.
    pub fn watches(&self) -> &Watches {
        self.watches.get_or_init(Watches::default)
    }

    /// The watches, when somebody ever watched the file.
    pub fn watches_if_any(&self) -> Option<&Watches> {
        self.watches.get()
    }

    /// The pipe behind a fifo, the same for everybody who has it open.
    pub fn fifo(&self) -> Arc<Pipe> {
        let mut fifo = self.fifo.lock().unwrap_or_else(PoisonError::into_inner);
        fifo.upgrade().unwrap_or_else(|| {
            let pipe = Pipe::new();
            *fifo = Arc::downgrade(&pipe);
            pipe
        })
    }

    /// Makes an existing pipe the one behind the file.
    pub fn set_fifo(&self, pipe: &Arc<Pipe>) {
        *self.fifo.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(pipe);
    }

    /// Binds a socket to the file.
    pub fn set_socket(&self, socket: Weak<dyn Any + Send + Sync>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    /// The socket bound to the file, while it lives.
    pub fn socket(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()?
            .upgrade()
    }
}
