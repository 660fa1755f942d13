// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle sbom FILE`: which packages are inside.

use std::path::PathBuf;

use super::{Global, Outcome, output};
use crate::bundle::Bundle;
use crate::sbom::{Format, Inventory};

/// Of what, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Reads the package databases of dpkg, apk and rpm inside the bundle, rpm's in any of its formats: SQLite, ndb and Berkeley DB. The same bundle gives the same document.\n\nExamples:\n  elfuse-bundle sbom ./alpine > alpine.spdx.json\n  elfuse-bundle sbom ./alpine --format cyclonedx > alpine.cdx.json"
)]
pub(super) struct SbomArgs {
    /// The bundle
    file: PathBuf,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "spdx")]
    format: Format,
}

pub(super) fn run(args: &SbomArgs, global: &Global) -> anyhow::Result<Outcome> {
    let inventory = Inventory::of(&Bundle::open(&args.file)?)?;
    let progress = global.progress();
    for note in inventory.notes() {
        progress.note(note);
    }
    drop(progress);
    output::print_json(&inventory.document(args.format))?;
    Ok(Outcome::Success)
}
