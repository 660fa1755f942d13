// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle exec NAME COMMAND`: a program beside the one of a run, in the same
//! guest, with this command's streams. Its exit status is this command's.

mod terminal;

use std::os::fd::AsFd;

use elfuse_runs::control::{Exec, Reply, Request, ask};

use super::{Outcome, output, runs};

/// What to start, and where.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The program has the run's environment, user and working directory unless told otherwise. It has no terminal without -t: full-screen programs and job control do not work in it.\n\nExamples:\n  elfuse-bundle exec web ps\n  elfuse-bundle exec -it web sh\n  elfuse-bundle exec -e LANG=C -w /srv web sh -c 'ls -l'"
)]
pub(super) struct ExecArgs {
    /// Set a variable
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Start in this directory
    #[arg(long, short = 'w', value_name = "DIR")]
    workdir: Option<String>,
    /// Run as this user, by name or number
    #[arg(long, short = 'u', value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Nothing: standard input is always there
    #[arg(long, short = 'i')]
    interactive: bool,
    /// Give it this terminal
    #[arg(long, short = 't')]
    tty: bool,
    /// The run's name
    name: String,
    /// The program and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &ExecArgs) -> anyhow::Result<Outcome> {
    let is_pair = |pair: &&String| {
        pair.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty())
    };
    if let Some(bad) = args.env.iter().find(|pair| !is_pair(pair)) {
        anyhow::bail!("read --env {bad:?}: expected NAME=VALUE");
    }
    let run = runs::named(&args.name)?;
    let exec = Exec {
        argv: args.command.clone(),
        env: args.env.clone(),
        workdir: args.workdir.clone(),
        user: args.user.clone(),
    };
    let reply = if args.tty {
        terminal::run(&run, exec)?
    } else {
        let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
        ask(&run, &Request::Exec(exec), &streams).map_err(runs::told)?
    };
    match reply {
        Reply::Ended(status) => Ok(Outcome::Status(status)),
        Reply::Refused { why, status } => {
            output::print_error(&anyhow::anyhow!("run in {}: {why}", args.name));
            Ok(Outcome::Status(status))
        }
        Reply::Done => anyhow::bail!("run in {}: no answer about its end", args.name),
    }
}
