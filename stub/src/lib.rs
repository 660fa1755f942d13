// SPDX-License-Identifier: MIT OR Apache-2.0
//! The macOS program that carries a bundle's payload, as a library: it builds
//! and is tested on every host, and takes the program file and the arguments
//! from its caller.
//!
//! [`run`] reads the program's own options ([`options`]), finds the payload in
//! the program file ([`locate`]) and describes ([`describe`]) or extracts
//! ([`extract`]) it. Exit status 125 is a failure of the stub itself, as
//! container tools have it.

mod describe;
mod error;
mod extract;
#[cfg_attr(not(target_os = "macos"), path = "hypervisor/absent.rs")]
mod hypervisor;
mod locate;
mod options;
pub mod volume;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub use error::StubError;
pub use locate::{LocateError, payload_range};
pub use options::HELP;

use elfuse_payload::Range;
use elfuse_payload::reader::Payload;
use options::{Action, Options};

/// Exit status of a failure that is the stub's and not the guest's.
pub const OWN_FAILURE: u8 = 125;

/// Does what `args` and `environment_options` (the words of ELFUSE_OPTS) ask of
/// the bundle at `program`, writing to `out`.
///
/// # Errors
/// [`StubError`]; the caller prints it and exits with [`OWN_FAILURE`].
pub fn run(
    program: &Path,
    args: &[OsString],
    environment_options: Option<&OsString>,
    out: &mut dyn Write,
) -> Result<(), StubError> {
    let given = Options::from_environment(environment_options)?;
    // A bundle made with --cli leaves its arguments to the program inside, and
    // only the payload knows; so what needs no payload is tried last.
    match open(program) {
        Ok(payload) => {
            let options = if payload.provenance().cli {
                given
            } else {
                given.and(args)?
            };
            perform(&payload, program, options, out)
        }
        Err(error) => match given.and(args)?.action {
            Action::Help => Ok(out.write_all(HELP.as_bytes())?),
            Action::Version => Ok(version(out)?),
            _ => Err(error),
        },
    }
}

fn perform(
    payload: &Payload,
    program: &Path,
    options: Options,
    out: &mut dyn Write,
) -> Result<(), StubError> {
    match options.action {
        Action::Help => Ok(out.write_all(HELP.as_bytes())?),
        Action::Version => Ok(version(out)?),
        Action::Inspect { json: false } => Ok(describe::text(payload, program, out)?),
        Action::Inspect { json: true } => Ok(describe::json(payload, out)?),
        Action::Extract(directory) => extract::extract(payload, &directory),
        Action::Run => Err(StubError::NoRuntime),
    }
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

fn version(out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "elfuse-stub {}", env!("CARGO_PKG_VERSION"))?;
    match hypervisor::max_vcpus() {
        Some(count) => writeln!(out, "hypervisor: up to {count} virtual CPUs"),
        None => writeln!(out, "hypervisor: not available on this machine"),
    }
}
