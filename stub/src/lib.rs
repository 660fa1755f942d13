// SPDX-License-Identifier: MIT OR Apache-2.0
//! The macOS program that carries a bundle's payload, as a library: it builds
//! and is tested on every host, and takes the program file and the arguments
//! from its caller.
//!
//! [`run`] reads the program's own options ([`options`]), finds the payload in
//! the program file ([`locate`]). Exit status 125 is a failure of the stub itself, as
//! container tools have it.

mod error;
#[cfg_attr(not(target_os = "macos"), path = "hypervisor/absent.rs")]
mod hypervisor;
mod locate;
mod options;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;

pub use error::StubError;
pub use locate::{LocateError, payload_range};
pub use options::HELP;

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
    match given.and(args)?.action {
        Action::Help => Ok(out.write_all(HELP.as_bytes())?),
        Action::Version => Ok(version(out)?),
        Action::Run => {
            find_payload(program)?;
            Err(StubError::NoRuntime)
        }
    }
}

fn find_payload(program: &Path) -> Result<std::ops::Range<u64>, StubError> {
    let failed = |source| StubError::Open {
        path: program.to_path_buf(),
        source,
    };
    let file = elfuse_payload::FileRange::whole(File::open(program).map_err(failed)?);
    payload_range(&file.map_err(failed)?).map_err(|source| StubError::Locate {
        path: program.to_path_buf(),
        source,
    })
}

fn version(out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "elfuse-stub {}", env!("CARGO_PKG_VERSION"))?;
    match hypervisor::max_vcpus() {
        Some(count) => writeln!(out, "hypervisor: up to {count} virtual CPUs"),
        None => writeln!(out, "hypervisor: not available on this machine"),
    }
}
