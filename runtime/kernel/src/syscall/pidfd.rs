// SPDX-License-Identifier: MIT OR Apache-2.0
//! `pidfd_open`, `pidfd_send_signal` and the pidfds of `clone` and `waitid`.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::signal::{SI_TKILL, SI_USER, SigInfo};

use super::args::UserPtr;
use super::identity::number;
use crate::error::SysResult;
use crate::file::Fd;
use crate::fs::virtual_fs::VirtualNode;
use crate::mm::UserAddr;
use crate::pidfd::PidFile;
use crate::signal::is_signal;
use crate::task::{Process, Task};

fn open(task: &Task, process: Arc<Process>, flags: OpenFlags) -> Result<Fd, Errno> {
    let file = PidFile::new(Arc::clone(task.kernel()), process);
    let open = task
        .kernel()
        .files()
        .open_anonymous("[pidfd]", Arc::new(file), flags);
    let limit = task.process().limits().descriptors();
    task.files()?.install(open, true, 0, limit)
}

pub(super) fn pidfd_open(task: &Arc<Task>, pid: i32, flags: u32) -> SysResult {
    let flags = OpenFlags::from_bits_retain(flags);
    if !(flags - OpenFlags::NONBLOCK).is_empty() || pid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let table = task.kernel().processes().lock();
    let process = match table.get(pid) {
        Some(entry) => Arc::clone(&entry.process),
        // A thread that is no leader has no pidfd without `PIDFD_THREAD`.
        None if table.task(pid).is_some() => return Err(Errno::ENOENT.into()),
        None => return Err(Errno::ESRCH.into()),
    };
    drop(table);
    let Fd(fd) = open(task, process, flags)?;
    Ok(number(fd))
}

/// Gives `task` a pidfd of `child` and writes its number to `at`.
pub(super) fn install(task: &Task, child: &Task, at: UserAddr) -> Result<(), Errno> {
    let fd = open(task, Arc::clone(child.process()), OpenFlags::empty())?;
    task.write_value(at, &fd.0).inspect_err(|_| {
        let closed = task.files().and_then(|files| files.remove(fd));
        drop(closed);
    })
}

fn process_of(task: &Task, fd: Fd) -> Result<Arc<Process>, Errno> {
    let open = task.files()?.get(fd)?;
    let file: &dyn crate::file::File = &**open.file();
    file.downcast::<PidFile>()
        .map(|file| Arc::clone(file.process()))
        .ok_or(Errno::EBADF)
}

/// The process that a pidfd names, for `waitid`.
pub(super) fn target(task: &Task, fd: Fd) -> Result<i32, Errno> {
    Ok(process_of(task, fd)?.pid())
}

/// The process to signal: besides a pidfd, its directory of `/proc` names it (Linux
/// 6.12 `tgid_pidfd_to_pid`).
fn process_to_signal(task: &Task, fd: Fd) -> Result<Arc<Process>, Errno> {
    let open = task.files()?.get_any(fd)?;
    let node = open.location().inode().downcast::<VirtualNode>();
    match node.and_then(VirtualNode::process) {
        Some(process) => process.upgrade().ok_or(Errno::ESRCH),
        None => process_of(task, fd),
    }
}

pub(super) fn pidfd_send_signal(
    task: &Arc<Task>,
    pidfd: Fd,
    signal: i32,
    info: UserPtr<SigInfo>,
    flags: u32,
) -> SysResult {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let process = process_to_signal(task, pidfd)?;
    let info = match info.non_null() {
        None => SigInfo::new(signal, SI_USER).with_sender(task.pid(), task.creds().uid.real),
        Some(info) => {
            let info = info.read(task)?;
            if info.signo != signal {
                return Err(Errno::EINVAL.into());
            }
            let is_forged = info.code >= 0 || info.code == SI_TKILL;
            if is_forged && process.pid() != task.pid() {
                return Err(Errno::EPERM.into());
            }
            info
        }
    };
    if signal != 0 && !is_signal(signal) {
        return Err(Errno::EINVAL.into());
    }
    let is_current = {
        let table = task.kernel().processes().lock();
        table
            .get(process.pid())
            .is_some_and(|entry| Arc::ptr_eq(&entry.process, &process))
    };
    if !is_current {
        return Err(Errno::ESRCH.into());
    }
    super::signal::send_to_process(task, &process, info)?;
    Ok(0)
}
