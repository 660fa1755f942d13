// SPDX-License-Identifier: GPL-2.0-only
//! Runs a bundle, or a program of a root directory, on Linux through the simulator.
//!
//! `elfuse-sim BUNDLE [ARGS]` does what the bundle does on a Mac; it is what
//! `elfuse-bundle run` starts. `elfuse-sim ROOTFS [OPTIONS] -- PROGRAM ARGS` takes
//! the same options. The exit status is the program's, 128 plus the number of the
//! signal that ended it, or 125 to 127 as `docker run` has them.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use elfuse_hvsim::Simulator;
use elfuse_stub::{Host, OWN_FAILURE};

const USAGE: &str = "\
Usage: elfuse-sim BUNDLE [OPTIONS] [COMMAND [ARGS]]
       elfuse-sim ROOTFS [OPTIONS] -- COMMAND [ARGS]
       elfuse-sim --version

BUNDLE is a file made by elfuse-bundle, ROOTFS a directory. The options are those
of a bundle: elfuse-sim BUNDLE --elfuse-help";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [subject, rest @ ..] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(OWN_FAILURE);
    };
    match subject.to_str() {
        Some("--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("elfuse-sim {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let host = Host {
        hypervisor: Some(&Simulator),
        cpus: 1,
        description: "simulated, for tests".to_owned(),
    };
    let subject = Path::new(subject);
    let mut out = std::io::stdout();
    let done = if subject.is_dir() {
        elfuse_stub::run_directory(&host, subject, rest, &mut out)
    } else {
        let options = std::env::var_os("ELFUSE_OPTS");
        elfuse_stub::run(&host, subject, rest, options.as_ref(), &mut out)
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("elfuse: {}", error.full_message());
            ExitCode::from(error.exit_status())
        }
    }
}
