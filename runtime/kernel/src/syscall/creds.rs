// SPDX-License-Identifier: MIT OR Apache-2.0
//! User and group ids, groups, capabilities (`kernel/sys.c`, `kernel/groups.c`,
//! `kernel/capability.c`, Linux 6.12).

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::capability::{
    CAP_SETGID, CapData, CapHeader, FULL_SET, VERSION_1, VERSION_2, VERSION_3,
};

use super::args::{UserPtr, low_word};
use super::identity::{optional_id, unsigned};
use crate::creds::Creds;
use crate::error::SysResult;
use crate::mm::UserAddr;
use crate::task::Task;

/// The most supplementary groups.
const NGROUPS_MAX: i32 = 65536;

pub(super) fn getuid(task: &Arc<Task>) -> SysResult {
    Ok(unsigned(task.creds().uid.real))
}

pub(super) fn geteuid(task: &Arc<Task>) -> SysResult {
    Ok(unsigned(task.creds().uid.effective))
}

pub(super) fn getgid(task: &Arc<Task>) -> SysResult {
    Ok(unsigned(task.creds().gid.real))
}

pub(super) fn getegid(task: &Arc<Task>) -> SysResult {
    Ok(unsigned(task.creds().gid.effective))
}

fn change(task: &Task, f: impl FnOnce(&Creds) -> Result<Creds, Errno>) -> SysResult {
    let old = task.creds();
    let new = f(&old)?;
    let uid = new.uid.real;
    if new.uid.effective != old.uid.effective || new.gid.effective != old.gid.effective {
        task.process()
            .dumpable
            .store(0, std::sync::atomic::Ordering::Relaxed);
    }
    task.set_creds(new);
    if let Some(entry) = task.kernel().processes().lock().get_mut(task.pid()) {
        entry.uid = uid;
    }
    Ok(0)
}

pub(super) fn setuid(task: &Arc<Task>, uid: u32) -> SysResult {
    change(task, |creds| creds.set_uid(uid))
}

pub(super) fn setgid(task: &Arc<Task>, gid: u32) -> SysResult {
    change(task, |creds| creds.set_gid(gid))
}

pub(super) fn setreuid(task: &Arc<Task>, real: u32, effective: u32) -> SysResult {
    change(task, |creds| {
        creds.set_reuid(optional_id(real), optional_id(effective))
    })
}

pub(super) fn setregid(task: &Arc<Task>, real: u32, effective: u32) -> SysResult {
    change(task, |creds| {
        creds.set_regid(optional_id(real), optional_id(effective))
    })
}

pub(super) fn setresuid(task: &Arc<Task>, real: u32, effective: u32, saved: u32) -> SysResult {
    change(task, |creds| {
        creds.set_resuid([real, effective, saved].map(optional_id))
    })
}

pub(super) fn setresgid(task: &Arc<Task>, real: u32, effective: u32, saved: u32) -> SysResult {
    change(task, |creds| {
        creds.set_resgid([real, effective, saved].map(optional_id))
    })
}

pub(super) fn getresuid(
    task: &Arc<Task>,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> SysResult {
    let ids = task.creds().uid;
    real.write(task, &ids.real)?;
    effective.write(task, &ids.effective)?;
    saved.write(task, &ids.saved)?;
    Ok(0)
}

pub(super) fn getresgid(
    task: &Arc<Task>,
    real: UserPtr<u32>,
    effective: UserPtr<u32>,
    saved: UserPtr<u32>,
) -> SysResult {
    let ids = task.creds().gid;
    real.write(task, &ids.real)?;
    effective.write(task, &ids.effective)?;
    saved.write(task, &ids.saved)?;
    Ok(0)
}

pub(super) fn setfsuid(task: &Arc<Task>, uid: u32) -> SysResult {
    let old = task.creds();
    task.set_creds(old.set_fsuid(uid));
    Ok(unsigned(old.uid.fs))
}

pub(super) fn setfsgid(task: &Arc<Task>, gid: u32) -> SysResult {
    let old = task.creds();
    task.set_creds(old.set_fsgid(gid));
    Ok(unsigned(old.gid.fs))
}

pub(super) fn getgroups(task: &Arc<Task>, count: i32, groups: UserPtr<u32>) -> SysResult {
    let creds = task.creds();
    let room = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let have = creds.groups.len();
    if room == 0 {
        return Ok(have);
    }
    if have > room {
        return Err(Errno::EINVAL.into());
    }
    for (index, group) in (0u64..).zip(creds.groups.iter()) {
        groups.at(index).write(task, group)?;
    }
    Ok(have)
}

pub(super) fn setgroups(task: &Arc<Task>, count: i32, groups: UserPtr<u32>) -> SysResult {
    let old = task.creds();
    if !old.has_cap(CAP_SETGID) {
        return Err(Errno::EPERM.into());
    }
    if !(0..=NGROUPS_MAX).contains(&count) {
        return Err(Errno::EINVAL.into());
    }
    let mut list = Vec::new();
    for index in 0..u64::from(count.cast_unsigned()) {
        list.push(groups.at(index).read(task)?);
    }
    list.sort_unstable();
    task.set_creds(Creds {
        groups: Arc::from(list),
        ..Creds::clone(&old)
    });
    Ok(0)
}

/// Checks the version; answers how many structures it has.
fn cap_structs(task: &Task, header: UserPtr<CapHeader>, head: &CapHeader) -> Result<usize, Errno> {
    match head.version {
        VERSION_1 => Ok(1),
        VERSION_2 | VERSION_3 => Ok(2),
        _ => {
            header.write(
                task,
                &CapHeader {
                    version: VERSION_3,
                    pid: head.pid,
                },
            )?;
            Err(Errno::EINVAL)
        }
    }
}

fn data_at(data: UserPtr<[CapData; 2]>, index: u64) -> UserPtr<CapData> {
    UserPtr::new(UserAddr(data.addr.0.wrapping_add(index * 12)))
}

pub(super) fn capget(
    task: &Arc<Task>,
    header: UserPtr<CapHeader>,
    data: UserPtr<[CapData; 2]>,
) -> SysResult {
    let head = header.read(task)?;
    let structs = match cap_structs(task, header, &head) {
        Err(Errno::EINVAL) if data.is_null() => return Ok(0),
        other => other?,
    };
    if head.pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let creds = if head.pid == 0 || head.pid == task.tid() {
        task.creds()
    } else {
        let table = task.kernel().processes().lock();
        let other = Arc::clone(table.task(head.pid).ok_or(Errno::ESRCH)?);
        drop(table);
        other.creds()
    };
    if data.is_null() {
        return Ok(0);
    }
    let caps = creds.caps;
    for index in 0..structs {
        let half = |set: u64| low_word(set >> (32 * index));
        let value = CapData {
            effective: half(caps.effective),
            permitted: half(caps.permitted),
            inheritable: half(caps.inheritable),
        };
        data_at(data, u64::try_from(index).unwrap_or(0)).write(task, &value)?;
    }
    Ok(0)
}

pub(super) fn capset(
    task: &Arc<Task>,
    header: UserPtr<CapHeader>,
    data: UserPtr<[CapData; 2]>,
) -> SysResult {
    let head = header.read(task)?;
    let structs = cap_structs(task, header, &head)?;
    if head.pid != 0 && head.pid != task.tid() {
        return Err(Errno::EPERM.into());
    }
    let (mut effective, mut permitted, mut inheritable) = (0, 0, 0);
    for index in 0..structs {
        let value = data_at(data, u64::try_from(index).unwrap_or(0)).read(task)?;
        effective |= u64::from(value.effective) << (32 * index);
        permitted |= u64::from(value.permitted) << (32 * index);
        inheritable |= u64::from(value.inheritable) << (32 * index);
    }
    change(task, |creds| {
        creds.set_caps(
            effective & FULL_SET,
            permitted & FULL_SET,
            inheritable & FULL_SET,
        )
    })
}
