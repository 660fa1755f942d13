// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle run FILE [ARGS]`: becomes the program that runs a bundle here.
//! That is the bundle itself on a Mac; elsewhere it is `elfuse-sim`, a separate
//! program under another licence, which runs the very same payload.

#[cfg_attr(target_os = "macos", path = "run/mac.rs")]
#[cfg_attr(not(target_os = "macos"), path = "run/simulator.rs")]
mod runner;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;

use anyhow::Context;

use super::Outcome;
use crate::bundle::Bundle;

/// What to run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The bundle's own options are in the output of the second example.\n\nExamples:\n  elfuse-bundle run ./alpine sh -c 'uname -a'\n  elfuse-bundle run ./alpine --elfuse-help\n  elfuse-bundle run ./jq -e A=1 -v ~/data:/data:ro"
)]
pub(super) struct RunArgs {
    /// The bundle, then its options, a command and its arguments, as on a Mac
    #[arg(
        value_name = "FILE [ARGS]",
        required = true,
        num_args = 1..,
        trailing_var_arg = true
    )]
    words: Vec<OsString>,
}

#[cfg(test)]
impl RunArgs {
    pub(super) fn words(&self) -> &[OsString] {
        &self.words
    }
}

/// Returns only errors.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    let [file, args @ ..] = args.words.as_slice() else {
        anyhow::bail!("run: no bundle named");
    };
    let path = Path::new(file);
    // What is no bundle is refused here, with this program's words.
    drop(Bundle::open(path)?);
    let mut command = runner::command(path)?;
    let program = command.get_program().to_owned();
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("start {}", Path::new(&program).display()))
}
