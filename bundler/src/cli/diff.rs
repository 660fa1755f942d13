// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle diff FILE FILE`: what is different, and an exit code.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::list::kind_name;
use super::{Global, Outcome, output};
use crate::bundle::{Aspect, Bundle, Change, Differences, Tree, compare, text};

/// What to compare.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Lines begin with + for what only the second bundle has, - for what only the first has, ! for what differs. Exit code 0 means equal, 1 different.\n\nExample:\n  elfuse-bundle diff ./alpine-3.20 ./alpine-3.21"
)]
pub(super) struct DiffArgs {
    /// The first bundle
    one: PathBuf,
    /// The second bundle
    two: PathBuf,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DiffArgs, global: &Global) -> anyhow::Result<Outcome> {
    let one = Bundle::open(&args.one)?;
    let two = Bundle::open(&args.two)?;
    let (one_tree, two_tree) = (Tree::open(&one)?, Tree::open(&two)?);
    let found = compare((&one, &one_tree), (&two, &two_tree))?;
    if args.json {
        output::print_json(&describe(&found))?;
    } else if !global.quiet {
        print(&found)?;
    }
    Ok(if found.is_empty() {
        Outcome::Success
    } else {
        Outcome::Difference
    })
}

fn print(found: &Differences<'_>) -> anyhow::Result<()> {
    output::until_closed(|out| {
        for (name, one, two) in &found.settings {
            writeln!(out, "! setting {name}: {one} to {two}")?;
        }
        for change in &found.files {
            match change {
                Change::Added(entry) => writeln!(out, "+ {}", text(&entry.path))?,
                Change::Removed(entry) => writeln!(out, "- {}", text(&entry.path))?,
                Change::Changed(entry, _, aspects) => {
                    let aspects: Vec<_> = aspects.iter().copied().map(word).collect();
                    writeln!(out, "! {}: {}", text(&entry.path), aspects.join(", "))?;
                }
            }
        }
        Ok(())
    })
}

fn word(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Type => "type",
        Aspect::Mode => "mode",
        Aspect::Owner => "owner",
        Aspect::Mtime => "mtime",
        Aspect::Xattrs => "xattrs",
        Aspect::Link => "link",
        Aspect::Device => "device",
        Aspect::Content => "content",
    }
}

fn describe(found: &Differences<'_>) -> Value {
    let files = found.files.iter().map(|change| match change {
        Change::Added(entry) => {
            json!({"path": text(&entry.path), "change": "added", "type": kind_name(entry.kind)})
        }
        Change::Removed(entry) => {
            json!({"path": text(&entry.path), "change": "removed", "type": kind_name(entry.kind)})
        }
        Change::Changed(entry, _, aspects) => {
            json!({"path": text(&entry.path), "change": "changed", "aspects": aspects})
        }
    });
    let settings = found
        .settings
        .iter()
        .map(|(name, one, two)| json!({"name": name, "from": one, "to": two}));
    json!({
        "equal": found.is_empty(),
        "settings": settings.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}
