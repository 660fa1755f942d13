// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a payload and options to a guest that runs, and to its exit status.
//!
//! The order matters: the image is in the cache before anything else starts, so
//! that ^C can still stop unpacking; signals are blocked before the first thread
//! exists; users are looked up in the files as the guest will see them; the
//! terminal becomes raw last and is put back first.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use elfuse_kernel::boot::{Booted, Command, Fill, First, HostParts, Prepared, Program, prepare};
use elfuse_kernel::fs::setup::HostPart;
use elfuse_kernel::fs::world::FileWorld;
use elfuse_kernel::limits::Limits;
use elfuse_kernel::net::Network;
use elfuse_kernel::vfs::MountFlags;
use elfuse_machine::host::{HostDir, SystemHost, open_root};
use elfuse_machine::hv::Hypervisor;
use elfuse_machine::{Machine, MachineConfig};
use elfuse_payload::reader::Payload;
use elfuse_payload::segment::SectionKind;
use elfuse_runs::terminal::{Raw, Switch};
use linux_abi::resource::Rlimit;
use rustix::process::Resource;

use crate::cache::Cache;
use crate::config::{ImageConfig, Run, Terminal, add_home, host_variable};
use crate::debug::Steps;
use crate::doctor::{self, Lack};
use crate::named::{Named, Origin, detach};
use crate::options::{Options, Tmpfs, Ulimit, Volume};
use crate::persist::Place;
use crate::signals::{self, Signal};
use crate::{
    CacheError, Host, HostError, OptionError, StartError, StubError, agent, debug, secrets, stats,
    synthesis, terminal, tree, users, working_dir,
};

/// Memory of a guest that is not told another size.
const DEFAULT_MEMORY: u64 = 2 << 30;
/// Threads of a guest at once, when it is not told another number.
const DEFAULT_TASKS: usize = 4096;
/// Host descriptors that are asked for: `OPEN_MAX`, the most that every Mac gives.
const MAX_DESCRIPTORS: u64 = 10240;

/// Runs the image's program to its end.
///
/// # Errors
/// Everything that keeps it from starting.
pub(crate) fn image(
    host: &Host<'_>,
    payload: &Payload,
    program: &Path,
    options: &Options,
    out: &mut dyn Write,
) -> Result<u8, StubError> {
    if options.is_detached {
        if options.is_traced {
            let why = "a trace needs somebody who reads it: leave out --detach";
            return Err(OptionError::Refused("strace", why).into());
        }
        if !detach::is_second() {
            return Ok(detach::start_second(out).map_err(HostError::Detach)?);
        }
        detach::leave_session().map_err(HostError::Detach)?;
    }
    let named = Named::claim(options, program)?;
    let config = ImageConfig::parse(payload.config())?;
    let share = payload.provenance().cli.then(working_dir::find);
    let share = share.transpose()?;
    let below = payload.header().section(SectionKind::Layer).digest;
    let place = options.persist.as_ref();
    let place = place.map(|name| Place::open(name, &below)).transpose()?;
    if let Some(place) = place.as_ref().filter(|_| options.forgets_persisted) {
        place.forget()?;
    }
    let root = || {
        let image = Cache::open()?.image(payload)?;
        let root: Arc<dyn HostDir> = tree::root(image).map_err(CacheError::Root)?;
        Ok(root)
    };
    let extras = Extras {
        share,
        place,
        named,
    };
    run(host, config, root, extras, options)
}

/// Runs a program of a root directory, as if an image without a config held it.
///
/// # Errors
/// Everything that keeps it from starting.
pub(crate) fn directory(host: &Host<'_>, root: &Path, options: &Options) -> Result<u8, StubError> {
    let open = || {
        let dir = open_root(root).map_err(|errno| StartError::Directory {
            path: root.to_path_buf(),
            errno,
        })?;
        Ok(dir)
    };
    if options.is_detached || options.name.is_some() {
        let why = "only runs of bundles have names";
        return Err(OptionError::Refused("name", why).into());
    }
    if options.persist.is_some() {
        let why = "what is written can be kept for bundles only";
        return Err(OptionError::Refused("persist", why).into());
    }
    run(
        host,
        ImageConfig::default(),
        open,
        Extras::default(),
        options,
    )
}

/// What a run has besides its image.
#[derive(Default)]
struct Extras {
    /// The user's directory, in a bundle made with `--cli`.
    share: Option<working_dir::Share>,
    /// Where what is written is kept.
    place: Option<Place>,
    /// What others find it by.
    named: Option<Named>,
}

fn run(
    host: &Host<'_>,
    config: ImageConfig,
    root: impl FnOnce() -> Result<Arc<dyn HostDir>, StubError>,
    mut extras: Extras,
    options: &Options,
) -> Result<u8, StubError> {
    let hypervisor = hypervisor_of(host)?;
    let terminal = terminal::kind();
    if options.needs_terminal && terminal == Terminal::No {
        return Err(HostError::NoTerminal.into());
    }
    if options.has_no_network && !options.published.is_empty() {
        let why = "a guest without a network has no ports";
        return Err(OptionError::Refused("publish", why).into());
    }
    let steps = Steps::new(options.explains);
    let mut run = config.merge(options, terminal, &host_variable)?;
    steps.note(|| format!("run: {}", debug::words(&run.argv)));
    if let Some(named) = &mut extras.named {
        named.describe(&run);
    }
    let root = root()?;
    allow_descriptors();
    steps.note(|| "the image is unpacked".to_owned());
    let pending = signals::block().map_err(HostError::Io)?;
    let config = MachineConfig {
        ram_bytes: options.memory.unwrap_or(DEFAULT_MEMORY),
    };
    let machine = Machine::new(hypervisor, config).map_err(HostError::Machine)?;
    steps.note(|| format!("a machine with {} MiB", config.ram_bytes >> 20));
    let system = Arc::new(SystemHost);
    let kept = extras.place.as_ref().map(Place::kept).transpose()?;
    let fill = kept
        .flatten()
        .map(|kept| -> Fill { Box::new(|upper| kept.restore(upper)) });
    let parts = HostParts {
        root,
        fill,
        clock: system.clone(),
        random: system,
        stdio: match extras.named.as_ref().and_then(Named::log) {
            Some(log) => terminal::logged(&log),
            None => terminal::stdio(terminal),
        }
        .map_err(HostError::Io)?,
    };
    let prepared = prepare(&machine, parts).map_err(StartError::Boot)?;
    mount(prepared.files(), options, extras.share, &mut run)?;
    steps.note(|| {
        format!(
            "files are mounted; in {}",
            String::from_utf8_lossy(&run.cwd)
        )
    });
    let upper = Arc::clone(prepared.upper());
    let (booted, origin) = start(prepared, options, run, host.cpus, &steps)?;
    let booted = Arc::new(booted);
    if let Some(named) = &mut extras.named {
        named.publish(&booted, origin)?;
    }
    let status = attend(&booted, &machine, pending, options)?;
    steps.note(|| format!("the program has ended: {status}"));
    if let Some(place) = extras.place {
        place.keep(&upper)?;
    }
    if let Some(named) = extras.named {
        named.finish(status)?;
    }
    Ok(status)
}

/// What runs the guest. A Mac that cannot is asked why before anything is made; whoever
/// brings a hypervisor of their own need not be on a Mac.
fn hypervisor_of<'a>(host: &Host<'a>) -> Result<&'a dyn Hypervisor, HostError> {
    let lack = Lack::of(&doctor::Host::this());
    match (host.hypervisor, lack) {
        (Some(hypervisor), None | Some(Lack::Mac)) => Ok(hypervisor),
        (None, None) => Err(HostError::Lacks(Lack::Hypervisor)),
        (_, Some(lack)) => Err(HostError::Lacks(lack)),
    }
}

/// Asks for as many host descriptors as there may be without asking anybody: a Mac
/// starts programs with 256, which a guest's open files alone can reach.
fn allow_descriptors() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(MAX_DESCRIPTORS, |maximum| maximum.min(MAX_DESCRIPTORS));
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        // Where it is refused the old limit stays, which is enough for most.
        let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    }
}

/// Everything that is in the guest's files besides the image.
fn mount(
    world: &FileWorld,
    options: &Options,
    share: Option<working_dir::Share>,
    run: &mut Run,
) -> Result<(), StubError> {
    for tmpfs in &options.tmpfs {
        mount_memory(world, tmpfs)?;
    }
    let resolver = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    for (path, text) in synthesis::files(options, &String::from_utf8_lossy(&resolver)) {
        let mounted = world.mount_text(path.as_bytes(), text.as_bytes());
        mounted.map_err(|errno| StartError::mount(path.as_bytes(), errno))?;
    }
    for volume in &options.volumes {
        mount_volume(world, volume)?;
    }
    if let Some(share) = share {
        let guest = share.guest_path(|path| world.find(path).is_ok());
        let volume = Volume {
            host: share.host,
            guest: guest.clone(),
            is_read_only: false,
        };
        mount_volume(world, &volume)?;
        if options.workdir.is_none() {
            run.cwd = guest;
        }
    }
    if options.has_agent {
        agent::mount(world, run)?;
    }
    let made = world.make_directories(&run.cwd);
    made.map_err(|errno| StartError::mount(&run.cwd, errno))?;
    Ok(())
}

fn read_only(is_read_only: bool) -> MountFlags {
    if is_read_only {
        MountFlags::READ_ONLY
    } else {
        MountFlags::empty()
    }
}

fn mount_memory(world: &FileWorld, tmpfs: &Tmpfs) -> Result<(), StartError> {
    let mut flags = MountFlags::NO_SUID | MountFlags::NO_DEV | read_only(tmpfs.is_read_only);
    if !tmpfs.is_executable {
        flags |= MountFlags::NO_EXEC;
    }
    world
        .mount_memory(&tmpfs.path, tmpfs.mode, tmpfs.bytes, flags)
        .map_err(|errno| StartError::mount(&tmpfs.path, errno))
}

fn mount_volume(world: &FileWorld, volume: &Volume) -> Result<(), StartError> {
    let on_host = |source| StartError::Volume {
        path: volume.host.clone(),
        source,
    };
    let path = volume.host.canonicalize().map_err(on_host)?;
    let flags = read_only(volume.is_read_only);
    let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes);
    let (dir, part) = match (path.is_dir(), path.parent(), name) {
        (false, Some(parent), Some(name)) => (parent, HostPart::File(name)),
        _ => (path.as_path(), HostPart::Directory),
    };
    let dir = open_root(dir).map_err(|errno| StartError::mount(&volume.guest, errno))?;
    world
        .mount_host(dir, &part, &volume.guest, flags)
        .map_err(|errno| StartError::mount(&volume.guest, errno))
}

fn start(
    prepared: Prepared,
    options: &Options,
    mut run: Run,
    cpus: usize,
    steps: &Steps,
) -> Result<(Booted, Origin), StartError> {
    let read = |path: &[u8]| {
        let text = prepared.files().read_file(path, users::MAX_USERS);
        text.unwrap_or_default()
    };
    let user = users::resolve(&run.user, &read(b"/etc/passwd"), &read(b"/etc/group"))?;
    add_home(&mut run.env, &user.home);
    steps.note(|| {
        format!(
            "as {}:{}, with {}",
            user.uid,
            user.gid,
            debug::names(&run.env)
        )
    });
    secrets::mount(prepared.files(), &options.secrets, &user)?;
    if options.is_read_only {
        prepared.files().make_root_read_only();
    }
    let limits = Limits::default();
    for Ulimit { which, soft, hard } in options.ulimits.iter().copied() {
        let limit = Rlimit {
            cur: soft,
            max: hard,
        };
        let set = limits.set(which, limit, true);
        set.map_err(StartError::Limit)?;
    }
    let hostname = options.hostname.clone();
    let origin = Origin {
        env: run.env.clone(),
        cwd: run.cwd.clone(),
        user: run.user,
        limits: limits.fork(),
    };
    let booted = prepared.start(Program {
        command: Command {
            argv: run.argv,
            env: run.env,
            cwd: run.cwd,
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
        },
        hostname: hostname.unwrap_or_else(|| synthesis::DEFAULT_HOSTNAME.into()),
        limits,
        max_tasks: options.tasks.unwrap_or(DEFAULT_TASKS),
        network: (!options.has_no_network).then(|| Network::new(options.published.clone())),
        trace: options.is_traced,
        cpus: options.cpus.unwrap_or(cpus),
        seed: None,
        first: if options.has_init {
            First::Reaper
        } else {
            First::Program
        },
    })?;
    Ok((booted, origin))
}

/// Stays with the guest until it has ended.
fn attend(
    booted: &Arc<Booted>,
    machine: &Arc<Machine>,
    pending: signals::Pending,
    options: &Options,
) -> Result<u8, StubError> {
    let console = booted.console().cloned();
    let raw = console.clone().map(terminal::attach).transpose();
    let raw = raw.map_err(HostError::Io)?;
    let switch = raw.as_ref().map(Raw::switch);
    let guest = Arc::clone(booted);
    let handle = move |signal| match (signal, &console) {
        // A guest that has just ended needs no signal any more.
        (Signal::Guest(number), _) => drop(guest.signal(number)),
        (Signal::Window, Some(console)) => console.resized(terminal::window()),
        (Signal::Continued, _) => switch.iter().for_each(Switch::make_raw),
        (Signal::Window, None) => {}
    };
    pending.forward(handle).map_err(HostError::Io)?;
    let status = booted.run();
    drop(raw);
    if options.shows_stats {
        let form = if options.is_json {
            stats::Form::Json
        } else {
            stats::Form::Lines
        };
        stats::print(machine, booted, form);
    }
    Ok(status.map_err(StartError::Boot)?.shell_status())
}
