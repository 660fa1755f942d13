// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that the host starts in a guest: the first one, and those that are
//! started beside it later.
//!
//! [`load`] finds the program as a shell does, in the `PATH` of the environment it
//! will have, and starts it as a process with a session of its own.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::Resolve;

use super::BootError;
use crate::creds::Creds;
use crate::exec::Args;
use crate::file::{Caller, FdTable, FsContext, OpenFile};
use crate::kernel::Kernel;
use crate::limits::Limits;
use crate::task::{FirstTask, Task};
use crate::vfs::{FsCred, Walk, WalkFlags};

/// What is run, as whom and where.
pub struct Command {
    /// Program and arguments; at least one.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub env: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What a program starts with besides its command.
pub(super) struct Place {
    /// Descriptors 0, 1 and 2.
    pub(super) files: Vec<Arc<OpenFile>>,
    /// Resource limits.
    pub(super) limits: Limits,
    /// Who waits for it; 0 for nobody inside.
    pub(super) parent: i32,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Process 1 of a guest whose program is process 2; it does nothing yet.
pub(super) fn reaper(
    kernel: &Arc<Kernel>,
    command: &Command,
    limits: &Limits,
) -> Result<Arc<Task>, BootError> {
    let first = FirstTask {
        creds: Creds::login(command.uid, command.gid, &command.groups),
        fs: FsContext::new(Arc::clone(&kernel.files().namespace)),
        files: FdTable::new(),
        limits: limits.fork(),
        parent: 0,
    };
    Task::first(kernel, first).map_err(BootError::Root)
}

/// Makes a process for `command`, shows it to `prepare`, and starts it.
pub(super) fn load(
    kernel: &Arc<Kernel>,
    command: Command,
    place: Place,
    prepare: impl FnOnce(&Task),
) -> Result<Arc<Task>, BootError> {
    let creds = Creds::login(command.uid, command.gid, &command.groups);
    let fs = FsContext::new(Arc::clone(&kernel.files().namespace));
    enter(&fs, &creds.for_files(), &command.cwd)?;
    let files = FdTable::new();
    for open in place.files {
        files.install(open, false, 0, 3).map_err(BootError::Root)?;
    }
    let parts = FirstTask {
        creds,
        fs,
        files,
        limits: place.limits,
        parent: place.parent,
    };
    let task = Task::first(kernel, parts).map_err(BootError::Root)?;
    prepare(&task);
    let args = Args {
        argv: command.argv,
        envp: command.env,
    };
    let started = start(&task, args);
    if started.is_err() {
        task.abandon();
    }
    started.map(|()| task)
}

fn enter(fs: &FsContext, cred: &FsCred, path: &[u8]) -> Result<(), BootError> {
    let caller = Caller::kernel(cred);
    let flags = WalkFlags::FOLLOW | WalkFlags::DIRECTORY;
    let walked = Walk::new(&caller, fs, fs.root(), path, Resolve::empty())
        .and_then(|mut walk| walk.finish(flags));
    let place = walked.map_err(|errno| BootError::WorkingDirectory {
        path: text(path),
        errno,
    })?;
    fs.set_cwd(place);
    Ok(())
}

/// The places where a program is looked for: its own path, or those of `PATH`.
fn candidates(args: &Args) -> Vec<Vec<u8>> {
    let Some(program) = args.argv.first() else {
        return Vec::new();
    };
    if program.contains(&b'/') {
        return vec![program.clone()];
    }
    let path = args
        .envp
        .iter()
        .find_map(|entry| entry.strip_prefix(b"PATH="))
        .unwrap_or(b"/bin:/usr/bin");
    path.split(|&byte| byte == b':')
        .map(|dir| [if dir.is_empty() { b"." } else { dir }, b"/", program].concat())
        .collect()
}

fn start(task: &Arc<Task>, args: Args) -> Result<(), BootError> {
    let program = args.argv.first().map(|name| text(name)).unwrap_or_default();
    let mut worst = Errno::ENOENT;
    for path in candidates(&args) {
        match task.start_first(&path, args.clone()) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::EACCES) => worst = Errno::EACCES,
            Err(errno) => return Err(BootError::NotExecutable { program, errno }),
        }
    }
    if worst == Errno::ENOENT {
        return Err(BootError::NotFound {
            program,
            errno: worst,
        });
    }
    Err(BootError::NotExecutable {
        program,
        errno: worst,
    })
}
