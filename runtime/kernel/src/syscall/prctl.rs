// SPDX-License-Identifier: MIT OR Apache-2.0
//! `prctl` (`kernel/sys.c`, `security/commoncap.c`, Linux 6.12).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::capability::CAP_SETPCAP;
use linux_abi::prctl as abi;

use super::args::UserPtr;
use super::identity::{int, number, unsigned};
use crate::creds::Creds;
use crate::error::SysResult;
use crate::mm::UserAddr;
use crate::task::Task;

/// Default slack of timers, nanoseconds.
const DEFAULT_SLACK: u64 = 50_000;

pub(super) fn prctl(task: &Arc<Task>, option: i32, a: u64, b: u64, c: u64, d: u64) -> SysResult {
    let process = task.process();
    let flag = |value: u64| {
        if value <= 1 {
            Ok(value == 1)
        } else {
            Err(Errno::EINVAL)
        }
    };
    match option {
        abi::PR_SET_PDEATHSIG => {
            let signal = int(a);
            if a > 64 {
                return Err(Errno::EINVAL.into());
            }
            task.parent_death_signal.store(signal, Ordering::Relaxed);
            Ok(0)
        }
        abi::PR_GET_PDEATHSIG => {
            let signal = task.parent_death_signal.load(Ordering::Relaxed);
            UserPtr::new(UserAddr(a)).write(task, &signal)?;
            Ok(0)
        }
        abi::PR_GET_DUMPABLE => Ok(unsigned(process.dumpable.load(Ordering::Relaxed))),
        abi::PR_SET_DUMPABLE => {
            process
                .dumpable
                .store(u32::from(flag(a)?), Ordering::Relaxed);
            Ok(0)
        }
        abi::PR_SET_NAME => {
            // As much as is needed is read, and it need not be terminated.
            let mut name = task.memory()?.read_cstr(UserAddr(a), 16);
            if name == Err(Errno::ENAMETOOLONG) {
                let mut bytes = vec![0; 15];
                task.copy_in(UserAddr(a), &mut bytes)?;
                name = Ok(bytes);
            }
            task.set_name(&name?);
            Ok(0)
        }
        abi::PR_GET_NAME => {
            let mut name = task.name();
            name.resize(16, 0);
            task.copy_out(UserAddr(a), &name)?;
            Ok(0)
        }
        abi::PR_SET_TIMERSLACK => {
            task.scheduling.lock().timer_slack = if a == 0 { DEFAULT_SLACK } else { a };
            Ok(0)
        }
        abi::PR_GET_TIMERSLACK => {
            Ok(usize::try_from(task.scheduling.lock().timer_slack).unwrap_or(usize::MAX))
        }
        abi::PR_SET_CHILD_SUBREAPER | abi::PR_GET_CHILD_SUBREAPER => subreaper(task, option, a),
        abi::PR_GET_TID_ADDRESS => {
            let word = task.clear_child_tid.load(Ordering::Relaxed);
            UserPtr::new(UserAddr(a)).write(task, &word)?;
            Ok(0)
        }
        abi::PR_SET_THP_DISABLE => {
            if b != 0 || c != 0 || d != 0 {
                return Err(Errno::EINVAL.into());
            }
            process.thp_disable.store(a != 0, Ordering::Relaxed);
            Ok(0)
        }
        abi::PR_GET_THP_DISABLE => Ok(usize::from(process.thp_disable.load(Ordering::Relaxed))),
        abi::PR_GET_SECCOMP => Ok(0),
        _ => credentials(task, option, a, b, c, d),
    }
}

/// Whether orphans among the descendants become this process's children.
fn subreaper(task: &Arc<Task>, option: i32, a: u64) -> SysResult {
    let mut table = task.kernel().processes().lock();
    let entry = table.get_mut(task.pid());
    if option == abi::PR_SET_CHILD_SUBREAPER {
        if let Some(entry) = entry {
            entry.is_subreaper = a != 0;
        }
        return Ok(0);
    }
    let is_subreaper = entry.is_some_and(|entry| entry.is_subreaper);
    drop(table);
    UserPtr::new(UserAddr(a)).write(task, &i32::from(is_subreaper))?;
    Ok(0)
}

/// The options about capabilities.
fn credentials(task: &Arc<Task>, option: i32, a: u64, b: u64, c: u64, d: u64) -> SysResult {
    let creds = task.creds();
    let set = |change: &dyn Fn(&mut Creds)| {
        let mut new = Creds::clone(&creds);
        change(&mut new);
        task.set_creds(new);
        Ok(0)
    };
    match option {
        abi::PR_GET_KEEPCAPS => Ok(usize::from(creds.keep_caps)),
        abi::PR_SET_KEEPCAPS if a > 1 => Err(Errno::EINVAL.into()),
        abi::PR_SET_KEEPCAPS => set(&|new| new.keep_caps = a == 1),
        abi::PR_GET_SECUREBITS => Ok(unsigned(creds.securebits)),
        abi::PR_SET_SECUREBITS if !creds.has_cap(CAP_SETPCAP) => Err(Errno::EPERM.into()),
        abi::PR_SET_SECUREBITS => set(&|new| new.securebits = int(a).cast_unsigned()),
        abi::PR_CAPBSET_READ if !Creds::is_cap(a) => Err(Errno::EINVAL.into()),
        abi::PR_CAPBSET_READ => Ok(usize::from(creds.caps.bounding & (1 << a) != 0)),
        abi::PR_CAPBSET_DROP if !creds.has_cap(CAP_SETPCAP) => Err(Errno::EPERM.into()),
        abi::PR_CAPBSET_DROP if !Creds::is_cap(a) => Err(Errno::EINVAL.into()),
        abi::PR_CAPBSET_DROP => set(&|new| new.caps.bounding &= !(1 << a)),
        abi::PR_SET_NO_NEW_PRIVS if a != 1 || b != 0 || c != 0 || d != 0 => {
            Err(Errno::EINVAL.into())
        }
        abi::PR_SET_NO_NEW_PRIVS => set(&|new| new.no_new_privs = true),
        abi::PR_GET_NO_NEW_PRIVS => Ok(usize::from(creds.no_new_privs)),
        abi::PR_CAP_AMBIENT => ambient(task, &creds, a, b),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn ambient(task: &Arc<Task>, creds: &Creds, what: u64, cap: u64) -> SysResult {
    let mut new = creds.clone();
    if what == abi::PR_CAP_AMBIENT_CLEAR_ALL {
        new.caps.ambient = 0;
        task.set_creds(new);
        return Ok(number(0));
    }
    if !Creds::is_cap(cap) {
        return Err(Errno::EINVAL.into());
    }
    let bit = 1 << cap;
    match what {
        abi::PR_CAP_AMBIENT_IS_SET => return Ok(usize::from(creds.caps.ambient & bit != 0)),
        abi::PR_CAP_AMBIENT_RAISE => {
            if creds.caps.permitted & creds.caps.inheritable & bit == 0 {
                return Err(Errno::EPERM.into());
            }
            new.caps.ambient |= bit;
        }
        abi::PR_CAP_AMBIENT_LOWER => new.caps.ambient &= !bit,
        _ => return Err(Errno::EINVAL.into()),
    }
    task.set_creds(new);
    Ok(0)
}
