// SPDX-License-Identifier: MIT OR Apache-2.0
//! The macOS program that carries a bundle's payload, as a library: it builds
//! and is tested on every host, and takes the program file and the arguments
//! from its caller.
//!
//! [`run`] reads the program's own options ([`options`]), finds the payload in
//! the program file ([`locate`]) and describes ([`describe`]), extracts
//! ([`extract`]) or runs ([`launch`]) what is in it. The hypervisor is the
//! caller's: Apple's in the program that ships, a simulator on Linux. Exit status
//! 125 is a failure of the stub itself, as container tools have it.

mod agent;
mod cache;
mod config;
mod debug;
mod describe;
pub mod doctor;
mod error;
mod extract;
mod launch;
mod locate;
mod named;
mod options;
mod persist;
mod secrets;
mod signals;
mod stats;
mod synthesis;
mod terminal;
mod tree;
mod users;
pub mod volume;
mod working_dir;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub use error::{
    CacheError, HostError, OWN_FAILURE, OptionError, PersistError, StartError, StubError,
};
pub use locate::{LocateError, payload_range};

use elfuse_machine::hv::Hypervisor;
use elfuse_payload::Range;
use elfuse_payload::reader::Payload;
use options::{Action, CacheAction, Options};

/// What the host has for guests.
pub struct Host<'a> {
    /// What runs them; `None` where nothing can.
    pub hypervisor: Option<&'a dyn Hypervisor>,
    /// Processors of a guest that is not told another number.
    pub cpus: usize,
    /// A line for `--elfuse-version`.
    pub description: String,
}

/// Does what `args` and `environment_options` (the words of `ELFUSE_OPTS`) ask of
/// the bundle at `program`, writing to `out`; answers the exit status.
///
/// # Errors
/// [`StubError`]; the caller prints it and exits with its status.
pub fn run(
    host: &Host<'_>,
    program: &Path,
    args: &[OsString],
    environment_options: Option<&OsString>,
    out: &mut dyn Write,
) -> Result<u8, StubError> {
    // A bundle made with --cli leaves its arguments to the program inside, and
    // only the payload knows; so what needs no payload is tried last.
    match open(program) {
        Ok(payload) => {
            let provenance = payload.provenance();
            let given = Options::baked(&provenance.run_options)?;
            let given = given.and_environment(environment_options)?;
            let options = if provenance.cli {
                given.with_command(args)
            } else {
                given.and(args)?
            };
            perform(host, &payload, program, &options, out)
        }
        Err(error) => {
            let given = Options::default().and_environment(environment_options)?;
            let given = given.and(args)?;
            match given.action {
                Some(Action::Doctor) => return examine(host, program, given.is_json, out),
                Some(Action::Help) => out.write_all(options::help().as_bytes())?,
                Some(Action::Version) => version(host, out)?,
                _ => return Err(error),
            }
            Ok(0)
        }
    }
}

/// Runs a program of the root directory `root`, which has no config: `args` are
/// options and the command.
///
/// # Errors
/// As [`run`].
pub fn run_directory(
    host: &Host<'_>,
    root: &Path,
    args: &[OsString],
    out: &mut dyn Write,
) -> Result<u8, StubError> {
    let options = Options::default().and(args)?;
    match options.action {
        None => launch::directory(host, root, &options),
        Some(Action::Help) => {
            out.write_all(options::help().as_bytes())?;
            Ok(0)
        }
        Some(_) => Err(OptionError::Refused("elfuse-...", "this is no bundle").into()),
    }
}

fn perform(
    host: &Host<'_>,
    payload: &Payload,
    program: &Path,
    options: &Options,
    out: &mut dyn Write,
) -> Result<u8, StubError> {
    match &options.action {
        None => return launch::image(host, payload, program, options, out),
        Some(Action::Help) => out.write_all(options::help().as_bytes())?,
        Some(Action::Version) => version(host, out)?,
        Some(Action::Inspect) if options.is_json => describe::json(payload, out)?,
        Some(Action::Inspect) => describe::text(payload, program, out)?,
        Some(Action::Doctor) => return examine(host, program, options.is_json, out),
        Some(Action::Extract(directory)) => extract::extract(payload, directory)?,
        Some(Action::Cache(CacheAction::Status)) => cache::status(options.is_json, out)?,
        Some(Action::Cache(CacheAction::Prune)) => {
            cache::prune(options.spare, options.is_json, out)?
        }
        Some(Action::Cache(CacheAction::Detach)) => cache::detach()?,
    }
    Ok(0)
}

/// `--elfuse-doctor`: exit status 1 when something is bad.
fn examine(
    host: &Host<'_>,
    program: &Path,
    is_json: bool,
    out: &mut dyn Write,
) -> Result<u8, StubError> {
    let report = doctor::examine(&doctor::Patient {
        host: doctor::Host::this(),
        program,
        cache: &cache::directory()?,
        images: &volume::Hdiutil::default(),
        hypervisor: host.hypervisor,
    });
    if is_json {
        report.write_json(out)?;
    } else {
        report.write_table(out)?;
    }
    Ok(u8::from(!report.is_well()))
}

fn open(program: &Path) -> Result<Payload, StubError> {
    let failed = |source| StubError::Open {
        path: program.to_path_buf(),
        source,
    };
    let file = File::open(program).map_err(failed)?;
    let bytes = elfuse_payload::FileRange::whole(file).map_err(failed)?;
    let locate = |source| StubError::Locate {
        path: program.to_path_buf(),
        source,
    };
    let segment = payload_range(&bytes).map_err(locate)?;
    let segment = Range::new(Arc::new(bytes), segment.start, segment.end - segment.start)
        .ok_or_else(|| locate(LocateError::OutsideFile))?;
    Ok(Payload::open(segment)?)
}

fn version(host: &Host<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "elfuse-stub {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "hypervisor: {}", host.description)
}
