// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--detach`: the program starts itself once more, in a session of its own, waits
//! until the guest has started, prints the run's name and ends.
//!
//! What keeps the guest from starting is printed by the second program on the same
//! standard error, and its exit status is handed on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for the second program.
const MARK: &str = "ELFUSE_DETACHED";

/// Is this the second program?
pub(crate) fn is_second() -> bool {
    std::env::var_os(MARK).as_deref() == Some(OsStr::new("1"))
}

/// Starts the second program and answers this one's exit status.
pub(crate) fn start_second(out: &mut dyn Write) -> io::Result<u8> {
    let mut second = Command::new(std::env::current_exe()?);
    second.args(std::env::args_os().skip(1)).env(MARK, "1");
    let streams = second.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = streams.spawn()?;
    let mut name = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut name)?;
    }
    if name.ends_with('\n') {
        out.write_all(name.as_bytes())?;
        return Ok(0);
    }
    let status = child.wait()?.code();
    Ok(status
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(125))
}

/// In the second program: leaves the terminal and the job of the first.
pub(crate) fn leave_session() -> io::Result<()> {
    Ok(rustix::process::setsid().map(drop)?)
}

/// In the second program: says the run's name and lets go of the first one's streams.
pub(super) fn go_on_alone(name: &str, errors: &Path) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{name}")?;
    out.flush()?;
    let null = File::options().write(true).open("/dev/null")?;
    replace(&null, libc::STDOUT_FILENO)?;
    replace(&File::create(errors)?, libc::STDERR_FILENO)
}

fn replace(file: &File, stream: libc::c_int) -> io::Result<()> {
    // SAFETY: both are descriptors of this process, and no Rust object owns a standard
    // stream's number.
    match unsafe { libc::dup2(file.as_raw_fd(), stream) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
