// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle export FILE TARGET`: the image for other tools. How its layer is
//! compressed is a choice of `push`, too.

use std::path::PathBuf;

use super::fetch::threads;
use super::{Global, Outcome};
use crate::bundle::Bundle;
use crate::export::{Compression, ExportOptions, Target, export};
use crate::store::Store;

/// What to export, and where to.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The OCI forms hold the same manifest and layer as the bundle, under the same digests, unless --compression-format gzip makes another layer of the same files. The docker form holds the layer uncompressed.\n\nExamples:\n  elfuse-bundle export ./alpine oci:./layout:alpine\n  elfuse-bundle export ./alpine oci-archive:alpine.tar --compression-format gzip\n  elfuse-bundle export ./alpine docker-archive:alpine.tar:alpine:mine && docker load -i alpine.tar"
)]
pub(super) struct ExportArgs {
    /// The bundle
    file: PathBuf,
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]
    target: Target,
    #[command(flatten)]
    compression: CompressionArgs,
}

/// How the layer leaves the bundle.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CompressionArgs {
    /// Compress the layer with this [default: zstd]
    #[arg(
        id = "compression-format",
        long,
        value_name = "FORMAT",
        visible_alias = "dest-compress-format"
    )]
    pub(super) format: Option<Compression>,
}

/// Where a layer that is compressed anew waits: in the store, if it has to.
pub(super) struct Scratch(Option<Store>);

impl CompressionArgs {
    pub(super) fn scratch(&self, global: &Global) -> anyhow::Result<Scratch> {
        let is_anew = self.format == Some(Compression::Gzip);
        let store = is_anew.then(|| global.open_store()).transpose()?;
        Ok(Scratch(store))
    }
}

impl Scratch {
    pub(super) fn dir(&self) -> PathBuf {
        self.0.as_ref().map(Store::scratch_dir).unwrap_or_default()
    }
}

pub(super) fn run(args: &ExportArgs, global: &Global) -> anyhow::Result<Outcome> {
    let bundle = Bundle::open(&args.file)?;
    let scratch = args.compression.scratch(global)?;
    let options = ExportOptions {
        compression: args.compression.format,
        scratch: &scratch.dir(),
        threads: threads(),
    };
    export(&bundle, &args.target, &options, &*global.progress())?;
    Ok(Outcome::Success)
}
