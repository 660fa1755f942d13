// SPDX-License-Identifier: MIT OR Apache-2.0
//! Root, working directory and umask of a process (Linux `fs_struct`).
//!
//! Shared with `CLONE_FS`, copied by `fork`. One mutex, held for copies only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vfs::{Location, Namespace};

#[derive(Clone)]
struct State {
    root: Location,
    cwd: Location,
    umask: u32,
}

/// Where a process stands in the file tree.
pub struct FsContext {
    namespace: Arc<Namespace>,
    state: Mutex<State>,
}

impl FsContext {
    /// At the root of `namespace`, with the customary umask 022.
    #[must_use]
    pub fn new(namespace: Arc<Namespace>) -> Self {
        let root = namespace.root();
        let state = State {
            cwd: root.clone(),
            root,
            umask: 0o022,
        };
        Self {
            namespace,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy for a forked process.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.lock().clone();
        Self {
            namespace: self.namespace.clone(),
            state: Mutex::new(state),
        }
    }

    /// The mounts the process sees.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Where `/` leads.
    #[must_use]
    pub fn root(&self) -> Location {
        self.lock().root.clone()
    }

    /// The working directory.
    #[must_use]
    pub fn cwd(&self) -> Location {
        self.lock().cwd.clone()
    }

    /// Changes where `/` leads (`chroot`).
    pub fn set_root(&self, root: Location) {
        let old = std::mem::replace(&mut self.lock().root, root);
        drop(old);
    }

    /// Changes the working directory.
    pub fn set_cwd(&self, cwd: Location) {
        let old = std::mem::replace(&mut self.lock().cwd, cwd);
        drop(old);
    }

    /// Mode bits that new files do not get.
    #[must_use]
    pub fn umask(&self) -> u32 {
        self.lock().umask
    }

    /// Sets the umask and returns the old one.
    pub fn set_umask(&self, umask: u32) -> u32 {
        std::mem::replace(&mut self.lock().umask, umask & 0o777)
    }
}
