// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes: birth, programs, death (`kernel/fork.c`, `fs/exec.c`,
//! `kernel/exit.c`, Linux 6.12). `prctl` is a table of its own in `prctl.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use linux_abi::Errno;
use linux_abi::fcntl::{AT_FDCWD, AtFlags};
use linux_abi::resource::Rusage;
use linux_abi::sched::{CLONE_ARGS_SIZE_VER0, CSIGNAL, CloneArgs, CloneFlags};
use linux_abi::signal::{SIGCHLD, SigInfo};
use linux_abi::wait::{P_ALL, P_PGID, P_PID, WaitOptions};
use zerocopy::{FromZeros, IntoBytes};

use super::args::{UserPath, UserPtr, low_word};
use super::identity::{number, process_of};
use super::system::rusage;
use crate::error::{RestartBlock, SysResult};
use crate::exec::{Args, MAX_ARG_LEN, open_location, open_program};
use crate::file::Fd;
use crate::mm::{TASK_SIZE, UserAddr};
use crate::task::{CloneRequest, ExecRequest, ExitStatus, Task, WaitRequest, WaitWho};

pub(super) use super::prctl::prctl;

pub(super) fn exit(task: &Arc<Task>, status: i32) -> SysResult {
    let [code, ..] = status.to_le_bytes();
    task.signals()
        .with_thread(task.tid(), |thread| thread.must_exit = true);
    task.set_exit_code(code);
    Ok(0)
}

pub(super) fn exit_group(task: &Arc<Task>, status: i32) -> SysResult {
    let [code, ..] = status.to_le_bytes();
    task.signals().start_group_exit(ExitStatus::Code(code));
    Ok(0)
}

pub(super) fn set_tid_address(task: &Arc<Task>, word: UserAddr) -> SysResult {
    task.clear_child_tid.store(word.0, Ordering::Relaxed);
    Ok(number(task.tid()))
}

pub(super) fn unshare(task: &Arc<Task>, flags: u64) -> SysResult {
    let flags = CloneFlags::from_bits_retain(flags);
    let known = CloneFlags::NAMESPACES
        | CloneFlags::FS
        | CloneFlags::FILES
        | CloneFlags::SYSVSEM
        | CloneFlags::THREAD
        | CloneFlags::SIGHAND
        | CloneFlags::VM;
    if !(flags - known).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    if flags.intersects(CloneFlags::NAMESPACES) {
        let may = task.creds().has_cap(linux_abi::capability::CAP_SYS_ADMIN);
        if may || flags.contains(CloneFlags::NEWUSER) {
            crate::refuse!(EINVAL, "there are no namespaces");
        }
        return Err(Errno::EPERM.into());
    }
    let shares_group = CloneFlags::THREAD | CloneFlags::SIGHAND | CloneFlags::VM;
    if flags.intersects(shares_group) {
        let table = task.kernel().processes().lock();
        if table
            .get(task.pid())
            .is_some_and(|entry| entry.threads.len() > 1)
        {
            return Err(Errno::EINVAL.into());
        }
    }
    if flags.contains(CloneFlags::FS) {
        task.unshare_fs()?;
    }
    if flags.contains(CloneFlags::FILES) {
        task.unshare_files()?;
    }
    Ok(0)
}

async fn spawn(task: &Arc<Task>, request: CloneRequest) -> SysResult {
    let child = task.clone_task(&request)?;
    let tid = child.tid();
    if request.flags.contains(CloneFlags::PIDFD) {
        let installed = super::pidfd::install(task, &child, UserAddr(request.pidfd));
        if let Err(errno) = installed {
            child.abandon();
            return Err(errno.into());
        }
    }
    Task::start_child(&child);
    if request.flags.contains(CloneFlags::VFORK) {
        task.wait_for_vfork(&child).await;
    }
    Ok(number(tid))
}

pub(super) async fn clone(
    task: &Arc<Task>,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    tls: u64,
    child_tid: u64,
) -> SysResult {
    let raw = u64::from(low_word(flags));
    let request = CloneRequest {
        flags: CloneFlags::from_bits_retain(raw & !CSIGNAL),
        exit_signal: super::identity::int(raw & CSIGNAL),
        stack,
        tls,
        parent_tid,
        child_tid,
        pidfd: parent_tid,
    };
    let wants_both = CloneFlags::PIDFD | CloneFlags::PARENT_SETTID;
    if request.flags.contains(wants_both) {
        return Err(Errno::EINVAL.into());
    }
    spawn(task, request).await
}

/// Reads a structure that may be older (shorter) or newer (longer) than ours.
fn read_clone_args(task: &Task, args: UserAddr, size: usize) -> Result<CloneArgs, Errno> {
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; size];
    task.copy_in(args, &mut bytes)?;
    let mut value = CloneArgs::new_zeroed();
    let known = size.min(size_of::<CloneArgs>());
    value.as_mut_bytes()[..known].copy_from_slice(&bytes[..known]);
    if bytes[known..].iter().any(|&byte| byte != 0) {
        Err(Errno::E2BIG)
    } else {
        Ok(value)
    }
}

pub(super) async fn clone3(task: &Arc<Task>, args: UserAddr, size: usize) -> SysResult {
    let args = read_clone_args(task, args, size)?;
    let flags = CloneFlags::from_bits_retain(args.flags);
    let is_known = (flags - CloneFlags::all()).is_empty()
        && !flags.intersects(CloneFlags::DETACHED)
        && args.flags & (CSIGNAL & !CloneFlags::NEWTIME.bits()) == 0;
    let is_signal = args.exit_signal <= 64;
    let has_stack = args.stack != 0 && args.stack_size != 0;
    let has_no_stack = args.stack == 0 && args.stack_size == 0;
    let no_signal = CloneFlags::THREAD | CloneFlags::PARENT;
    if !is_known
        || !is_signal
        || !(has_stack || has_no_stack)
        || (flags.intersects(no_signal) && args.exit_signal != 0)
    {
        return Err(Errno::EINVAL.into());
    }
    if has_stack
        && args
            .stack
            .checked_add(args.stack_size)
            .is_none_or(|end| end > TASK_SIZE)
    {
        return Err(Errno::EINVAL.into());
    }
    if args.set_tid_size != 0 || flags.contains(CloneFlags::INTO_CGROUP) {
        crate::refuse!(EINVAL, "set_tid and cgroups are not built in");
    }
    let request = CloneRequest {
        flags,
        exit_signal: super::identity::int(args.exit_signal),
        stack: args.stack + args.stack_size,
        tls: args.tls,
        parent_tid: args.parent_tid,
        child_tid: args.child_tid,
        pidfd: args.pidfd,
    };
    spawn(task, request).await
}

/// Reads a vector of strings that ends with a null pointer.
fn read_strings(task: &Task, vector: UserPtr<u64>) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings = Vec::new();
    let mut total = 0;
    if vector.is_null() {
        return Ok(strings);
    }
    for index in 0.. {
        let pointer = vector.at(index).read(task)?;
        if pointer == 0 {
            break;
        }
        let text = task
            .read_cstr(UserAddr(pointer), MAX_ARG_LEN)
            .map_err(|errno| match errno {
                Errno::ENAMETOOLONG => Errno::E2BIG,
                other => other,
            })?;
        total += text.len() + 9;
        // The exact limit is checked by the loader; this bounds what is copied.
        if total > 8 << 20 {
            return Err(Errno::E2BIG);
        }
        strings.push(text);
    }
    Ok(strings)
}

fn read_args(task: &Task, argv: UserPtr<u64>, envp: UserPtr<u64>) -> Result<Args, Errno> {
    let mut args = Args {
        argv: read_strings(task, argv)?,
        envp: read_strings(task, envp)?,
    };
    if args.argv.is_empty() {
        // Since Linux 5.18 no program starts without a name.
        args.argv.push(Vec::new());
    }
    Ok(args)
}

pub(super) async fn execve(
    task: &Arc<Task>,
    path: UserPath,
    argv: UserPtr<u64>,
    envp: UserPtr<u64>,
) -> SysResult {
    execveat(task, Fd(AT_FDCWD), path, argv, envp, 0).await
}

pub(super) async fn execveat(
    task: &Arc<Task>,
    dir: Fd,
    path: UserPath,
    argv: UserPtr<u64>,
    envp: UserPtr<u64>,
    flags: u32,
) -> SysResult {
    let flags = super::at::at_flags(flags, AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW)?;
    let path = path.read(task)?;
    let (file, name) = if path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        let open = task.files()?.get_any(dir)?;
        let file = task.as_caller(|caller| open_location(caller, open.location().clone()))?;
        (file, format!("/dev/fd/{}", dir.0).into_bytes())
    } else {
        let is_relative = !path.starts_with(b"/");
        let start = if dir.0 == AT_FDCWD || !is_relative {
            task.fs()?.cwd()
        } else {
            task.files()?.get_any(dir)?.location().clone()
        };
        let follows = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let file = open_program(task, start, &path, follows)?;
        let name = if dir.0 == AT_FDCWD || !is_relative {
            path
        } else {
            [format!("/dev/fd/{}/", dir.0).as_bytes(), &path].concat()
        };
        (file, name)
    };
    let args = read_args(task, argv, envp)?;
    task.execute(ExecRequest { file, name, args }).await
}

pub(super) async fn wait4(
    task: &Arc<Task>,
    pid: i32,
    status: UserPtr<i32>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult {
    let options = WaitOptions::from_bits_retain(options);
    let known = WaitOptions::all() - WaitOptions::EXITED - WaitOptions::NOWAIT;
    if !(options - known).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH.into());
    }
    let who = match pid {
        -1 => WaitWho::Any,
        0 => WaitWho::Group(own_group(task)?),
        pid if pid < 0 => WaitWho::Group(-pid),
        pid => WaitWho::Pid(pid),
    };
    let request = WaitRequest {
        who,
        options: options | WaitOptions::EXITED,
    };
    let Some(child) = task.wait_for_child(request).await? else {
        return Ok(0);
    };
    status.write_if(task, &child.status)?;
    usage.write_if(task, &rusage(&child.usage))?;
    Ok(number(child.pid))
}

fn own_group(task: &Task) -> Result<i32, Errno> {
    let pid = process_of(task, 0)?;
    let table = task.kernel().processes().lock();
    table.get(pid).map(|entry| entry.pgid).ok_or(Errno::ESRCH)
}

pub(super) async fn waitid(
    task: &Arc<Task>,
    which: i32,
    id: i32,
    info: UserPtr<SigInfo>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult {
    let options = WaitOptions::from_bits_retain(options);
    let events = WaitOptions::EXITED | WaitOptions::STOPPED | WaitOptions::CONTINUED;
    if !(options - WaitOptions::all()).is_empty() || !options.intersects(events) {
        return Err(Errno::EINVAL.into());
    }
    let who = match which {
        P_ALL => WaitWho::Any,
        P_PID if id > 0 => WaitWho::Pid(id),
        P_PGID if id == 0 => WaitWho::Group(own_group(task)?),
        P_PGID if id > 0 => WaitWho::Group(id),
        linux_abi::wait::P_PIDFD if id >= 0 => WaitWho::Pid(super::pidfd::target(task, Fd(id))?),
        _ => return Err(Errno::EINVAL.into()),
    };
    let child = task.wait_for_child(WaitRequest { who, options }).await?;
    let value = child.map_or(SigInfo::new(0, 0), |child| {
        SigInfo::new(SIGCHLD, child.code)
            .with_sender(child.pid, child.uid)
            .with_status(child.value)
    });
    if let (Some(child), false) = (child, usage.is_null()) {
        usage.write(task, &rusage(&child.usage))?;
    }
    info.write_if(task, &value)?;
    Ok(0)
}

/// Goes on with a call that a stop or an ignored signal interrupted.
pub(super) async fn restart_syscall(task: &Arc<Task>) -> SysResult {
    match task.take_restart_block() {
        Some(RestartBlock::Sleep {
            until_ns,
            remaining,
        }) => super::time::resume_sleep(task, until_ns, remaining).await,
        Some(RestartBlock::Futex {
            uaddr,
            val,
            bitset,
            is_private,
            until_ns,
        }) => {
            super::futex::resume_wait(task, UserAddr(uaddr), val, bitset, is_private, until_ns)
                .await
        }
        Some(RestartBlock::Poll { .. }) | None => Err(crate::error::SysErr::Interrupted(
            crate::error::Restart::Never,
        )),
    }
}
