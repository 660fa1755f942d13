// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who asks, and the permission check of `generic_permission`.
//!
//! The checks follow Linux 6.12 `fs/namei.c` (`acl_permission_check`,
//! `generic_permission`) without POSIX ACLs.

use std::sync::Arc;

use bitflags::bitflags;
use linux_abi::Errno;

use crate::vfs::{Attr, Kind};

/// The capabilities that files know; the value is the bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Change owners.
    Chown = 0,
    /// Ignore permissions.
    DacOverride = 1,
    /// Ignore permissions for reading and searching.
    DacReadSearch = 2,
    /// Act as the owner.
    Fowner = 3,
    /// Keep set-id bits.
    Fsetid = 4,
    /// Change the root directory.
    SysChroot = 18,
    /// Look into other processes.
    SysPtrace = 19,
    /// Mount, and much else.
    SysAdmin = 21,
    /// Exceed resource limits.
    SysResource = 24,
    /// Make device nodes.
    Mknod = 27,
    /// Set file capabilities.
    Setfcap = 31,
}

/// The identity that file access is checked against.
#[derive(Clone, Debug)]
pub struct FsCred {
    /// File system user id.
    pub uid: u32,
    /// File system group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Arc<[u32]>,
    /// Effective capabilities, one bit each.
    pub caps: u64,
}

impl FsCred {
    /// Root with every capability.
    #[must_use]
    pub fn root() -> Self {
        Self {
            uid: 0,
            gid: 0,
            groups: Arc::new([]),
            caps: u64::MAX,
        }
    }

    /// An ordinary user without capabilities.
    #[must_use]
    pub fn user(uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            groups: Arc::new([]),
            caps: 0,
        }
    }

    /// Is the capability effective?
    #[must_use]
    pub fn has(&self, cap: Capability) -> bool {
        self.caps & (1 << cap as u8) != 0
    }

    /// Is `gid` the group or a supplementary group?
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Owner of the file, or allowed to act as the owner?
    #[must_use]
    pub fn owns(&self, attr: &Attr) -> bool {
        self.uid == attr.uid || self.has(Capability::Fowner)
    }
}

bitflags! {
    /// What is to be done with a file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Access: u32 {
        /// Execute a file, search a directory.
        const EXEC = 1;
        /// Write.
        const WRITE = 2;
        /// Read.
        const READ = 4;
    }
}

/// May `cred` access a file with `attr` as `want` says?
///
/// # Errors
/// `EACCES` when not.
pub fn may_access(cred: &FsCred, attr: &Attr, want: Access) -> Result<(), Errno> {
    let class = if cred.uid == attr.uid {
        attr.perm >> 6
    } else if cred.in_group(attr.gid) {
        attr.perm >> 3
    } else {
        attr.perm
    };
    if want.bits() & !class & 7 == 0 {
        return Ok(());
    }
    let allowed = if attr.kind == Kind::Directory {
        cred.has(Capability::DacOverride)
            || (!want.contains(Access::WRITE) && cred.has(Capability::DacReadSearch))
    } else {
        let executable = !want.contains(Access::EXEC) || attr.perm & 0o111 != 0;
        (want == Access::READ && cred.has(Capability::DacReadSearch))
            || (executable && cred.has(Capability::DacOverride))
    };
    if allowed { Ok(()) } else { Err(Errno::EACCES) }
}

#[cfg(test)]
mod tests {
    use super::{Access, FsCred, may_access};
    use crate::vfs::{Attr, Kind, Timespec};

    fn attr(kind: Kind, perm: u32) -> Attr {
        let time = Timespec::default();
        Attr {
            kind,
            perm,
            ino: 1,
            dev: 1,
            nlink: 1,
            uid: 10,
            gid: 20,
            rdev: 0,
            size: 0,
            blocks: 0,
            blksize: 4096,
            atime: time,
            mtime: time,
            ctime: time,
            btime: None,
        }
    }

    #[test]
    fn owner_class_wins_even_when_it_allows_less_than_others() {
        let owner = FsCred::user(10, 20);
        assert!(may_access(&owner, &attr(Kind::Regular, 0o077), Access::READ).is_err());
        assert!(
            may_access(
                &FsCred::user(11, 21),
                &attr(Kind::Regular, 0o004),
                Access::READ
            )
            .is_ok()
        );
    }

    #[test]
    fn root_executes_only_what_somebody_may_execute() {
        let root = FsCred::root();
        assert!(may_access(&root, &attr(Kind::Regular, 0o644), Access::EXEC).is_err());
        assert!(may_access(&root, &attr(Kind::Regular, 0o001), Access::EXEC).is_ok());
        assert!(may_access(&root, &attr(Kind::Directory, 0o000), Access::EXEC).is_ok());
        assert!(may_access(&root, &attr(Kind::Regular, 0), Access::READ | Access::WRITE).is_ok());
    }
}
