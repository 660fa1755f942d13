// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a machine and a root directory to a running program, and to its end.
//!
//! [`prepare`] mounts the files; [`Prepared::start`] makes process 1 and starts its
//! program; [`Booted::run`] runs the processors until it has ended.

mod files;
mod program;
mod run;
mod terminal;

use std::sync::Arc;

use elfuse_machine::Machine;
use elfuse_machine::host::{HostClock, HostDir, HostRandom};
use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;

use crate::file::{File, OpenFile};
use crate::fs::world::FileWorld;
use crate::kernel::{Kernel, Options, Parts, UtsName};
use crate::limits::Limits;
use crate::net::Network;
use crate::task::KernelGroups;
use crate::time::Clock;
use crate::trace::Trace;
use crate::tty::console::Console;
use crate::vfs::Inode;

pub use program::Command;
use program::Place;
pub use run::Streams;
pub use terminal::HostPty;

/// Why a guest does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The host gives no thread.
    #[error("start a host thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The root cannot be mounted.
    #[error("mount the root file system: {0}")]
    Root(Errno),
    /// The writable layer cannot be filled.
    #[error("fill the writable layer: {0}")]
    Layer(std::io::Error),
    /// A terminal cannot be had.
    #[error("open a terminal: {0}")]
    Terminal(Errno),
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

/// Puts files into the writable layer before it is mounted; given its root.
pub type Fill = Box<dyn FnOnce(&Arc<dyn Inode>) -> std::io::Result<()>>;

/// What the host gives to a guest.
pub struct HostParts {
    /// The root directory; never written.
    pub root: Arc<dyn HostDir>,
    /// What the writable layer holds at first; `None` for nothing.
    pub fill: Option<Fill>,
    /// Clocks.
    pub clock: Arc<dyn HostClock>,
    /// Random bytes.
    pub random: Arc<dyn HostRandom>,
    /// Standard streams.
    pub stdio: Stdio,
}

/// The first program, and the limits of everything that it starts.
pub struct Program {
    /// What is run.
    pub command: Command,
    /// Host name.
    pub hostname: Vec<u8>,
    /// Resource limits.
    pub limits: Limits,
    /// Threads that may live at once.
    pub max_tasks: usize,
    /// Sockets of the Internet; without it there is no such family.
    pub network: Option<Network>,
    /// `--strace`.
    pub trace: bool,
    /// Virtual processors.
    pub cpus: usize,
    /// Seed of everything random, for runs that can be repeated.
    pub seed: Option<u64>,
    /// Who is process 1.
    pub first: First,
}

/// Who is process 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The program.
    Program,
    /// The kernel's own reaper of orphans, which passes its signals on to the program.
    Reaper,
}

/// A guest whose files are there, and which runs nothing yet: the place to look
/// into them and to mount more.
pub struct Prepared {
    machine: Arc<Machine>,
    world: Arc<FileWorld>,
    upper: Arc<dyn Inode>,
    clock: Clock,
    random: Arc<dyn HostRandom>,
    groups: Arc<KernelGroups>,
    streams: Option<[Arc<dyn File>; 3]>,
    console: Option<Arc<Console>>,
}

/// A guest that has started.
pub struct Booted {
    kernel: Arc<Kernel>,
    console: Option<Arc<Console>>,
    cpus: usize,
}

/// Mounts a guest's files.
///
/// # Errors
/// [`BootError::Root`].
pub fn prepare(machine: &Arc<Machine>, host: HostParts) -> Result<Prepared, BootError> {
    let groups = Arc::new(KernelGroups::default());
    let (streams, console) = match host.stdio {
        Stdio::Files(files) => (Some(files), None),
        Stdio::Console(make) => (None, Some(make(Arc::clone(&groups)))),
    };
    let clock = Clock::new(Arc::clone(&host.clock));
    let mounted = files::mount(
        machine,
        &host.root,
        host.fill,
        &clock,
        &host.random,
        &groups,
        console.clone(),
    )?;
    Ok(Prepared {
        machine: Arc::clone(machine),
        world: mounted.world,
        upper: mounted.upper,
        clock,
        random: host.random,
        groups,
        streams,
        console,
    })
}

impl Prepared {
    /// The files.
    #[must_use]
    pub fn files(&self) -> &Arc<FileWorld> {
        &self.world
    }

    /// The root of the layer that takes the writes, to be kept when the guest has
    /// ended.
    #[must_use]
    pub fn upper(&self) -> &Arc<dyn Inode> {
        &self.upper
    }

    /// Starts the first program.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn start(self, program: Program) -> Result<Booted, BootError> {
        let parts = Parts {
            machine: self.machine,
            clock: self.clock,
            random: self.random,
            files: Arc::clone(&self.world),
            uts: UtsName {
                node: program.hostname,
                domain: b"(none)".to_vec(),
            },
            network: program.network.map(Arc::new),
            trace: program.trace.then_some(Trace),
            options: Options {
                max_tasks: program.max_tasks,
                release: "6.12.0".to_owned(),
                cpus: program.cpus,
                seed: program.seed,
            },
        };
        let kernel = Kernel::new(parts)?;
        self.groups.connect(&kernel);
        let reaper = match program.first {
            First::Program => None,
            First::Reaper => Some(program::reaper(&kernel, &program.command, &program.limits)?),
        };
        let place = Place {
            files: standard_files(&self.world, self.streams),
            limits: program.limits,
            parent: reaper.as_ref().map_or(0, |reaper| reaper.pid()),
        };
        let task = program::load(&kernel, program.command, place, |task| {
            if let Some(console) = &self.console {
                console.tty().adopt(task);
            }
        })?;
        if let Some(reaper) = reaper {
            reaper.start_reaping(&task);
        }
        Ok(Booted {
            kernel,
            console: self.console,
            cpus: program.cpus.max(1),
        })
    }
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
