// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle status` and `prune`: the store.

use std::time::Duration;

use elfuse_runs::spare::{self, Spare};

use super::{Global, Outcome, output};
use crate::progress::human_bytes;

/// How to print.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  elfuse-bundle status --json")]
pub(super) struct StatusArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What to keep.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without options everything goes.\n\nExamples:\n  elfuse-bundle prune --older-than 30d\n  elfuse-bundle prune --keep-bytes 5g"
)]
pub(super) struct PruneArgs {
    /// Remove what was not used for so long: a number and s, m, h or d
    #[arg(long, value_name = "AGE", value_parser = spare::parse_age)]
    older_than: Option<Duration>,
    /// Then remove the longest unused until so much is left: bytes, or a number and k, m, g
    /// or t, powers of 1024
    #[arg(long, value_name = "SIZE", value_parser = spare::parse_size)]
    keep_bytes: Option<u64>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs, global: &Global) -> anyhow::Result<Outcome> {
    let status = global.open_store()?.status()?;
    if args.json {
        output::print_json(&status)?;
        return Ok(Outcome::Success);
    }
    let count = |count: u64, bytes| format!("{count}, {}", human_bytes(bytes));
    output::print_fields(&[
        ("store", status.path.display().to_string()),
        ("blobs", count(status.blobs, status.blob_bytes)),
        (
            "squashed layers",
            count(status.derived, status.derived_bytes),
        ),
        (
            "interrupted downloads",
            count(status.partial, status.partial_bytes),
        ),
        ("pinned tags", status.pins.to_string()),
    ])?;
    Ok(Outcome::Success)
}

pub(super) fn prune(args: &PruneArgs, global: &Global) -> anyhow::Result<Outcome> {
    let pruned = global.open_store()?.prune(Spare {
        older_than: args.older_than,
        keep_bytes: args.keep_bytes,
    })?;
    if args.json {
        output::print_json(&pruned)?;
    } else if !global.quiet {
        let (freed, kept) = (human_bytes(pruned.bytes), human_bytes(pruned.kept_bytes));
        let files = pruned.files;
        let line = format_args!("removed {files} files, freed {freed}, kept {kept}");
        output::print_line(&line)?;
    }
    Ok(Outcome::Success)
}
