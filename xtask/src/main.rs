// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask ...`: the only entry for build, test, bench and release. Each
//! command sets up what it needs, by name, and is silent about what is there
//! already.

mod bench;
mod bundle;
mod check;
mod cross;
mod imports;
mod mac_check;
mod macho;
mod packages;
mod process;
mod run;
mod rust_src;
mod stub;
mod tally;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds the macOS stub that every bundle begins with, and prints its path
    Stub,
    /// Checks format, lints, house rules, documents and licences
    Check {
        /// Also run each fuzz target for a minute
        #[arg(long)]
        fuzz: bool,
    },
    /// Installs, builds and runs all tests
    Test {
        /// Also run the suites that take minutes
        #[arg(long)]
        long: bool,
        /// Also do what `cargo xtask check` does
        #[arg(long)]
        check: bool,
        /// Run only tests whose names contain one of these
        filter: Vec<String>,
    },
    /// Measures what docs/budgets.md promises, beside other programs
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Builds the simulator, then runs a program of a root directory in it
    ///
    /// `cargo xtask run ROOTFS [OPTIONS] -- PROGRAM ARGS`; the exit status is the
    /// program's.
    #[command(disable_help_flag = true)]
    Run {
        /// What elfuse-sim gets: `DIR --strace -- ls -l`, `--help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// On a Mac: builds, has the signature judged, asks the doctor, runs a bundle
    MacCheck {
        /// Print the steps, on any host
        #[arg(long)]
        dry_run: bool,
        /// The image to bundle: one with a busybox or coreutils
        #[arg(default_value = "alpine:latest")]
        image: String,
    },
    /// Builds the documentation of all crates
    Doc,
    /// Builds what is stale, then runs elfuse-bundle with ARGS
    #[command(disable_help_flag = true)]
    Bundle {
        /// What elfuse-bundle gets: `alpine:latest -o alpine`, `--help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// An image of 600 MB to a bundle, and back to files
    Bundle {
        /// How often each program runs; the quickest run counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// From a bundle to a program that has ended, with and without a warm cache
    Start {
        /// How often each program runs; the quickest run counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Processes, pipes, system calls and arithmetic in the simulator
    Runtime {
        /// How often each program runs; the median counts
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Bench {
            what: Bench::Bundle { rounds },
        } => bench::bundle::run(rounds)?,
        Task::Bench {
            what: Bench::Start { rounds },
        } => bench::start::run(rounds)?,
        Task::Bench {
            what: Bench::Runtime { rounds },
        } => bench::runtime::run(rounds)?,
        Task::Stub => println!("{}", stub::build()?.display()),
        Task::Check { fuzz } => check::run(fuzz)?.finish()?,
        Task::Test {
            long,
            check,
            filter,
        } => {
            test::run(&test::Suites { long, check }, &filter)?;
        }
        Task::Doc => {
            let mut doc = process::cargo();
            doc.args(["doc", "--locked", "--workspace", "--no-deps"]);
            process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
        }
        Task::MacCheck { dry_run, image } => mac_check::run(&image, dry_run)?,
        Task::Bundle { args } => bundle::start(&args)?,
        Task::Run { args } => run::run(&args)?,
    }
    Ok(())
}
