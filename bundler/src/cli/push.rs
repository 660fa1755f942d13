// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle push FILE IMAGE`: the bundle's image into a registry.

use std::path::PathBuf;

use super::export::CompressionArgs;
use super::fetch::{RegistryArgs, threads};
use super::{Global, Outcome, output, value};
use crate::bundle::Bundle;
use crate::export::Outgoing;
use crate::progress::human_bytes;
use crate::push::push;
use crate::reference::Reference;

/// What to push, and where to.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The image has the same digests in the registry as in the bundle, unless --compression-format gzip makes another layer of the same files.\n\nExamples:\n  elfuse-bundle push ./alpine registry.example/team/alpine:mine\n  elfuse-bundle push ./alpine localhost:5000/alpine:mine --insecure"
)]
pub(super) struct PushArgs {
    /// The bundle
    file: PathBuf,
    /// The name it gets: [REGISTRY/]REPOSITORY[:TAG]
    #[arg(value_parser = value::remote)]
    image: Reference,
    /// Print what was pushed as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compression: CompressionArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn run(args: &PushArgs, global: &Global) -> anyhow::Result<Outcome> {
    let bundle = Bundle::open(&args.file)?;
    let options = args.registry.options(&args.image.to_string())?;
    let progress = global.progress();
    let scratch = args.compression.scratch(global)?;
    let compression = args.compression.format.unwrap_or_default();
    let image = Outgoing::new(&bundle, compression, &scratch.dir(), threads(), &*progress)?;
    let pushed = push(&image, &args.image, &options, &*progress)?;
    drop(progress);
    if args.json {
        output::print_json(&pushed)?;
    } else if !global.quiet {
        let (name, sent) = (&pushed.reference, human_bytes(pushed.sent));
        output::print_line(&format_args!("{name}  {}  sent {sent}", pushed.digest))?;
    }
    Ok(Outcome::Success)
}
