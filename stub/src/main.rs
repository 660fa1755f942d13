// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program at the start of every bundle: hands its own file, its arguments
//! and the host's hypervisor to the library.

#[cfg_attr(
    all(target_os = "macos", target_arch = "aarch64"),
    path = "hypervisor/apple.rs"
)]
#[cfg_attr(
    not(all(target_os = "macos", target_arch = "aarch64")),
    path = "hypervisor/absent.rs"
)]
mod hypervisor;

use std::ffi::OsString;
use std::process::ExitCode;

use elfuse_stub::StubError;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let options = std::env::var_os("ELFUSE_OPTS");
    let done = std::env::current_exe()
        .map_err(StubError::NoProgramFile)
        .and_then(|program| {
            let host = hypervisor::host();
            let mut out = std::io::stdout();
            elfuse_stub::run(&host, &program, &args, options.as_ref(), &mut out)
        });
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("elfuse: {}", error.full_message());
            ExitCode::from(error.exit_status())
        }
    }
}
