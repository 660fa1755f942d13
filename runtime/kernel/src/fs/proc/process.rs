// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc/PID` and `/proc/PID/task/TID`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use linux_abi::Errno;

use super::{fds, id_of, ino_of, kernel, maps, mounts, status};
use crate::file::Caller;
use crate::fs::virtual_fs::{LinkTarget, VirtualDir, VirtualNode, VirtualSpace};
use crate::mm::UserAddr;
use crate::task::{Process, Task};
use crate::vfs::{Capability, DirEntry, Kind, Location};

/// Longest piece of memory that one file shows.
const MAX_AREA: u64 = 4 << 20;

/// Which process or thread a directory is about.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) pid: i32,
    pub(super) tid: i32,
    /// A directory below `task`: about the thread alone.
    pub(super) is_thread: bool,
}

impl Subject {
    /// The task, while it lives.
    pub(super) fn task(self, caller: &Caller<'_>) -> Result<Arc<Task>, Errno> {
        let table = kernel(caller)?.processes().lock();
        let entry = table.get(self.pid).ok_or(Errno::ESRCH)?;
        let task = match entry.threads.get(&self.tid) {
            Some(task) => Some(task),
            // The first thread may have ended before the others.
            None if !self.is_thread => entry.threads.values().next(),
            None => None,
        };
        task.cloned().ok_or(Errno::ESRCH)
    }

    /// The task, if the reader may look into it (`ptrace_may_access`).
    pub(super) fn inspected(self, caller: &Caller<'_>) -> Result<Arc<Task>, Errno> {
        let task = self.task(caller)?;
        let is_own = caller.task.is_some_and(|reader| reader.pid() == self.pid);
        let theirs = task.creds();
        let ids = [theirs.uid.real, theirs.uid.effective, theirs.uid.saved];
        let is_owner = ids.iter().all(|&id| id == caller.cred.uid);
        if is_own || is_owner || caller.cred.has(Capability::SysPtrace) {
            Ok(task)
        } else {
            Err(Errno::EACCES)
        }
    }

    fn ino(self, index: u64) -> u64 {
        let thread = if self.is_thread { INO_OF_THREADS } else { 0 };
        ino_of(self.tid) + thread + index
    }
}

/// Numbers of nodes below `task/TID` start here.
const INO_OF_THREADS: u64 = 1 << 12;
/// Index of the directory itself.
const INO_DIR: u64 = 0;

fn owner(caller: &Caller<'_>, subject: Subject) -> (u32, u32) {
    let creds = subject.task(caller).map(|task| task.creds());
    creds.map_or((0, 0), |creds| (creds.uid.effective, creds.gid.effective))
}

/// The directory of a process.
pub(super) fn directory(
    space: &VirtualSpace,
    caller: &Caller<'_>,
    pid: i32,
) -> Result<VirtualNode, Errno> {
    // A thread's id works as a name, too, though it is not listed.
    let pid = {
        let table = kernel(caller)?.processes().lock();
        match table.get(pid) {
            Some(_) => pid,
            None => table
                .task(pid)
                .map(|task| task.pid())
                .ok_or(Errno::ENOENT)?,
        }
    };
    Ok(node(
        space,
        caller,
        Subject {
            pid,
            tid: pid,
            is_thread: false,
        },
    ))
}

fn node(space: &VirtualSpace, caller: &Caller<'_>, subject: Subject) -> VirtualNode {
    let (uid, gid) = owner(caller, subject);
    let table = kernel(caller).map(|kernel| kernel.processes().lock());
    let entry = table.as_ref().ok().and_then(|table| table.get(subject.pid));
    let process = entry.map_or_else(Weak::new, |entry| Arc::downgrade(&entry.process));
    drop(table);
    let dir = ProcessDir {
        space: space.clone(),
        subject,
        process,
    };
    space
        .dir(subject.ino(INO_DIR), 0o555, dir)
        .owned_by(uid, gid)
}

/// What an entry is made by.
enum Entry {
    Text(u32, fn(&Caller<'_>, Subject) -> Result<Vec<u8>, Errno>),
    Link(fn(&Caller<'_>, Subject) -> Result<LinkTarget, Errno>),
    Dir(u32, fn(&VirtualSpace, Subject) -> VirtualNode),
}

const ENTRIES: &[(&str, Entry)] = &[
    ("auxv", Entry::Text(0o400, auxv)),
    ("cgroup", Entry::Text(0o444, |_, _| Ok(b"0::/\n".to_vec()))),
    ("cmdline", Entry::Text(0o444, cmdline)),
    ("comm", Entry::Text(0o644, comm)),
    ("cwd", Entry::Link(cwd)),
    ("environ", Entry::Text(0o400, environ)),
    ("exe", Entry::Link(exe)),
    ("fd", Entry::Dir(0o500, fds::fd_dir)),
    ("fdinfo", Entry::Dir(0o555, fds::fdinfo_dir)),
    ("gid_map", Entry::Text(0o644, id_map)),
    ("limits", Entry::Text(0o444, status::limits)),
    (
        "loginuid",
        Entry::Text(0o644, |_, _| Ok(b"4294967295".to_vec())),
    ),
    ("maps", Entry::Text(0o444, maps::maps)),
    ("mountinfo", Entry::Text(0o444, mounts::mountinfo)),
    ("mounts", Entry::Text(0o444, mounts::mounts)),
    ("net", Entry::Dir(0o555, net_dir)),
    ("oom_adj", Entry::Text(0o644, |_, _| Ok(b"0\n".to_vec()))),
    ("oom_score", Entry::Text(0o444, |_, _| Ok(b"0\n".to_vec()))),
    ("oom_score_adj", Entry::Text(0o644, oom_score_adj)),
    ("personality", Entry::Text(0o400, personality)),
    ("root", Entry::Link(root)),
    ("smaps", Entry::Text(0o444, maps::smaps)),
    ("smaps_rollup", Entry::Text(0o444, maps::smaps_rollup)),
    ("stat", Entry::Text(0o444, status::stat)),
    ("statm", Entry::Text(0o444, status::statm)),
    ("status", Entry::Text(0o444, status::status)),
    ("task", Entry::Dir(0o555, task_dir)),
    ("uid_map", Entry::Text(0o644, id_map)),
    ("wchan", Entry::Text(0o444, |_, _| Ok(b"0".to_vec()))),
];

struct ProcessDir {
    space: VirtualSpace,
    subject: Subject,
    /// Tells the process from one that has its number later.
    process: Weak<Process>,
}

/// Entries that every process has but that a thread's directory lacks.
fn is_listed(name: &str, subject: Subject) -> bool {
    !(subject.is_thread && name == "task")
}

impl VirtualDir for ProcessDir {
    fn process(&self) -> Option<&Weak<Process>> {
        (!self.subject.is_thread).then_some(&self.process)
    }

    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno> {
        let subject = self.subject;
        if kernel(caller)?
            .processes()
            .lock()
            .get(subject.pid)
            .is_none()
        {
            return Err(Errno::ENOENT);
        }
        let found = ENTRIES
            .iter()
            .zip(1..)
            .find(|((have, _), _)| have.as_bytes() == name && is_listed(have, subject));
        let ((have, entry), index) = found.ok_or(Errno::ENOENT)?;
        let ino = subject.ino(index);
        let made = match entry {
            Entry::Text(perm, read) => {
                let read = *read;
                let text = self
                    .space
                    .text(ino, *perm, move |caller| read(caller, subject));
                writable(text, have, subject)
            }
            Entry::Link(follow) => {
                let follow = *follow;
                self.space.link(ino, move |caller| follow(caller, subject))
            }
            Entry::Dir(perm, make) => make(&self.space, subject).with_perm(*perm),
        };
        let (uid, gid) = owner(caller, subject);
        Ok(Arc::new(made.owned_by(uid, gid)))
    }

    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        if kernel(caller)?
            .processes()
            .lock()
            .get(self.subject.pid)
            .is_none()
        {
            return Err(Errno::ENOENT);
        }
        let listed = ENTRIES
            .iter()
            .zip(1..)
            .filter(|((name, _), _)| is_listed(name, self.subject));
        let entry = |((name, entry), index): (&(&str, Entry), u64)| DirEntry {
            name: name.as_bytes().into(),
            ino: self.subject.ino(index),
            kind: match entry {
                Entry::Text(..) => Kind::Regular,
                Entry::Link(_) => Kind::Symlink,
                Entry::Dir(..) => Kind::Directory,
            },
        };
        Ok(listed.map(entry).collect())
    }
}

fn writable(node: VirtualNode, name: &str, subject: Subject) -> VirtualNode {
    match name {
        "comm" => node.writable(move |caller, text| {
            let task = subject.task(caller)?;
            if caller.task.is_none_or(|reader| reader.pid() != subject.pid) {
                return Err(Errno::EINVAL);
            }
            task.set_name(text.strip_suffix(b"\n").unwrap_or(text));
            Ok(())
        }),
        "oom_score_adj" => node.writable(move |caller, text| {
            let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
            let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            if !(-1000..=1000).contains(&value) {
                return Err(Errno::EINVAL);
            }
            let task = subject.task(caller)?;
            let adj = &task.process().oom_score_adj;
            let may_lower = caller.cred.has(Capability::SysResource);
            if value < adj.load(Ordering::Relaxed) && !may_lower {
                return Err(Errno::EACCES);
            }
            adj.store(value, Ordering::Relaxed);
            Ok(())
        }),
        _ => node,
    }
}

/// A piece of a task's memory; what cannot be read ends it.
fn memory(task: &Task, start: u64, end: u64) -> Vec<u8> {
    let Ok(memory) = task.memory() else {
        return Vec::new();
    };
    let len = usize::try_from(end.saturating_sub(start).min(MAX_AREA)).unwrap_or(0);
    let mut bytes = vec![0; len];
    let done = memory.read_partial(UserAddr(start), &mut bytes);
    bytes.truncate(done);
    bytes
}

/// A process without memory, or that has ended, has an empty text.
fn layout_text(
    task: Result<Arc<Task>, Errno>,
    range: fn(&crate::mm::Layout) -> (u64, u64),
) -> Result<Vec<u8>, Errno> {
    let task = match task {
        Err(Errno::ESRCH) => return Ok(Vec::new()),
        task => task?,
    };
    let Ok(mm) = task.mm() else {
        return Ok(Vec::new());
    };
    let (start, end) = range(&mm.layout());
    Ok(memory(&task, start, end))
}

fn cmdline(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    layout_text(subject.task(caller), |layout| {
        (layout.arg_start, layout.arg_end)
    })
}

fn environ(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    layout_text(subject.inspected(caller), |layout| {
        (layout.env_start, layout.env_end)
    })
}

fn auxv(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    Ok(subject.inspected(caller)?.mm()?.auxv().to_vec())
}

fn comm(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let mut name = status::name_of(caller, subject)?;
    name.push(b'\n');
    Ok(name)
}

fn id_map(_caller: &Caller<'_>, _subject: Subject) -> Result<Vec<u8>, Errno> {
    Ok(b"         0          0 4294967295\n".to_vec())
}

fn oom_score_adj(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let adj = subject
        .task(caller)?
        .process()
        .oom_score_adj
        .load(Ordering::Relaxed);
    Ok(format!("{adj}\n").into_bytes())
}

fn personality(caller: &Caller<'_>, subject: Subject) -> Result<Vec<u8>, Errno> {
    let value = subject
        .inspected(caller)?
        .process()
        .personality
        .load(Ordering::Relaxed);
    Ok(format!("{value:08x}\n").into_bytes())
}

/// A link to a place, with the path that the reader sees.
pub(super) fn to_place(caller: &Caller<'_>, place: Location) -> Result<LinkTarget, Errno> {
    let root = super::reader(caller)?.fs()?.root();
    Ok(LinkTarget {
        text: place.path_from(&root),
        place: Some(place),
    })
}

fn cwd(caller: &Caller<'_>, subject: Subject) -> Result<LinkTarget, Errno> {
    to_place(caller, subject.inspected(caller)?.fs()?.cwd())
}

fn root(caller: &Caller<'_>, subject: Subject) -> Result<LinkTarget, Errno> {
    to_place(caller, subject.inspected(caller)?.fs()?.root())
}

fn exe(caller: &Caller<'_>, subject: Subject) -> Result<LinkTarget, Errno> {
    let exe = subject
        .inspected(caller)?
        .mm()?
        .exe()
        .ok_or(Errno::ENOENT)?;
    to_place(caller, exe.location().clone())
}

fn task_dir(space: &VirtualSpace, subject: Subject) -> VirtualNode {
    space.dir(
        subject.ino(200),
        0o555,
        TaskDir {
            space: space.clone(),
            pid: subject.pid,
        },
    )
}

struct TaskDir {
    space: VirtualSpace,
    pid: i32,
}

impl VirtualDir for TaskDir {
    fn lookup(&self, caller: &Caller<'_>, name: &[u8]) -> Result<Arc<VirtualNode>, Errno> {
        let tid = id_of(name).ok_or(Errno::ENOENT)?;
        {
            let table = kernel(caller)?.processes().lock();
            let entry = table.get(self.pid).ok_or(Errno::ENOENT)?;
            if !entry.threads.contains_key(&tid) {
                return Err(Errno::ENOENT);
            }
        }
        let subject = Subject {
            pid: self.pid,
            tid,
            is_thread: true,
        };
        Ok(Arc::new(node(&self.space, caller, subject)))
    }

    fn list(&self, caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let table = kernel(caller)?.processes().lock();
        let entry = table.get(self.pid).ok_or(Errno::ENOENT)?;
        let dir = |tid: &i32| DirEntry {
            name: tid.to_string().into_bytes().into(),
            ino: Subject {
                pid: self.pid,
                tid: *tid,
                is_thread: true,
            }
            .ino(INO_DIR),
            kind: Kind::Directory,
        };
        Ok(entry.threads.keys().map(dir).collect())
    }
}

fn net_dir(space: &VirtualSpace, subject: Subject) -> VirtualNode {
    super::system::net_dir(space, subject.ino(201))
}
