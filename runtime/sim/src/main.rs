// SPDX-License-Identifier: GPL-2.0-only
//! Runs a program of a root directory on Linux, through the simulator.
//!
//! `elfuse-sim ROOTFS [OPTIONS] -- PROGRAM ARGS`. The root is never written: changes
//! live in memory and are gone afterwards. The exit status is the program's, 128 plus
//! the number of the signal that ended it, or 125 to 127 as `docker run` has them.

mod terminal;
mod users;

use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use elfuse_hvsim::Simulator;
use elfuse_kernel::boot::{BootConfig, BootError, Booted, Stdio, boot};
use elfuse_kernel::file::File;
use elfuse_kernel::stdio::{HostInput, HostOutput};
use elfuse_machine::host::{SystemHost, open_root};
use elfuse_machine::{Machine, MachineConfig};

/// What programs find when nothing else is said.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program of an arm64 Linux root directory on this machine.
#[derive(Parser)]
#[command(name = "elfuse-sim", version)]
struct Options {
    /// The root directory.
    rootfs: PathBuf,
    /// Print every system call.
    #[arg(long)]
    strace: bool,
    /// Print counters at the end.
    #[arg(long)]
    stats: bool,
    /// Set an environment variable.
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<std::ffi::OsString>,
    /// Working directory.
    #[arg(short, long, default_value = "/")]
    workdir: std::ffi::OsString,
    /// User, by number or name, with an optional group.
    #[arg(short, long, default_value = "0", value_name = "USER[:GROUP]")]
    user: String,
    /// Host name.
    #[arg(long, default_value = "elfuse")]
    hostname: String,
    /// Guest memory in MiB.
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    memory: u64,
    /// Virtual processors.
    #[arg(long, default_value_t = 1)]
    cpus: usize,
    /// Make everything random repeatable.
    #[arg(long)]
    seed: Option<u64>,
    /// Program and arguments.
    #[arg(last = true, required = true)]
    command: Vec<std::ffi::OsString>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("elfuse-sim: {error:#}");
            let status = error
                .downcast_ref::<BootError>()
                .map_or(125, BootError::exit_status);
            ExitCode::from(status)
        }
    }
}

fn run(options: Options) -> anyhow::Result<u8> {
    let user = users::resolve(&options.rootfs, &options.user)?;
    let root = open_root(&options.rootfs)
        .map_err(|errno| anyhow::anyhow!("open root {}: {errno}", options.rootfs.display()))?;
    let config = MachineConfig {
        ram_bytes: options.memory.saturating_mul(1 << 20),
    };
    let machine = Machine::new(&Simulator, config)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let stdio = if is_terminal {
        terminal::stdio()
    } else {
        streams()?
    };
    let host = Arc::new(SystemHost);
    let booted = boot(
        &machine,
        BootConfig {
            root,
            clock: host.clone(),
            random: host,
            argv: options
                .command
                .into_iter()
                .map(OsStringExt::into_vec)
                .collect(),
            env: environment(options.env, &user.home),
            cwd: options.workdir.into_vec(),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
            hostname: options.hostname.into_bytes(),
            stdio,
            trace: options.strace,
            cpus: options.cpus.clamp(1, 64),
            seed: options.seed,
        },
    )?;
    let raw = booted
        .console()
        .map(|console| terminal::attach(Arc::clone(console)))
        .transpose()?;
    let status = booted.run();
    drop(raw);
    if options.stats {
        print_stats(&machine, &booted);
    }
    Ok(status?.shell_status())
}

fn streams() -> anyhow::Result<Stdio> {
    let input: Arc<dyn File> = HostInput::start(std::io::stdin())?;
    Ok(Stdio::Files([
        input,
        HostOutput::new(std::io::stdout()),
        HostOutput::new(std::io::stderr()),
    ]))
}

fn environment(given: Vec<std::ffi::OsString>, home: &str) -> Vec<Vec<u8>> {
    let given: Vec<Vec<u8>> = given.into_iter().map(OsStringExt::into_vec).collect();
    let mut defaults = vec![format!("PATH={DEFAULT_PATH}"), format!("HOME={home}")];
    if let Ok(term) = std::env::var("TERM") {
        defaults.push(format!("TERM={term}"));
    }
    let name_of = |entry: &[u8]| entry.split(|&byte| byte == b'=').next().map(<[u8]>::to_vec);
    let is_given = |entry: &[u8]| given.iter().any(|other| name_of(other) == name_of(entry));
    let mut env: Vec<Vec<u8>> = defaults
        .into_iter()
        .map(String::into_bytes)
        .filter(|entry| !is_given(entry))
        .collect();
    env.extend(given);
    env
}

fn print_stats(machine: &Machine, booted: &Booted) {
    let counters = machine.counters();
    let kernel = booted.kernel();
    eprintln!("system calls     {:>10}", kernel.calls());
    eprintln!("  answered fast  {:>10}", counters.fast_calls);
    eprintln!("exits            {:>10}", counters.exits);
    eprintln!("faults           {:>10}", counters.faults);
    eprintln!("kicks            {:>10}", counters.kicks);
    eprintln!("thread switches  {:>10}", counters.thread_switches);
    eprintln!("TLB pages        {:>10}", counters.tlb_pages);
    eprintln!("TLB spaces       {:>10}", counters.tlb_spaces);
    eprintln!("tasks started    {:>10}", kernel.tasks_started());
    eprintln!("frames in use    {:>10}", machine.frames_in_use());
}
