// SPDX-License-Identifier: MIT OR Apache-2.0
//! The open file description: what `open` makes and `dup` and `fork` share.
//!
//! [`OpenFile`] holds the place it was opened at, the offset, the status flags
//! and the [`File`]. When the last reference goes, locks that belong to the
//! description are released. Locks: `pos` is held for the duration of one read
//! or write, as Linux's `f_pos_lock`; no other lock of this file is taken
//! inside it by the same object.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linux_abi::fcntl::OpenFlags;

use crate::file::{File, IoFlags};
use crate::gauge::{self, Counted};
use crate::vfs::Location;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An open file description.
pub struct OpenFile {
    file: Arc<dyn File>,
    location: Location,
    flags: AtomicU32,
    pos: Mutex<u64>,
    owner: AtomicI32,
    id: u64,
    _counted: Counted,
}

impl OpenFile {
    /// Describes `file`, opened at `location`.
    #[must_use]
    pub fn new(file: Arc<dyn File>, location: Location, flags: OpenFlags) -> Arc<Self> {
        let kept = flags
            - (OpenFlags::CREAT | OpenFlags::EXCL | OpenFlags::NOCTTY)
            - (OpenFlags::TRUNC | OpenFlags::CLOEXEC);
        Arc::new(Self {
            file,
            location,
            flags: AtomicU32::new(kept.bits()),
            pos: Mutex::new(0),
            owner: AtomicI32::new(0),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            _counted: gauge::OPEN_FILES.count(),
        })
    }

    /// The opened object.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Where it was opened.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The status flags and access mode.
    #[must_use]
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Changes the status flags that may change (`F_SETFL`).
    pub fn set_flags(&self, new: OpenFlags) {
        let old = self.flags();
        let merged = (old - OpenFlags::SETTABLE) | (new & OpenFlags::SETTABLE);
        self.flags.store(merged.bits(), Ordering::Relaxed);
        self.file.on_flags(merged);
    }

    /// Sets or clears `O_NONBLOCK` (`FIONBIO`).
    pub fn set_nonblocking(&self, on: bool) {
        let mut flags = self.flags();
        flags.set(OpenFlags::NONBLOCK, on);
        self.set_flags(flags);
    }

    /// Is this a mere handle (`O_PATH`)?
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }

    /// The offset, locked.
    pub fn lock_pos(&self) -> MutexGuard<'_, u64> {
        self.pos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The I/O flags that follow from the status flags.
    #[must_use]
    pub fn io_flags(&self) -> IoFlags {
        let flags = self.flags();
        let mut io = IoFlags::empty();
        io.set(IoFlags::APPEND, flags.contains(OpenFlags::APPEND));
        io.set(IoFlags::NONBLOCK, flags.contains(OpenFlags::NONBLOCK));
        io.set(IoFlags::PACKET, flags.contains(OpenFlags::DIRECT));
        io
    }

    /// A number that no other description ever has: owner of its locks.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Who gets `SIGIO`: a process, or a group when negative (`F_GETOWN`).
    #[must_use]
    pub fn sigio_owner(&self) -> i32 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Sets who gets `SIGIO` (`F_SETOWN`).
    pub fn set_sigio_owner(&self, owner: i32) {
        self.owner.store(owner, Ordering::Relaxed);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(locks) = self.location.inode().attachments().locks_if_any() {
            locks.release_description(self.id);
        }
    }
}
