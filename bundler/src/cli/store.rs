// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle status` and `prune`: the store.

use std::time::Duration;

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
    after_help = "Without options everything goes.\n\nExamples:\n  elfuse-bundle prune --older-than 30d\n  elfuse-bundle prune --keep-bytes 5G"
)]
pub(super) struct PruneArgs {
    /// Remove what was not used for so long: a number and s, m, h or d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<Duration>,
    /// Then remove the longest unused until so much is left: bytes, or K, M, G, T
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
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
    let pruned = global
        .open_store()?
        .prune(args.older_than, args.keep_bytes)?;
    if args.json {
        output::print_json(&pruned)?;
    } else if !global.quiet {
        let (freed, kept) = (human_bytes(pruned.bytes), human_bytes(pruned.kept_bytes));
        println!("removed {} files, freed {freed}, kept {kept}", pruned.files);
    }
    Ok(Outcome::Success)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let parsed = split_number(text).and_then(|(number, unit)| {
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return None,
        };
        Some(Duration::from_secs(number.checked_mul(seconds)?))
    });
    parsed.ok_or_else(|| "expected a number and s, m, h or d, such as 30d".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    let parsed = split_number(text).and_then(|(number, unit)| {
        let factor: u64 = match unit {
            "" => 1,
            "K" => 1000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            _ => return None,
        };
        number.checked_mul(factor)
    });
    parsed.ok_or_else(|| "expected a number of bytes, or one with K, M, G or T".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_have_units() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_secs(30 * 86400)));
        assert!(parse_age("30").is_err() && parse_age("d").is_err());
        assert_eq!(parse_size("5G"), Ok(5_000_000_000));
        assert!(parse_size("99999999T").is_err() && parse_size("1X").is_err());
    }
}
