// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle ps` and `stop`: runs of bundles that have a name. `logs` and `exec` have
//! modules of their own and use what is here.

use std::io::Write;
use std::time::{Duration, Instant};

use elfuse_runs::control::{Reply, Request, ask};
use elfuse_runs::{Found, RunError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Outcome, output};
use crate::date;

/// How often is looked whether a run has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Which runs.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "A run has a name when it was started with --name or --detach.\n\nExamples:\n  elfuse-bundle ps --all\n  elfuse-bundle ps --json | jq -r '.[].name'\n  elfuse-bundle ps --prune"
)]
pub(super) struct PsArgs {
    /// Also those that have ended
    #[arg(long, short = 'a')]
    all: bool,
    /// Forget those that have ended, with their logs
    #[arg(long)]
    prune: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Which runs to end.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The program gets the image's stop signal, SIGTERM where it names none.\n\nExamples:\n  elfuse-bundle stop web\n  elfuse-bundle stop --time 60 db"
)]
pub(super) struct StopArgs {
    /// Their names
    #[arg(required = true)]
    names: Vec<String>,
    /// Seconds until a program that goes on is killed
    #[arg(long, short = 't', default_value_t = 10)]
    time: u32,
}

/// An error with its hint on a line of its own.
pub(super) fn told(error: RunError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => {
            let hint = format!("{error}\nhint: {hint}");
            anyhow::Error::from(error).context(hint)
        }
        None => error.into(),
    }
}

/// The run `name`.
pub(super) fn named(name: &str) -> anyhow::Result<Found> {
    Found::named(name).map_err(told)
}

fn state(run: &Found) -> String {
    match (run.is_running(), run.record.end) {
        (true, _) => "running".to_owned(),
        (false, Some(end)) => format!("ended with {}", end.status),
        (false, None) => "killed".to_owned(),
    }
}

pub(super) fn ps(args: &PsArgs) -> anyhow::Result<Outcome> {
    let mut runs = Found::all().map_err(told)?;
    if args.prune {
        for run in &runs {
            run.forget().map_err(told)?;
        }
        runs = Found::all().map_err(told)?;
    }
    runs.retain(|run| args.all || run.is_running());
    if args.json {
        output::print_json(&runs.iter().map(describe).collect::<Vec<_>>())?;
        return Ok(Outcome::Success);
    }
    output::until_closed(|out| {
        let width = runs.iter().map(|run| run.record.name.len()).max();
        let width = width.unwrap_or(0).max("NAME".len());
        writeln!(
            out,
            "{:width$}  {:>7}  {:<14}  {:<19}  COMMAND",
            "NAME", "PID", "STATE", "STARTED"
        )?;
        runs.iter().try_for_each(|run| line(out, run, width))
    })?;
    Ok(Outcome::Success)
}

fn line(out: &mut dyn Write, run: &Found, width: usize) -> std::io::Result<()> {
    let record = &run.record;
    let started = date::readable(i64::try_from(record.started).unwrap_or(i64::MAX));
    let command: String = record.command.join(" ").chars().take(60).collect();
    let (name, pid, state) = (&record.name, record.pid, state(run));
    let command = command.replace(char::is_control, "?");
    writeln!(
        out,
        "{name:width$}  {pid:>7}  {state:<14}  {started:<19}  {command}"
    )
}

fn describe(run: &Found) -> Value {
    let record = &run.record;
    json!({
        "name": record.name,
        "pid": record.pid,
        "running": run.is_running(),
        "status": record.end.map(|end| end.status),
        "started": record.started,
        "ended": record.end.map(|end| end.at),
        "bundle": record.bundle,
        "command": record.command,
        "detached": record.is_detached,
    })
}

pub(super) fn stop(args: &StopArgs) -> anyhow::Result<Outcome> {
    let runs: Vec<_> = args
        .names
        .iter()
        .map(|name| named(name))
        .collect::<Result<_, _>>()?;
    for run in &runs {
        stop_one(run, Duration::from_secs(args.time.into()))?;
        output::until_closed(|out| writeln!(out, "{}", run.record.name))?;
    }
    Ok(Outcome::Success)
}

fn stop_one(run: &Found, patience: Duration) -> anyhow::Result<()> {
    let asked = ask(run, &Request::Signal(run.record.stop_signal), &[]);
    match asked {
        Ok(Reply::Refused { .. } | Reply::Done | Reply::Ended(_)) => {}
        Err(RunError::Ended(name)) => return Err(told(RunError::Ended(name))),
        // One that does not listen is killed when its time is over.
        Err(_) => {}
    }
    if has_ended(run, patience) {
        return Ok(());
    }
    let pid = Pid::from_raw(run.record.pid);
    let pid = pid.ok_or_else(|| anyhow::anyhow!("stop {}: no process", run.record.name))?;
    // It holds the lock of its record, so the number is still its own.
    match kill_process(pid, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => anyhow::bail!(
            "stop {}: kill process {}: {error}",
            run.record.name,
            run.record.pid
        ),
    }
    if has_ended(run, Duration::from_secs(10)) {
        return Ok(());
    }
    anyhow::bail!(
        "stop {}: process {} does not end",
        run.record.name,
        run.record.pid
    )
}

fn has_ended(run: &Found, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while run.is_running() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
