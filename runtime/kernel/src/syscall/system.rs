// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system and its limits (`kernel/sys.c`, `drivers/char/random.c`,
//! Linux 6.12).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::capability::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE};
use linux_abi::resource::{
    RLIMIT_CPU, RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD, Rlimit, Rusage,
};
use linux_abi::system::{GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM, SysInfo, UTS_LEN, Utsname};
use linux_abi::time::{NSEC_PER_SEC, Timeval};

use super::args::UserPtr;
use super::identity::unsigned;
use crate::error::SysResult;
use crate::mm::{PAGE, UserAddr};
use crate::task::{Task, Usage};

/// `personality` that only asks.
const PER_QUERY: u32 = 0xffff_ffff;

pub(super) fn personality(task: &Arc<Task>, persona: u32) -> SysResult {
    let cell = &task.process().personality;
    let before = cell.load(Ordering::Relaxed);
    if persona != PER_QUERY {
        // PER_LINUX32 (8) asks for 32-bit programs, which this processor cannot run.
        if persona & 0xff == 8 {
            return Err(Errno::EINVAL.into());
        }
        cell.store(persona, Ordering::Relaxed);
    }
    Ok(unsigned(before))
}

fn field(text: &[u8]) -> [u8; UTS_LEN] {
    let mut field = [0; UTS_LEN];
    let len = text.len().min(UTS_LEN - 1);
    field[..len].copy_from_slice(&text[..len]);
    field
}

pub(super) fn uname(task: &Arc<Task>, name: UserPtr<Utsname>) -> SysResult {
    let uts = task.kernel().uts().lock().clone();
    let value = Utsname {
        sysname: field(b"Linux"),
        nodename: field(&uts.node),
        release: field(task.kernel().options().release.as_bytes()),
        version: field(crate::VERSION_TEXT.as_bytes()),
        machine: field(b"aarch64"),
        domainname: field(&uts.domain),
    };
    name.write(task, &value)?;
    Ok(0)
}

fn read_name(task: &Task, name: UserAddr, len: i32) -> Result<Vec<u8>, Errno> {
    if !task.creds().has_cap(CAP_SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len < UTS_LEN)
        .ok_or(Errno::EINVAL)?;
    let mut text = vec![0; len];
    task.copy_in(name, &mut text)?;
    Ok(text)
}

pub(super) fn sethostname(task: &Arc<Task>, name: UserAddr, len: i32) -> SysResult {
    let text = read_name(task, name, len)?;
    task.kernel().uts().lock().node = text;
    Ok(0)
}

pub(super) fn setdomainname(task: &Arc<Task>, name: UserAddr, len: i32) -> SysResult {
    let text = read_name(task, name, len)?;
    task.kernel().uts().lock().domain = text;
    Ok(0)
}

fn which(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn getrlimit(task: &Arc<Task>, number: u32, limit: UserPtr<Rlimit>) -> SysResult {
    let value = task.process().limits().get(which(number))?;
    limit.write(task, &value)?;
    Ok(0)
}

pub(super) fn setrlimit(task: &Arc<Task>, number: u32, limit: UserPtr<Rlimit>) -> SysResult {
    let new = limit.read(task)?;
    let may = task.creds().has_cap(CAP_SYS_RESOURCE);
    task.process().limits().set(which(number), new, may)?;
    Ok(0)
}

pub(super) fn prlimit64(
    task: &Arc<Task>,
    pid: i32,
    number: u32,
    new: UserPtr<Rlimit>,
    old: UserPtr<Rlimit>,
) -> SysResult {
    let new = new.non_null().map(|new| new.read(task)).transpose()?;
    let other = if pid == 0 || pid == task.tid() {
        Arc::clone(task)
    } else {
        let table = task.kernel().processes().lock();
        let other = table
            .task(pid)
            .or_else(|| table.get(pid)?.threads.values().next());
        Arc::clone(other.ok_or(Errno::ESRCH)?)
    };
    let (mine, theirs) = (task.creds(), other.creds());
    let is_same = |mine: crate::creds::IdSet, their: crate::creds::IdSet| {
        [their.real, their.effective, their.saved]
            .iter()
            .all(|&id| id == mine.real)
    };
    let is_own = other.pid() == task.pid();
    let matches = is_same(mine.uid, theirs.uid) && is_same(mine.gid, theirs.gid);
    if !is_own && !matches && !mine.has_cap(CAP_SYS_RESOURCE) {
        return Err(Errno::EPERM.into());
    }
    let limits = other.process().limits();
    let before = limits.get(which(number))?;
    if let Some(new) = new {
        limits.set(which(number), new, mine.has_cap(CAP_SYS_RESOURCE))?;
        if which(number) == RLIMIT_CPU {
            let process = other.process();
            process.timers.watch_limit(task.kernel(), process);
        }
    }
    old.write_if(task, &before)?;
    Ok(0)
}

/// Usage as programs read it.
#[must_use]
pub(super) fn rusage(usage: &Usage) -> Rusage {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Rusage {
        utime: Timeval::from_nanos(usage.user_ns),
        stime: Timeval::from_nanos(usage.system_ns),
        maxrss: signed(usage.peak_resident / 1024),
        minflt: signed(usage.minor_faults),
        majflt: signed(usage.major_faults),
        nvcsw: signed(usage.voluntary),
        nivcsw: signed(usage.involuntary),
        ..Rusage::default()
    }
}

pub(super) fn getrusage(task: &Arc<Task>, who: i32, usage: UserPtr<Rusage>) -> SysResult {
    let value = match who {
        RUSAGE_SELF => task.kernel().usage_of(task.pid()),
        RUSAGE_THREAD => task.usage(),
        RUSAGE_CHILDREN => {
            let table = task.kernel().processes().lock();
            table
                .get(task.pid())
                .map(|entry| entry.child_usage)
                .unwrap_or_default()
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    usage.write(task, &rusage(&value))?;
    Ok(0)
}

pub(super) fn sysinfo(task: &Arc<Task>, info: UserPtr<SysInfo>) -> SysResult {
    let kernel = task.kernel();
    let bytes = |frames: usize| u64::try_from(frames).unwrap_or(0) * PAGE;
    let total = bytes(kernel.machine().frames_total());
    let used = bytes(kernel.machine().frames_in_use());
    let procs = kernel.processes().lock().thread_count();
    let value = SysInfo {
        uptime: (kernel.clock().uptime_ns() / NSEC_PER_SEC).cast_signed(),
        totalram: total,
        freeram: total.saturating_sub(used),
        procs: u16::try_from(procs).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..SysInfo::default()
    };
    info.write(task, &value)?;
    Ok(0)
}

pub(super) fn getrandom(task: &Arc<Task>, buf: UserAddr, len: usize, flags: u32) -> SysResult {
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0
        || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE
    {
        return Err(Errno::EINVAL.into());
    }
    let memory = task.memory()?;
    let mut done = 0;
    let mut chunk = [0; 256];
    // One call gives at most 32 MiB - 1, as the kernel's generator does.
    let len = len.min((1 << 25) - 1);
    while done < len {
        let part = &mut chunk[..(len - done).min(256)];
        task.kernel().fill_random(part);
        let at = buf.offset(u64::try_from(done).unwrap_or(u64::MAX));
        let copied = memory.write_partial(at, part);
        done += copied;
        if copied < part.len() {
            break;
        }
    }
    if done == 0 && len > 0 {
        Err(Errno::EFAULT.into())
    } else {
        Ok(done)
    }
}
