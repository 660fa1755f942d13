// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle export FILE TARGET`: the image for other tools.

use std::path::PathBuf;

use super::fetch::threads;
use super::{Global, Outcome};
use crate::bundle::Bundle;
use crate::export::{Target, export};

/// What to export, and where to.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The OCI forms hold the same manifest and layer as the bundle, under the same digests. The docker form holds\nthe layer uncompressed.\n\nExamples:\n  elfuse-bundle export ./alpine oci:./layout:alpine\n  elfuse-bundle export ./alpine oci-archive:alpine.tar\n  elfuse-bundle export ./alpine docker-archive:alpine.tar:alpine:mine && docker load -i alpine.tar"
)]
pub(super) struct ExportArgs {
    /// The bundle
    file: PathBuf,
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]
    target: Target,
}

pub(super) fn run(args: &ExportArgs, global: &Global) -> anyhow::Result<Outcome> {
    let bundle = Bundle::open(&args.file)?;
    export(&bundle, &args.target, threads(), &*global.progress())?;
    Ok(Outcome::Success)
}
