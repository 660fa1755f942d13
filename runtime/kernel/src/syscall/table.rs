// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system calls, in number order.
//!
//! A row makes the dispatch, the `--strace` line and the row of
//! `docs/compatibility.md`. `sync` handlers are functions, `async` ones may wait.
//! A note in brackets says what is missing.

use std::sync::Arc;

use linux_abi::Errno;

use super::args::{FromArg, UserPath, UserPtr, UserStr};
use super::{
    Call, Outcome, attr, copy, creds, dirs, epoll, events, fcntl, futex, identity, ioprio, link,
    membarrier, memory, message, mount, open, pidfd, poll, process, process_vm, rw, sched, signal,
    socket, sockopt, stat, system, time, timer, xattr,
};
use crate::file::Fd;
use crate::mm::UserAddr;
use crate::task::Task;

/// A row of the table, for the compatibility document.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Number.
    pub nr: u16,
    /// Name.
    pub name: &'static str,
    /// What is missing, if anything.
    pub missing: Option<&'static str>,
}

macro_rules! run {
    (sync $task:ident $handler:path, $($arg:ident)*) => {
        Outcome::Done($handler($task $(, $arg)*))
    };
    (async $task:ident $handler:path, $($arg:ident)*) => {{
        let task = Arc::clone($task);
        Outcome::Later(Box::pin(async move { $handler(&task $(, $arg)*).await }))
    }};
}

macro_rules! missing {
    () => {
        None
    };
    ($note:literal) => {
        Some($note)
    };
}

macro_rules! syscalls {
    ($(
        $nr:literal $name:ident ( $($arg:ident : $ty:ty),* $(,)? )
            => $mode:ident $handler:path $([partial: $note:literal])? ;
    )*) => {
        /// Starts a system call.
        pub fn dispatch(task: &Arc<Task>, call: &Call) -> Outcome {
            task.kernel().note_call();
            match call.nr {
                $($nr => {
                    let mut _raw = call.args.into_iter();
                    $(let $arg = <$ty as FromArg>::from_arg(_raw.next().unwrap_or(0));)*
                    run!($mode task $handler, $($arg)*)
                })*
                _ => Outcome::Done(Err(Errno::ENOSYS.into())),
            }
        }

        /// Shows a system call as `strace` does; `None` when it is not in the table.
        #[must_use]
        pub fn describe(task: &Task, call: &Call) -> Option<String> {
            let mut out = String::new();
            match call.nr {
                $($nr => {
                    out.push_str(concat!(stringify!($name), "("));
                    let mut _raw = call.args.into_iter();
                    $(
                        let _ = stringify!($arg);
                        <$ty as FromArg>::show(task, _raw.next().unwrap_or(0), &mut out);
                        out.push_str(", ");
                    )*
                })*
                _ => return None,
            }
            if out.ends_with(", ") {
                out.truncate(out.len() - 2);
            }
            out.push(')');
            Some(out)
        }

        /// Every system call of the table.
        pub const COMPATIBILITY: &[Row] = &[
            $(Row { nr: $nr, name: stringify!($name), missing: missing!($($note)?) },)*
        ];
    };
}

syscalls! {
    5 setxattr(path: UserPath, name: UserAddr, value: UserAddr, size: usize, flags: u32) => sync xattr::setxattr;
    6 lsetxattr(path: UserPath, name: UserAddr, value: UserAddr, size: usize, flags: u32) => sync xattr::lsetxattr;
    7 fsetxattr(fd: Fd, name: UserAddr, value: UserAddr, size: usize, flags: u32) => sync xattr::fsetxattr;
    8 getxattr(path: UserPath, name: UserAddr, value: UserAddr, size: usize) => sync xattr::getxattr;
    9 lgetxattr(path: UserPath, name: UserAddr, value: UserAddr, size: usize) => sync xattr::lgetxattr;
    10 fgetxattr(fd: Fd, name: UserAddr, value: UserAddr, size: usize) => sync xattr::fgetxattr;
    11 listxattr(path: UserPath, names: UserAddr, size: usize) => sync xattr::listxattr;
    12 llistxattr(path: UserPath, names: UserAddr, size: usize) => sync xattr::llistxattr;
    13 flistxattr(fd: Fd, names: UserAddr, size: usize) => sync xattr::flistxattr;
    14 removexattr(path: UserPath, name: UserAddr) => sync xattr::removexattr;
    15 lremovexattr(path: UserPath, name: UserAddr) => sync xattr::lremovexattr;
    16 fremovexattr(fd: Fd, name: UserAddr) => sync xattr::fremovexattr;
    17 getcwd(addr: UserAddr, len: usize) => sync dirs::getcwd;
    19 eventfd2(count: u32, flags: u32) => sync events::eventfd2;
    20 epoll_create1(flags: u32) => sync epoll::epoll_create1;
    21 epoll_ctl(epfd: Fd, op: u32, fd: Fd, event: UserPtr<linux_abi::poll::EpollEvent>) => sync epoll::epoll_ctl;
    22 epoll_pwait(epfd: Fd, events: UserPtr<linux_abi::poll::EpollEvent>, max: i32, timeout: i32, mask: UserPtr<u64>, size: usize) => async epoll::epoll_pwait;
    23 dup(fd: Fd) => sync fcntl::dup;
    24 dup3(old: Fd, new: Fd, flags: u32) => sync fcntl::dup3;
    25 fcntl(fd: Fd, command: u32, arg: u64) => async fcntl::fcntl;
    26 inotify_init1(flags: u32) => sync events::inotify_init1;
    27 inotify_add_watch(fd: Fd, path: UserPath, mask: u32) => sync events::inotify_add_watch;
    28 inotify_rm_watch(fd: Fd, wd: i32) => sync events::inotify_rm_watch;
    29 ioctl(fd: Fd, request: u32, arg: u64) => sync fcntl::ioctl;
    30 ioprio_set(which: i32, who: i32, priority: i32) => sync ioprio::ioprio_set;
    31 ioprio_get(which: i32, who: i32) => sync ioprio::ioprio_get;
    32 flock(fd: Fd, operation: u32) => async fcntl::flock;
    33 mknodat(dirfd: Fd, path: UserPath, mode: u32, dev: u32) => sync link::mknodat;
    34 mkdirat(dirfd: Fd, path: UserPath, mode: u32) => sync link::mkdirat;
    35 unlinkat(dirfd: Fd, path: UserPath, flags: u32) => sync link::unlinkat;
    36 symlinkat(target: UserPath, dirfd: Fd, path: UserPath) => sync link::symlinkat;
    37 linkat(old_fd: Fd, old_path: UserPath, new_fd: Fd, new_path: UserPath, flags: u32) => sync link::linkat;
    38 renameat(old_fd: Fd, old_path: UserPath, new_fd: Fd, new_path: UserPath) => sync link::renameat;
    39 umount2(target: UserPath, flags: u32) => sync mount::umount2;
    40 mount(source: UserStr, target: UserPath, kind: UserStr, flags: u64, data: UserAddr) => sync mount::mount;
    43 statfs(path: UserPath, buf: UserAddr) => sync stat::statfs;
    44 fstatfs(fd: Fd, buf: UserAddr) => sync stat::fstatfs;
    45 truncate(path: UserPath, size: i64) => sync attr::truncate;
    46 ftruncate(fd: Fd, size: i64) => sync attr::ftruncate;
    47 fallocate(fd: Fd, mode: u32, offset: i64, len: i64) => sync attr::fallocate;
    48 faccessat(dirfd: Fd, path: UserPath, mode: u32) => sync attr::faccessat;
    49 chdir(path: UserPath) => sync dirs::chdir;
    50 fchdir(fd: Fd) => sync dirs::fchdir;
    51 chroot(path: UserPath) => sync dirs::chroot;
    52 fchmod(fd: Fd, mode: u32) => sync attr::fchmod;
    53 fchmodat(dirfd: Fd, path: UserPath, mode: u32) => sync attr::fchmodat;
    54 fchownat(dirfd: Fd, path: UserPath, uid: u32, gid: u32, flags: u32) => sync attr::fchownat;
    55 fchown(fd: Fd, uid: u32, gid: u32) => sync attr::fchown;
    56 openat(dirfd: Fd, path: UserPath, flags: u32, mode: u32) => async open::openat;
    57 close(fd: Fd) => sync open::close;
    59 pipe2(fds: UserAddr, flags: u32) => sync open::pipe2;
    61 getdents64(fd: Fd, addr: UserAddr, len: u32) => sync dirs::getdents64;
    62 lseek(fd: Fd, offset: i64, whence: u32) => sync rw::lseek;
    63 read(fd: Fd, addr: UserAddr, len: usize) => async rw::read;
    64 write(fd: Fd, addr: UserAddr, len: usize) => async rw::write;
    65 readv(fd: Fd, iov: UserAddr, count: usize) => async rw::readv;
    66 writev(fd: Fd, iov: UserAddr, count: usize) => async rw::writev;
    67 pread64(fd: Fd, addr: UserAddr, len: usize, offset: i64) => async rw::pread64;
    68 pwrite64(fd: Fd, addr: UserAddr, len: usize, offset: i64) => async rw::pwrite64;
    69 preadv(fd: Fd, iov: UserAddr, count: usize, offset: i64) => async rw::preadv;
    70 pwritev(fd: Fd, iov: UserAddr, count: usize, offset: i64) => async rw::pwritev;
    71 sendfile(out: Fd, input: Fd, offset: UserPtr<i64>, count: usize) => async copy::sendfile;
    72 pselect6(count: i32, reads: UserAddr, writes: UserAddr, excepts: UserAddr, timeout: UserPtr<linux_abi::time::Timespec>, mask: UserPtr<[u64; 2]>) => async poll::pselect6;
    73 ppoll(fds: UserPtr<linux_abi::poll::PollFd>, count: u32, timeout: UserPtr<linux_abi::time::Timespec>, mask: UserPtr<u64>, size: usize) => async poll::ppoll;
    74 signalfd4(fd: Fd, mask: UserPtr<u64>, size: usize, flags: u32) => sync events::signalfd4;
    75 vmsplice(fd: Fd, iov: UserAddr, count: usize, flags: u32) => async copy::vmsplice;
    76 splice(input: Fd, in_offset: UserPtr<i64>, out: Fd, out_offset: UserPtr<i64>, len: usize, flags: u32) => async copy::splice;
    77 tee(input: Fd, out: Fd, len: usize, flags: u32) => async copy::tee;
    78 readlinkat(dirfd: Fd, path: UserPath, buf: UserAddr, len: i32) => sync stat::readlinkat;
    79 newfstatat(dirfd: Fd, path: UserPath, buf: UserAddr, flags: u32) => sync stat::newfstatat;
    80 fstat(fd: Fd, buf: UserAddr) => sync stat::fstat;
    81 sync() => sync copy::sync;
    82 fsync(fd: Fd) => sync copy::fsync;
    83 fdatasync(fd: Fd) => sync copy::fdatasync;
    84 sync_file_range(fd: Fd, offset: i64, len: i64, flags: u32) => sync copy::sync_file_range;
    85 timerfd_create(clock: i32, flags: u32) => sync events::timerfd_create;
    86 timerfd_settime(fd: Fd, flags: u32, new: UserPtr<linux_abi::time::Itimerspec>, old: UserPtr<linux_abi::time::Itimerspec>) => sync events::timerfd_settime;
    87 timerfd_gettime(fd: Fd, now: UserPtr<linux_abi::time::Itimerspec>) => sync events::timerfd_gettime;
    88 utimensat(dirfd: Fd, path: UserPath, times: UserAddr, flags: u32) => sync attr::utimensat;
    90 capget(header: UserPtr<linux_abi::capability::CapHeader>, data: UserPtr<[linux_abi::capability::CapData; 2]>) => sync creds::capget;
    91 capset(header: UserPtr<linux_abi::capability::CapHeader>, data: UserPtr<[linux_abi::capability::CapData; 2]>) => sync creds::capset;
    92 personality(persona: u32) => sync system::personality;
    93 exit(status: i32) => sync process::exit;
    94 exit_group(status: i32) => sync process::exit_group;
    95 waitid(which: i32, id: i32, info: UserPtr<linux_abi::signal::SigInfo>, options: u32, usage: UserPtr<linux_abi::resource::Rusage>) => async process::waitid;
    96 set_tid_address(word: UserAddr) => sync process::set_tid_address;
    97 unshare(flags: u64) => sync process::unshare [partial: "no namespaces"];
    98 futex(word: UserAddr, op: u32, val: u32, timeout: u64, word2: UserAddr, val3: u32) => async futex::futex [partial: "PI futexes do not change priorities; no requeue to PI"];
    99 set_robust_list(head: u64, len: usize) => sync futex::set_robust_list;
    100 get_robust_list(tid: i32, head: UserPtr<u64>, len: UserPtr<u64>) => sync futex::get_robust_list;
    101 nanosleep(request: UserPtr<linux_abi::time::Timespec>, remaining: UserPtr<linux_abi::time::Timespec>) => async time::nanosleep;
    102 getitimer(which: i32, value: UserPtr<linux_abi::time::Itimerval>) => sync timer::getitimer;
    103 setitimer(which: i32, new: UserPtr<linux_abi::time::Itimerval>, old: UserPtr<linux_abi::time::Itimerval>) => sync timer::setitimer;
    107 timer_create(clock: i32, event: UserPtr<linux_abi::signal::SigEvent>, id: UserPtr<i32>) => sync timer::timer_create;
    108 timer_gettime(id: i32, value: UserPtr<linux_abi::time::Itimerspec>) => sync timer::timer_gettime;
    109 timer_getoverrun(id: i32) => sync timer::timer_getoverrun;
    110 timer_settime(id: i32, flags: u32, new: UserPtr<linux_abi::time::Itimerspec>, old: UserPtr<linux_abi::time::Itimerspec>) => sync timer::timer_settime;
    111 timer_delete(id: i32) => sync timer::timer_delete;
    112 clock_settime(clock: i32, time: UserPtr<linux_abi::time::Timespec>) => sync time::clock_settime [partial: "the host's clocks cannot be set: EPERM"];
    113 clock_gettime(clock: i32, time: UserPtr<linux_abi::time::Timespec>) => sync time::clock_gettime;
    114 clock_getres(clock: i32, resolution: UserPtr<linux_abi::time::Timespec>) => sync time::clock_getres;
    115 clock_nanosleep(clock: i32, flags: u32, request: UserPtr<linux_abi::time::Timespec>, remaining: UserPtr<linux_abi::time::Timespec>) => async time::clock_nanosleep [partial: "no sleep on processor time"];
    118 sched_setparam(tid: i32, param: UserPtr<i32>) => sync sched::sched_setparam;
    119 sched_setscheduler(tid: i32, policy: i32, param: UserPtr<i32>) => sync sched::sched_setscheduler [partial: "kept, not obeyed"];
    120 sched_getscheduler(tid: i32) => sync sched::sched_getscheduler;
    121 sched_getparam(tid: i32, param: UserPtr<i32>) => sync sched::sched_getparam;
    122 sched_setaffinity(tid: i32, len: usize, mask: UserAddr) => sync sched::sched_setaffinity [partial: "kept, not obeyed"];
    123 sched_getaffinity(tid: i32, len: usize, mask: UserAddr) => sync sched::sched_getaffinity;
    124 sched_yield() => async sched::sched_yield;
    125 sched_get_priority_max(policy: i32) => sync sched::sched_get_priority_max;
    126 sched_get_priority_min(policy: i32) => sync sched::sched_get_priority_min;
    127 sched_rr_get_interval(tid: i32, interval: UserPtr<linux_abi::time::Timespec>) => sync sched::sched_rr_get_interval;
    128 restart_syscall() => async process::restart_syscall;
    129 kill(pid: i32, signal: i32) => sync signal::kill;
    130 tkill(tid: i32, signal: i32) => sync signal::tkill;
    131 tgkill(pid: i32, tid: i32, signal: i32) => sync signal::tgkill;
    132 sigaltstack(new: UserPtr<linux_abi::signal::SigStack>, old: UserPtr<linux_abi::signal::SigStack>) => sync signal::sigaltstack;
    133 rt_sigsuspend(mask: UserPtr<u64>, size: usize) => async signal::rt_sigsuspend;
    134 rt_sigaction(signal: i32, new: UserPtr<linux_abi::signal::SigAction>, old: UserPtr<linux_abi::signal::SigAction>, size: usize) => sync signal::rt_sigaction;
    135 rt_sigprocmask(how: i32, new: UserPtr<u64>, old: UserPtr<u64>, size: usize) => sync signal::rt_sigprocmask;
    136 rt_sigpending(set: UserPtr<u64>, size: usize) => sync signal::rt_sigpending;
    137 rt_sigtimedwait(set: UserPtr<u64>, info: UserPtr<linux_abi::signal::SigInfo>, timeout: UserPtr<linux_abi::time::Timespec>, size: usize) => async signal::rt_sigtimedwait;
    138 rt_sigqueueinfo(pid: i32, signal: i32, info: UserPtr<linux_abi::signal::SigInfo>) => sync signal::rt_sigqueueinfo;
    139 rt_sigreturn() => sync signal::rt_sigreturn;
    140 setpriority(which: i32, who: i32, nice: i32) => sync sched::setpriority [partial: "kept, not obeyed"];
    141 getpriority(which: i32, who: i32) => sync sched::getpriority;
    143 setregid(real: u32, effective: u32) => sync creds::setregid;
    144 setgid(gid: u32) => sync creds::setgid;
    145 setreuid(real: u32, effective: u32) => sync creds::setreuid;
    146 setuid(uid: u32) => sync creds::setuid;
    147 setresuid(real: u32, effective: u32, saved: u32) => sync creds::setresuid;
    148 getresuid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) => sync creds::getresuid;
    149 setresgid(real: u32, effective: u32, saved: u32) => sync creds::setresgid;
    150 getresgid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) => sync creds::getresgid;
    151 setfsuid(uid: u32) => sync creds::setfsuid;
    152 setfsgid(gid: u32) => sync creds::setfsgid;
    153 times(times: UserPtr<linux_abi::time::Tms>) => sync time::times;
    154 setpgid(pid: i32, pgid: i32) => sync identity::setpgid;
    155 getpgid(pid: i32) => sync identity::getpgid;
    156 getsid(pid: i32) => sync identity::getsid;
    157 setsid() => sync identity::setsid;
    158 getgroups(count: i32, groups: UserPtr<u32>) => sync creds::getgroups;
    159 setgroups(count: i32, groups: UserPtr<u32>) => sync creds::setgroups;
    160 uname(name: UserPtr<linux_abi::system::Utsname>) => sync system::uname;
    161 sethostname(name: UserAddr, len: i32) => sync system::sethostname;
    162 setdomainname(name: UserAddr, len: i32) => sync system::setdomainname;
    163 getrlimit(which: u32, limit: UserPtr<linux_abi::resource::Rlimit>) => sync system::getrlimit;
    164 setrlimit(which: u32, limit: UserPtr<linux_abi::resource::Rlimit>) => sync system::setrlimit;
    165 getrusage(who: i32, usage: UserPtr<linux_abi::resource::Rusage>) => sync system::getrusage;
    166 umask(mask: u32) => sync attr::umask;
    167 prctl(option: i32, a: u64, b: u64, c: u64, d: u64) => sync process::prctl [partial: "the options that programs use"];
    168 getcpu(cpu: UserPtr<u32>, node: UserPtr<u32>, unused: u64) => sync sched::getcpu;
    169 gettimeofday(time: UserPtr<linux_abi::time::Timeval>, zone: UserPtr<[i32; 2]>) => sync time::gettimeofday;
    170 settimeofday(time: UserPtr<linux_abi::time::Timeval>, zone: UserPtr<[i32; 2]>) => sync time::settimeofday [partial: "the host's clocks cannot be set: EPERM"];
    172 getpid() => sync identity::getpid;
    173 getppid() => sync identity::getppid;
    174 getuid() => sync creds::getuid;
    175 geteuid() => sync creds::geteuid;
    176 getgid() => sync creds::getgid;
    177 getegid() => sync creds::getegid;
    178 gettid() => sync identity::gettid;
    179 sysinfo(info: UserPtr<linux_abi::system::SysInfo>) => sync system::sysinfo;
    198 socket(family: i32, kind: u32, protocol: i32) => sync socket::socket;
    199 socketpair(family: i32, kind: u32, protocol: i32, fds: UserAddr) => sync socket::socketpair;
    200 bind(fd: Fd, addr: UserAddr, len: u32) => sync socket::bind;
    201 listen(fd: Fd, backlog: i32) => sync socket::listen;
    202 accept(fd: Fd, addr: UserAddr, len: UserPtr<i32>) => async socket::accept;
    203 connect(fd: Fd, addr: UserAddr, len: u32) => async socket::connect;
    204 getsockname(fd: Fd, addr: UserAddr, len: UserPtr<i32>) => sync socket::getsockname;
    205 getpeername(fd: Fd, addr: UserAddr, len: UserPtr<i32>) => sync socket::getpeername;
    206 sendto(fd: Fd, data: UserAddr, len: usize, flags: u32, addr: UserAddr, addr_len: u32) => async message::sendto;
    207 recvfrom(fd: Fd, data: UserAddr, len: usize, flags: u32, addr: UserAddr, addr_len: UserPtr<i32>) => async message::recvfrom;
    208 setsockopt(fd: Fd, level: i32, option: i32, addr: UserAddr, len: i32) => sync sockopt::setsockopt;
    209 getsockopt(fd: Fd, level: i32, option: i32, addr: UserAddr, len: UserPtr<i32>) => sync sockopt::getsockopt;
    210 shutdown(fd: Fd, how: u32) => sync socket::shutdown;
    211 sendmsg(fd: Fd, msg: UserPtr<linux_abi::socket::MsgHdr>, flags: u32) => async message::sendmsg;
    212 recvmsg(fd: Fd, msg: UserPtr<linux_abi::socket::MsgHdr>, flags: u32) => async message::recvmsg;
    213 readahead(fd: Fd, offset: i64, count: usize) => sync copy::readahead;
    214 brk(end: u64) => sync memory::brk;
    215 munmap(addr: u64, len: u64) => sync memory::munmap;
    216 mremap(old: u64, old_len: u64, new_len: u64, flags: u64, new_addr: u64) => sync memory::mremap;
    220 clone(flags: u64, stack: u64, parent_tid: u64, tls: u64, child_tid: u64) => async process::clone [partial: "no namespaces"];
    221 execve(path: UserPath, argv: UserPtr<u64>, envp: UserPtr<u64>) => async process::execve;
    222 mmap(addr: u64, len: u64, prot: u64, flags: u64, fd: Fd, offset: u64) => sync memory::mmap [partial: "no huge pages"];
    223 fadvise64(fd: Fd, offset: i64, len: i64, advice: u32) => sync copy::fadvise64;
    226 mprotect(addr: u64, len: u64, prot: u64) => sync memory::mprotect;
    227 msync(addr: u64, len: u64, flags: u32) => sync memory::msync;
    228 mlock(addr: u64, len: u64) => sync memory::mlock;
    229 munlock(addr: u64, len: u64) => sync memory::munlock;
    230 mlockall(flags: u32) => sync memory::mlockall;
    231 munlockall() => sync memory::munlockall;
    232 mincore(addr: u64, len: u64, vec: UserAddr) => sync memory::mincore;
    233 madvise(addr: u64, len: u64, advice: i32) => sync memory::madvise [partial: "no MADV_REMOVE"];
    240 rt_tgsigqueueinfo(pid: i32, tid: i32, signal: i32, info: UserPtr<linux_abi::signal::SigInfo>) => sync signal::rt_tgsigqueueinfo;
    242 accept4(fd: Fd, addr: UserAddr, len: UserPtr<i32>, flags: u32) => async socket::accept4;
    243 recvmmsg(fd: Fd, messages: UserPtr<linux_abi::socket::MMsgHdr>, count: u32, flags: u32, timeout: UserPtr<linux_abi::time::Timespec>) => async message::recvmmsg;
    260 wait4(pid: i32, status: UserPtr<i32>, options: u32, usage: UserPtr<linux_abi::resource::Rusage>) => async process::wait4;
    261 prlimit64(pid: i32, which: u32, new: UserPtr<linux_abi::resource::Rlimit>, old: UserPtr<linux_abi::resource::Rlimit>) => sync system::prlimit64;
    267 syncfs(fd: Fd) => sync copy::syncfs;
    269 sendmmsg(fd: Fd, messages: UserPtr<linux_abi::socket::MMsgHdr>, count: u32, flags: u32) => async message::sendmmsg;
    270 process_vm_readv(pid: i32, local: UserAddr, local_count: usize, remote: UserAddr, remote_count: usize, flags: u64) => sync process_vm::process_vm_readv;
    271 process_vm_writev(pid: i32, local: UserAddr, local_count: usize, remote: UserAddr, remote_count: usize, flags: u64) => sync process_vm::process_vm_writev;
    276 renameat2(old_fd: Fd, old_path: UserPath, new_fd: Fd, new_path: UserPath, flags: u32) => sync link::renameat2;
    278 getrandom(buf: UserAddr, len: usize, flags: u32) => sync system::getrandom;
    279 memfd_create(name: UserStr, flags: u32) => sync events::memfd_create;
    281 execveat(dir: Fd, path: UserPath, argv: UserPtr<u64>, envp: UserPtr<u64>, flags: u32) => async process::execveat;
    283 membarrier(command: i32, flags: u32, cpu: i32) => sync membarrier::membarrier;
    284 mlock2(addr: u64, len: u64, flags: u32) => sync memory::mlock2;
    285 copy_file_range(input: Fd, in_offset: UserPtr<i64>, out: Fd, out_offset: UserPtr<i64>, len: usize, flags: u32) => async copy::copy_file_range;
    286 preadv2(fd: Fd, iov: UserAddr, count: usize, offset: i64, high: u64, flags: u32) => async rw::preadv2;
    287 pwritev2(fd: Fd, iov: UserAddr, count: usize, offset: i64, high: u64, flags: u32) => async rw::pwritev2;
    291 statx(dirfd: Fd, path: UserPath, flags: u32, mask: u32, buf: UserAddr) => sync stat::statx;
    293 rseq(area: u64, len: u32, flags: i32, signature: u32) => sync futex::rseq;
    424 pidfd_send_signal(pidfd: Fd, signal: i32, info: UserPtr<linux_abi::signal::SigInfo>, flags: u32) => sync pidfd::pidfd_send_signal;
    434 pidfd_open(pid: i32, flags: u32) => sync pidfd::pidfd_open;
    435 clone3(args: UserAddr, size: usize) => async process::clone3 [partial: "no namespaces, no set_tid, no cgroups"];
    436 close_range(first: u32, last: u32, flags: u32) => sync open::close_range;
    437 openat2(dirfd: Fd, path: UserPath, how: UserAddr, size: usize) => async open::openat2;
    439 faccessat2(dirfd: Fd, path: UserPath, mode: u32, flags: u32) => sync attr::faccessat2;
    441 epoll_pwait2(epfd: Fd, events: UserPtr<linux_abi::poll::EpollEvent>, max: i32, timeout: UserPtr<linux_abi::time::Timespec>, mask: UserPtr<u64>, size: usize) => async epoll::epoll_pwait2;
    449 futex_waitv(waiters: UserPtr<linux_abi::futex::WaitV>, count: u32, flags: u32, timeout: UserPtr<linux_abi::time::Timespec>, clock: i32) => async futex::futex_waitv;
    452 fchmodat2(dirfd: Fd, path: UserPath, mode: u32, flags: u32) => sync attr::fchmodat2;
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
