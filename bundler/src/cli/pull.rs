// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle pull IMAGE`: fetch an image into the store.

use super::fetch::FetchArgs;
use super::{Global, Outcome, output};

/// Which image.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  elfuse-bundle pull alpine:latest")]
pub(super) struct PullArgs {
    /// The image
    image: String,
    /// Print what was fetched as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &PullArgs, global: &Global) -> anyhow::Result<Outcome> {
    let store = global.open_store()?;
    let progress = global.progress();
    let options = args.fetch.options(&args.image)?;
    let image = args.fetch.load(&args.image, &options, &store, &*progress)?;
    drop(progress);
    if args.json {
        output::print_json(&super::inspect::describe_image(&image))?;
    } else if !global.quiet {
        let (name, digest) = (&image.reference, image.manifest_digest);
        output::print_line(&format_args!("{name}  {}  {digest}", image.platform))?;
    }
    Ok(Outcome::Success)
}
