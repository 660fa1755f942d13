// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle logs NAME`: what a detached run has printed, and goes on to print.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use elfuse_runs::{Found, log};

use super::{Outcome, output, runs};

/// How often is looked whether there is more.
const PAUSE: Duration = Duration::from_millis(100);

/// Whose.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Output and errors are in one log of at most 16 MiB; what was printed first goes first.\n\nExamples:\n  elfuse-bundle logs web\n  elfuse-bundle logs -f web"
)]
pub(super) struct LogsArgs {
    /// The run's name
    name: String,
    /// Go on until the run ends
    #[arg(long, short = 'f')]
    follow: bool,
}

pub(super) fn run(args: &LogsArgs) -> anyhow::Result<Outcome> {
    let run = runs::named(&args.name)?;
    anyhow::ensure!(
        run.record.is_detached,
        "read the log of {}: it has none\nhint: runs started with --detach have one",
        args.name
    );
    output::until_closed(|out| print(&run, args.follow, out))?;
    Ok(Outcome::Success)
}

fn print(run: &Found, follows: bool, out: &mut dyn Write) -> io::Result<()> {
    let path = run.file("log");
    let mut file = File::open(&path)?;
    copy(&log::older(&path), out)?;
    loop {
        // Asked first: what is printed before the end is read after it.
        let is_running = run.is_running();
        io::copy(&mut file, out)?;
        out.flush()?;
        if !follows || !is_running {
            return Ok(());
        }
        // A log that is full was renamed; a new one has begun.
        let there = std::fs::metadata(&path).map(|there| there.ino());
        if there.is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() != there)) {
            io::copy(&mut file, out)?;
            file = File::open(&path)?;
            continue;
        }
        std::thread::sleep(PAUSE);
    }
}

fn copy(path: &Path, out: &mut dyn Write) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => io::copy(&mut opened?, out).map(drop),
    }
}
