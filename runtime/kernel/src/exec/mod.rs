// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loading programs into a new address space.
//!
//! [`load`] turns an open file, arguments and environment into an [`Image`]: an
//! address space with the program, its interpreter, the vDSO and a stack, and the
//! registers to start with. Nothing of the old program is touched, so every error
//! leaves it running. Linux 6.12 `fs/exec.c`, `fs/binfmt_elf.c`, `fs/binfmt_script.c`.

mod elf;
#[cfg(test)]
mod fuzz;
mod place;
mod script;
mod stack;

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};

use crate::file::{Caller, File, IoFlags, OpenFile, VecSink};
use crate::kernel::Kernel;
use crate::mm::{MemLimits, Mm};
use crate::task::Task;
use crate::vfs::{Access, Kind, Location, MountFlags, RegularFile, Walk, WalkFlags, may_access};

/// Bytes of a file that decide what it is (`BINPRM_BUF_SIZE`).
const HEAD_LEN: usize = 256;
/// Interpreters of interpreters that are followed.
const MAX_SCRIPTS: usize = 5;
/// The longest argument (`MAX_ARG_STRLEN`).
pub const MAX_ARG_LEN: usize = 131_072;

/// Arguments and environment.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
}

/// What a new program starts with.
pub struct Image {
    /// Its memory.
    pub mm: Arc<Mm>,
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub sp: u64,
    /// The program file, for `/proc/PID/exe` and set-id bits.
    pub file: Arc<OpenFile>,
    /// User and group that a set-id file asks for.
    pub set_uid: Option<u32>,
    /// As `set_uid`.
    pub set_gid: Option<u32>,
}

/// Everything that loading looks at.
pub struct Loader<'a> {
    /// The kernel.
    pub kernel: &'a Arc<Kernel>,
    /// On whose behalf files are opened.
    pub task: &'a Arc<Task>,
    /// Limits of the process.
    pub limits: MemLimits,
    /// No randomness in the layout (`personality`).
    pub is_fixed: bool,
}

/// Opens `path` as a program.
///
/// # Errors
/// `EACCES` for what is no executable regular file, and what walking answers.
pub fn open_program(
    task: &Arc<Task>,
    start: Location,
    path: &[u8],
    follows: bool,
) -> Result<Arc<OpenFile>, Errno> {
    task.as_caller(|caller| {
        let fs = task.fs()?;
        let flags = if follows {
            WalkFlags::FOLLOW
        } else {
            WalkFlags::empty()
        };
        let at = Walk::new(caller, &fs, start, path, Resolve::empty())?.finish(flags)?;
        if at.inode().kind() == Kind::Symlink {
            return Err(Errno::ELOOP);
        }
        open_location(caller, at)
    })
}

/// Opens the file at `at` as a program.
///
/// # Errors
/// `EACCES` for what is no executable regular file.
pub fn open_location(caller: &Caller<'_>, at: Location) -> Result<Arc<OpenFile>, Errno> {
    let attr = at.inode().attr()?;
    if attr.kind != Kind::Regular || at.mount.flags().contains(MountFlags::NO_EXEC) {
        return Err(Errno::EACCES);
    }
    may_access(caller.cred, &attr, Access::EXEC)?;
    let file: Arc<dyn File> = Arc::new(RegularFile::new(Arc::clone(at.inode()))?);
    Ok(OpenFile::new(file, at, OpenFlags::empty()))
}

/// Reads up to `len` bytes at `offset`.
fn read_at(file: &OpenFile, task: &Arc<Task>, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut sink = VecSink::new(len);
    let mut pos = offset;
    task.as_caller(|caller| {
        while sink.as_slice().len() < len {
            match file
                .file()
                .try_read(caller, &mut sink, &mut pos, IoFlags::empty())
            {
                Ok(0) => break,
                Ok(_) => {}
                Err(crate::error::SysErr::Errno(errno)) => return Err(errno),
                Err(crate::error::SysErr::Interrupted(_)) => return Err(Errno::EIO),
            }
        }
        Ok(())
    })?;
    Ok(sink.into_inner())
}

/// Loads a program. `name` is what the program was called as.
///
/// # Errors
/// `ENOEXEC`, `E2BIG`, `ELOOP`, `ENOMEM`, `ELIBBAD`, and what files answer.
pub fn load(
    loader: &Loader<'_>,
    file: Arc<OpenFile>,
    name: &[u8],
    args: Args,
) -> Result<Image, Errno> {
    stack::check_size(&args, &loader.limits)?;
    let (mut file, mut args, mut exec_name) = (file, args, name.to_vec());
    for _ in 0..=MAX_SCRIPTS {
        let head = read_at(&file, loader.task, 0, HEAD_LEN)?;
        if !head.starts_with(b"#!") {
            return place::place(loader, &file, &head, &exec_name, &args);
        }
        let line = script::parse(&head)?;
        let mut argv = vec![line.interpreter.clone()];
        argv.extend(line.argument);
        argv.push(exec_name);
        argv.extend(args.argv.into_iter().skip(1));
        args.argv = argv;
        let start = loader.task.fs()?.cwd();
        file = open_program(loader.task, start, &line.interpreter, true)?;
        exec_name = line.interpreter;
        stack::check_size(&args, &loader.limits)?;
    }
    Err(Errno::ELOOP)
}
