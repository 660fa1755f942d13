// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who a task is: user and group ids, capabilities.
//!
//! [`Creds`] never change: a task replaces its own. The rules are Linux 6.12's
//! `kernel/sys.c` and `security/commoncap.c`; capabilities are data here, root in
//! the guest is nobody on the host.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::{CAP_SETGID, CAP_SETPCAP, CAP_SETUID, FULL_SET, LAST_CAP};

use crate::vfs::FsCred;

/// The capabilities that go with the file-system user id (`CAP_FS_MASK`).
const FS_CAPS: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;

/// The three (four, for users) ids of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdSet {
    /// Who started it.
    pub real: u32,
    /// Whose rights it has.
    pub effective: u32,
    /// What it may become again.
    pub saved: u32,
    /// For access to files.
    pub fs: u32,
}

impl IdSet {
    /// All the same.
    #[must_use]
    pub const fn all(id: u32) -> Self {
        Self {
            real: id,
            effective: id,
            saved: id,
            fs: id,
        }
    }

    fn has(self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }
}

/// Capability sets, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapSets {
    /// In force.
    pub effective: u64,
    /// May be put in force.
    pub permitted: u64,
    /// Kept across `execve`.
    pub inheritable: u64,
    /// Upper limit of what `execve` gives.
    pub bounding: u64,
    /// Kept across `execve` of ordinary programs.
    pub ambient: u64,
}

/// The identity of a task.
#[derive(Clone, Debug)]
pub struct Creds {
    /// User ids.
    pub uid: IdSet,
    /// Group ids.
    pub gid: IdSet,
    /// Supplementary groups, sorted.
    pub groups: Arc<[u32]>,
    /// Capabilities.
    pub caps: CapSets,
    /// `PR_SET_KEEPCAPS`.
    pub keep_caps: bool,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// `PR_SET_SECUREBITS`.
    pub securebits: u32,
}

impl Creds {
    /// A login of `uid` and `gid`: root has every capability, others none.
    #[must_use]
    pub fn login(uid: u32, gid: u32, groups: &[u32]) -> Self {
        let held = if uid == 0 { FULL_SET } else { 0 };
        let mut groups = groups.to_vec();
        groups.sort_unstable();
        Self {
            uid: IdSet::all(uid),
            gid: IdSet::all(gid),
            groups: Arc::from(groups),
            caps: CapSets {
                effective: held,
                permitted: held,
                inheritable: 0,
                bounding: FULL_SET,
                ambient: 0,
            },
            keep_caps: false,
            no_new_privs: false,
            securebits: 0,
        }
    }

    /// Is a capability in force?
    #[must_use]
    pub const fn has_cap(&self, cap: u8) -> bool {
        self.caps.effective & (1 << cap) != 0
    }

    /// The identity for access to files.
    #[must_use]
    pub fn for_files(&self) -> FsCred {
        FsCred {
            uid: self.uid.fs,
            gid: self.gid.fs,
            groups: Arc::clone(&self.groups),
            caps: self.caps.effective,
        }
    }

    /// The identity that `access` checks with: the real one.
    #[must_use]
    pub fn for_access(&self) -> FsCred {
        let caps = if self.uid.real == 0 {
            self.caps.permitted
        } else {
            0
        };
        FsCred {
            uid: self.uid.real,
            gid: self.gid.real,
            groups: Arc::clone(&self.groups),
            caps,
        }
    }

    /// Is `gid` one of the task's groups?
    #[must_use]
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid.effective == gid || self.groups.binary_search(&gid).is_ok()
    }

    /// May it send signals to, or limit, a task of `other`?
    #[must_use]
    pub fn controls(&self, other: &Self, cap: u8) -> bool {
        let mine = [self.uid.effective, self.uid.real];
        mine.iter()
            .any(|id| *id == other.uid.saved || *id == other.uid.real)
            || self.has_cap(cap)
    }

    fn after_uid_change(mut self, old: &Self) -> Self {
        let had_root = [old.uid.real, old.uid.effective, old.uid.saved].contains(&0);
        let has_root = [self.uid.real, self.uid.effective, self.uid.saved].contains(&0);
        if had_root && !has_root && !self.keep_caps {
            self.caps.permitted = 0;
            self.caps.effective = 0;
            self.caps.ambient = 0;
        }
        if old.uid.effective == 0 && self.uid.effective != 0 {
            self.caps.effective = 0;
        }
        if old.uid.effective != 0 && self.uid.effective == 0 {
            self.caps.effective = self.caps.permitted;
        }
        self.uid.fs = self.uid.effective;
        self
    }

    /// `setuid`.
    ///
    /// # Errors
    /// `EINVAL` for -1, `EPERM`.
    pub fn set_uid(&self, uid: u32) -> Result<Self, Errno> {
        if uid == u32::MAX {
            return Err(Errno::EINVAL);
        }
        let mut new = self.clone();
        if self.has_cap(CAP_SETUID) {
            new.uid = IdSet::all(uid);
        } else if uid == self.uid.real || uid == self.uid.saved {
            new.uid.effective = uid;
        } else {
            return Err(Errno::EPERM);
        }
        Ok(new.after_uid_change(self))
    }

    /// `setgid`.
    ///
    /// # Errors
    /// `EINVAL` for -1, `EPERM`.
    pub fn set_gid(&self, gid: u32) -> Result<Self, Errno> {
        if gid == u32::MAX {
            return Err(Errno::EINVAL);
        }
        let mut new = self.clone();
        if self.has_cap(CAP_SETGID) {
            new.gid = IdSet::all(gid);
        } else if gid == self.gid.real || gid == self.gid.saved {
            new.gid.effective = gid;
        } else {
            return Err(Errno::EPERM);
        }
        new.gid.fs = new.gid.effective;
        Ok(new)
    }

    /// `setreuid`; `None` leaves an id alone.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_reuid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Self, Errno> {
        let ids = reids(self.uid, real, effective, self.has_cap(CAP_SETUID))?;
        Ok(Self {
            uid: ids,
            ..self.clone()
        }
        .after_uid_change(self))
    }

    /// `setregid`.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_regid(&self, real: Option<u32>, effective: Option<u32>) -> Result<Self, Errno> {
        let ids = reids(self.gid, real, effective, self.has_cap(CAP_SETGID))?;
        Ok(Self {
            gid: IdSet {
                fs: ids.effective,
                ..ids
            },
            ..self.clone()
        })
    }

    /// `setresuid`.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_resuid(&self, ids: [Option<u32>; 3]) -> Result<Self, Errno> {
        let uid = resids(self.uid, ids, self.has_cap(CAP_SETUID))?;
        Ok(Self {
            uid,
            ..self.clone()
        }
        .after_uid_change(self))
    }

    /// `setresgid`.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn set_resgid(&self, ids: [Option<u32>; 3]) -> Result<Self, Errno> {
        let gid = resids(self.gid, ids, self.has_cap(CAP_SETGID))?;
        Ok(Self {
            gid: IdSet {
                fs: gid.effective,
                ..gid
            },
            ..self.clone()
        })
    }

    /// `setfsuid`: never fails, only does nothing.
    #[must_use]
    pub fn set_fsuid(&self, uid: u32) -> Self {
        let mut new = self.clone();
        if uid != u32::MAX && (self.uid.has(uid) || uid == self.uid.fs || self.has_cap(CAP_SETUID))
        {
            new.uid.fs = uid;
            if self.uid.fs == 0 && uid != 0 {
                new.caps.effective &= !FS_CAPS;
            }
            if self.uid.fs != 0 && uid == 0 {
                new.caps.effective |= self.caps.permitted & FS_CAPS;
            }
        }
        new
    }

    /// `setfsgid`.
    #[must_use]
    pub fn set_fsgid(&self, gid: u32) -> Self {
        let mut new = self.clone();
        if gid != u32::MAX && (self.gid.has(gid) || gid == self.gid.fs || self.has_cap(CAP_SETGID))
        {
            new.gid.fs = gid;
        }
        new
    }

    /// `capset`.
    ///
    /// # Errors
    /// `EPERM` when a set would grow beyond what the rules allow.
    pub fn set_caps(
        &self,
        effective: u64,
        permitted: u64,
        inheritable: u64,
    ) -> Result<Self, Errno> {
        let old = &self.caps;
        let inheritable_limit = if self.has_cap(CAP_SETPCAP) {
            old.inheritable | old.bounding
        } else {
            old.inheritable | old.permitted
        };
        let inheritable_limit = inheritable_limit & (old.inheritable | old.bounding);
        if inheritable & !inheritable_limit != 0
            || permitted & !old.permitted != 0
            || effective & !permitted != 0
        {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        let ambient = old.ambient & permitted & inheritable;
        new.caps = CapSets {
            effective,
            permitted,
            inheritable,
            ambient,
            ..*old
        };
        Ok(new)
    }

    /// What `execve` of a program makes of it. `owner` is the owner of a set-id file.
    #[must_use]
    pub fn after_exec(&self, set_uid: Option<u32>, set_gid: Option<u32>) -> Self {
        let mut new = self.clone();
        if !self.no_new_privs {
            if let Some(uid) = set_uid {
                new.uid.effective = uid;
            }
            if let Some(gid) = set_gid {
                new.gid.effective = gid;
            }
        }
        (new.uid.saved, new.uid.fs) = (new.uid.effective, new.uid.effective);
        (new.gid.saved, new.gid.fs) = (new.gid.effective, new.gid.effective);
        new.keep_caps = false;
        let is_set_id =
            new.uid.effective != self.uid.effective || new.gid.effective != self.gid.effective;
        let ambient = if is_set_id { 0 } else { self.caps.ambient };
        let is_root = new.uid.effective == 0 || new.uid.real == 0;
        let permitted = if is_root {
            self.caps.inheritable | self.caps.bounding
        } else {
            ambient
        };
        new.caps.permitted = permitted;
        new.caps.effective = if new.uid.effective == 0 {
            permitted
        } else {
            ambient
        };
        new.caps.ambient = ambient;
        new
    }

    /// Did the ids or rights grow, so that the program must not trust its
    /// environment (`AT_SECURE`)?
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.uid.real != self.uid.effective || self.gid.real != self.gid.effective
    }

    /// Is the number that of a capability?
    #[must_use]
    pub const fn is_cap(number: u64) -> bool {
        number <= LAST_CAP as u64
    }
}

fn reids(
    old: IdSet,
    real: Option<u32>,
    effective: Option<u32>,
    is_privileged: bool,
) -> Result<IdSet, Errno> {
    let mut new = old;
    if let Some(id) = real {
        if !is_privileged && id != old.real && id != old.effective {
            return Err(Errno::EPERM);
        }
        new.real = id;
    }
    if let Some(id) = effective {
        if !is_privileged && !old.has(id) {
            return Err(Errno::EPERM);
        }
        new.effective = id;
    }
    if real.is_some() || effective.is_some_and(|id| id != old.real) {
        new.saved = new.effective;
    }
    new.fs = new.effective;
    Ok(new)
}

fn resids(old: IdSet, ids: [Option<u32>; 3], is_privileged: bool) -> Result<IdSet, Errno> {
    if !is_privileged && ids.iter().flatten().any(|&id| !old.has(id)) {
        return Err(Errno::EPERM);
    }
    let [real, effective, saved] = ids;
    let effective = effective.unwrap_or(old.effective);
    Ok(IdSet {
        real: real.unwrap_or(old.real),
        effective,
        saved: saved.unwrap_or(old.saved),
        fs: effective,
    })
}

#[cfg(test)]
mod tests {
    use linux_abi::Errno;

    use super::Creds;

    #[test]
    fn root_that_leaves_root_loses_its_capabilities() {
        let user = Creds::login(0, 0, &[]).set_uid(1000).unwrap();
        assert_eq!((user.caps.effective, user.caps.permitted), (0, 0));
        assert_eq!(user.set_uid(0).unwrap_err(), Errno::EPERM);
    }

    #[test]
    fn temporary_drop_keeps_permitted() {
        let root = Creds::login(0, 0, &[]);
        let dropped = root.set_resuid([None, Some(1000), None]).unwrap();
        assert_eq!(dropped.caps.effective, 0);
        let back = dropped.set_resuid([None, Some(0), None]).unwrap();
        assert_eq!(back.caps.effective, root.caps.effective);
    }

    #[test]
    fn set_id_program_changes_the_effective_user_only() {
        let user = Creds::login(1000, 1000, &[]).after_exec(Some(0), None);
        assert_eq!(
            (user.uid.real, user.uid.effective, user.uid.saved),
            (1000, 0, 0)
        );
        assert!(user.is_secure());
        assert_ne!(user.caps.effective, 0);
    }

    #[test]
    fn no_new_privs_ignores_set_id() {
        let mut user = Creds::login(1000, 1000, &[]);
        user.no_new_privs = true;
        assert_eq!(user.after_exec(Some(0), None).uid.effective, 1000);
    }
}
