// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a machine and a root directory to a running program, and to its end.
//!
//! [`boot`] mounts the files, makes process 1 and starts its program; [`Booted::run`]
//! runs the processors until it has ended.

use std::cell::Cell;
use std::sync::Arc;

use elfuse_machine::Machine;
use elfuse_machine::host::{HostClock, HostDir, HostRandom};
use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};
use linux_abi::time::NSEC_PER_SEC;

use crate::creds::Creds;
use crate::exec::Args;
use crate::file::{Caller, FdTable, File, FsContext, OpenFile};
use crate::fs::dev::Random;
use crate::fs::host::{HostFs, HostMode};
use crate::fs::overlay::OverlayFs;
use crate::fs::tmpfs::{TmpFs, TmpLimits};
use crate::fs::world::{DEV_PROC, DEV_SYS, FileWorld, WorldParts};
use crate::kernel::{Kernel, Options, Parts, UtsName};
use crate::limits::Limits;
use crate::mm::FrameSource;
use crate::task::{ExitStatus, FirstTask, KernelGroups, Task};
use crate::time::Clock;
use crate::trace::Trace;
use crate::tty::console::Console;
use crate::vfs::{self, FileSystem, FsCred, Walk, WalkFlags};

/// Device numbers of the root's file systems.
const DEV_LOWER: u64 = 40;
const DEV_UPPER: u64 = 41;
const DEV_ROOT: u64 = 42;

/// Why a guest does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The host gives no thread.
    #[error("start a host thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The root cannot be mounted.
    #[error("mount the root file system: {0}")]
    Root(Errno),
    /// The working directory does not exist.
    #[error("enter working directory {path}: {errno}")]
    WorkingDirectory {
        /// Which.
        path: String,
        /// Why.
        errno: Errno,
    },
    /// The program is not there.
    #[error("find program {program}: {errno}")]
    NotFound {
        /// Which.
        program: String,
        /// Why.
        errno: Errno,
    },
    /// The program cannot be executed.
    #[error("execute program {program}: {errno}")]
    NotExecutable {
        /// Which.
        program: String,
        /// Why.
        errno: Errno,
    },
}

impl BootError {
    /// The exit status that `docker run` has for it.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }
}

/// What the first program's descriptors 0 to 2 are.
pub enum Stdio {
    /// Three files.
    Files([Arc<dyn File>; 3]),
    /// A terminal; called with what its signals go through.
    Console(Box<dyn FnOnce(Arc<KernelGroups>) -> Arc<Console>>),
}

/// What a guest is started with.
pub struct BootConfig {
    /// The root directory; never written.
    pub root: Arc<dyn HostDir>,
    /// Clocks.
    pub clock: Arc<dyn HostClock>,
    /// Random bytes.
    pub random: Arc<dyn HostRandom>,
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
    /// Host name.
    pub hostname: Vec<u8>,
    /// Standard streams.
    pub stdio: Stdio,
    /// `--strace`.
    pub trace: bool,
    /// Virtual processors.
    pub cpus: usize,
    /// Seed of everything random, for runs that can be repeated.
    pub seed: Option<u64>,
}

/// A guest that has started.
pub struct Booted {
    kernel: Arc<Kernel>,
    console: Option<Arc<Console>>,
    cpus: usize,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts a guest.
///
/// # Errors
/// [`BootError`].
pub fn boot(machine: &Arc<Machine>, config: BootConfig) -> Result<Booted, BootError> {
    let groups = Arc::new(KernelGroups::default());
    let (files, console) = match config.stdio {
        Stdio::Files(files) => (Some(files), None),
        Stdio::Console(make) => (None, Some(make(Arc::clone(&groups)))),
    };
    let clock = Clock::new(Arc::clone(&config.clock));
    let world = mount(
        machine,
        &config.root,
        &clock,
        &config.random,
        &groups,
        console.clone(),
    )
    .map_err(BootError::Root)?;
    let options = Options {
        max_tasks: 4096,
        release: "6.12.0".to_owned(),
        cpus: config.cpus,
        seed: config.seed,
    };
    let parts = Parts {
        machine: Arc::clone(machine),
        clock,
        random: config.random,
        files: Arc::clone(&world),
        uts: UtsName {
            node: config.hostname,
            domain: b"(none)".to_vec(),
        },
        trace: config.trace.then_some(Trace),
        options,
    };
    let kernel = Kernel::new(parts)?;
    groups.connect(&kernel);
    let creds = Creds::login(config.uid, config.gid, &config.groups);
    let fs = FsContext::new(Arc::clone(&world.namespace));
    enter(&fs, &creds.for_files(), &config.cwd)?;
    let table = FdTable::new();
    for open in standard_files(&world, files) {
        table.install(open, false, 0, 3).map_err(BootError::Root)?;
    }
    let first = FirstTask {
        creds,
        fs,
        files: table,
        limits: Limits::default(),
    };
    let task = Task::first(&kernel, first).map_err(BootError::Root)?;
    if let Some(console) = &console {
        console.tty().adopt(&*task);
    }
    let args = Args {
        argv: config.argv,
        envp: config.env,
    };
    start(&task, args)?;
    Ok(Booted {
        kernel,
        console,
        cpus: config.cpus.max(1),
    })
}

fn mount(
    machine: &Arc<Machine>,
    root: &Arc<dyn HostDir>,
    clock: &Clock,
    random: &Arc<dyn HostRandom>,
    groups: &Arc<KernelGroups>,
    console: Option<Arc<Console>>,
) -> Result<Arc<FileWorld>, Errno> {
    let frames = Some(FrameSource::new(Arc::clone(machine)));
    let for_files = clock.clone();
    let file_clock = vfs::Clock::new(move || {
        let ns = for_files.realtime_ns();
        vfs::Timespec {
            sec: (ns / NSEC_PER_SEC).cast_signed(),
            nsec: u32::try_from(ns % NSEC_PER_SEC).unwrap_or(0),
        }
    });
    let memory = u64::try_from(machine.frames_total()).unwrap_or(0) * crate::mm::PAGE;
    let limits = TmpLimits {
        bytes: memory / 2,
        inodes: 1 << 20,
    };
    let lower: Arc<dyn FileSystem> = HostFs::new(
        DEV_LOWER,
        Arc::clone(root),
        HostMode::Immutable,
        file_clock.clone(),
        frames.clone(),
    )?;
    let upper = TmpFs::new(DEV_UPPER, file_clock.clone(), limits, frames.clone(), 0o755)?;
    let overlay = OverlayFs::new(DEV_ROOT, upper, &lower)?;
    let generator = Arc::clone(random);
    FileWorld::boot(WorldParts {
        root: overlay,
        clock: file_clock.clone(),
        random: Random::new(move |buf| generator.fill(buf)),
        frames,
        groups: Arc::<KernelGroups>::clone(groups),
        console,
        memory_limit: memory / 2,
        proc: Some(crate::fs::proc::new(DEV_PROC, &file_clock)),
        sys: Some(crate::fs::sys::new(DEV_SYS, &file_clock, 1)),
    })
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

fn standard_files(world: &FileWorld, files: Option<[Arc<dyn File>; 3]>) -> Vec<Arc<OpenFile>> {
    let Some([input, output, error]) = files else {
        let console = world.open_console();
        return console
            .into_iter()
            .flat_map(|open| [Arc::clone(&open), Arc::clone(&open), open])
            .collect();
    };
    vec![
        world.open_anonymous("[stdin]", input, OpenFlags::empty()),
        world.open_anonymous("[stdout]", output, OpenFlags::WRONLY),
        world.open_anonymous("[stderr]", error, OpenFlags::WRONLY),
    ]
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

impl Booted {
    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The terminal, when there is one.
    #[must_use]
    pub fn console(&self) -> Option<&Arc<Console>> {
        self.console.as_ref()
    }

    /// Runs the processors until the first program has ended.
    ///
    /// # Errors
    /// When the host gives no threads or the machine no processors.
    pub fn run(&self) -> Result<ExitStatus, BootError> {
        let workers: Vec<_> = (0..self.cpus)
            .map(|n| self.start_worker(n))
            .collect::<Result<_, _>>()?;
        let status = self.kernel.wait_until_finished();
        self.kernel.scheduler().stop();
        for worker in workers {
            if let Ok(Err(error)) = worker.join() {
                return Err(BootError::Thread(std::io::Error::other(error)));
            }
        }
        Ok(status)
    }

    fn start_worker(
        &self,
        n: usize,
    ) -> std::io::Result<std::thread::JoinHandle<Result<(), elfuse_machine::MachineError>>> {
        let kernel = Arc::clone(&self.kernel);
        std::thread::Builder::new()
            .name(format!("cpu{n}"))
            .spawn(move || {
                let bail = Bail {
                    kernel: Arc::clone(&kernel),
                    is_done: Cell::new(false),
                };
                let done = kernel.scheduler().work(kernel.machine());
                bail.set_done(done.is_ok());
                done
            })
    }
}

/// A worker that fails or panics ends the run: nobody would wake what it ran.
struct Bail {
    kernel: Arc<Kernel>,
    is_done: Cell<bool>,
}

impl Bail {
    fn set_done(&self, is_done: bool) {
        self.is_done.set(is_done);
    }
}

impl Drop for Bail {
    fn drop(&mut self) {
        if !self.is_done.get() {
            self.kernel.give_up();
        }
    }
}
