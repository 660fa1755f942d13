// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program at the start of every bundle: hands its own file and its
//! arguments to the library.

use std::ffi::OsString;
use std::process::ExitCode;

use elfuse_stub::{OWN_FAILURE, StubError};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let options = std::env::var_os("ELFUSE_OPTS");
    let done = std::env::current_exe()
        .map_err(StubError::NoProgramFile)
        .and_then(|program| {
            elfuse_stub::run(
                &program,
                &args,
                options.as_ref(),
                &mut std::io::stdout().lock(),
            )
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("elfuse: {}", error.full_message());
            ExitCode::from(OWN_FAILURE)
        }
    }
}
