// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle verify FILE`: every digest, every page, the structure.

use std::path::PathBuf;

use serde_json::json;

use super::fetch::threads;
use super::{Global, Outcome, output};
use crate::bundle::{Bundle, BundleError};

/// Which bundle.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit code 1 means damaged.\n\nExample:\n  elfuse-bundle verify ./alpine")]
pub(super) struct VerifyArgs {
    /// The bundle
    file: PathBuf,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs, global: &Global) -> anyhow::Result<Outcome> {
    let result = check(args, global);
    let damage = anyhow::Error::from(match result {
        Ok(signature) => {
            if args.json {
                output::print_json(&json!({
                    "intact": true,
                    "pages": signature.pages,
                    "cdhash": signature.cdhash,
                    "adHoc": signature.ad_hoc,
                }))?;
            } else if !global.quiet {
                let file = args.file.display();
                let line = format_args!("{file}: intact, {} pages", signature.pages);
                output::print_line(&line)?;
            }
            return Ok(Outcome::Success);
        }
        // The host's troubles say nothing about the file.
        Err(error @ BundleError::Io { .. }) => return Err(error.into()),
        Err(error) => error,
    });
    if args.json {
        output::print_json(&json!({"intact": false, "error": output::error_text(&damage)}))?;
    }
    output::print_error(&damage);
    Ok(Outcome::Difference)
}

fn check(args: &VerifyArgs, global: &Global) -> Result<crate::macho::Signature, BundleError> {
    let bundle = Bundle::open(&args.file)?;
    let progress = global.progress();
    let total = bundle.payload().header().total;
    // The payload first: its errors name files, a page's only its number.
    let task = progress.task("check payload", Some(total));
    bundle.verify_payload(threads(), &|bytes| task.advance(bytes))?;
    task.finish();
    let task = progress.task("check pages", Some(bundle.size()));
    let signature = bundle.verify_executable(&|bytes| task.advance(bytes))?;
    task.finish();
    Ok(signature)
}
