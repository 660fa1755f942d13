// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle update FILE`: build a bundle again from its image.
//!
//! Provenance says what the bundle was made of and what was changed on the way,
//! so the user need not. Files added from the building host are not in it: a
//! bundle with such files is refused, and has to be built again by hand.

use std::path::PathBuf;

use anyhow::bail;
use elfuse_payload::provenance::Provenance;

use super::build::ChangeArgs;
use super::fetch::{FetchArgs, RegistryArgs, threads};
use super::stub::StubArgs;
use super::{Global, Outcome, output};
use crate::bundle::{self, Bundle, Overrides, Request};
use crate::source::{self, PullPolicy};
use crate::squash::SquashOptions;
use crate::transform::{Strip, Transforms};

/// Which bundle.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  elfuse-bundle update ./alpine")]
pub(super) struct UpdateArgs {
    /// The bundle
    file: PathBuf,
    /// Print what was built as JSON
    #[arg(long)]
    json: bool,
    /// The image, when the bundle was made from local files
    #[arg(long, value_name = "IMAGE")]
    from: Vec<String>,
    /// Use only what is on this machine
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    stub: StubArgs,
}

pub(super) fn run(args: &UpdateArgs, global: &Global) -> anyhow::Result<Outcome> {
    let old = Bundle::open(&args.file)?;
    let provenance = old.payload().provenance();
    let stub = args.stub.load()?;
    let store = global.open_store()?;
    let progress = global.progress();
    let fetch = FetchArgs {
        platform: format!(
            "{}/{}",
            provenance.platform.os, provenance.platform.architecture
        )
        .parse()?,
        pull: if args.offline {
            PullPolicy::Never
        } else {
            PullPolicy::Always
        },
        offline: args.offline,
        registry: args.registry.clone(),
    };
    let names = references(provenance, args)?;
    let options = fetch.options(names.first().map_or("", String::as_str))?;
    let images = names
        .iter()
        .map(|name| fetch.load(name, &options, &store, &*progress))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let change = recorded(provenance, &args.file.display().to_string())?;
    let request = Request {
        images: &images,
        squash: SquashOptions {
            transforms: Transforms {
                additions: Vec::new(),
                strip: change.strip,
            },
            epoch: provenance.source_date_epoch,
            threads: threads(),
            scratch: store.scratch_dir(),
            ..SquashOptions::default()
        },
        overrides: change.overrides,
        transforms: provenance.transforms.clone(),
        run_options: provenance.run_options.clone(),
        cli: provenance.cli,
    };
    let built = bundle::build(&request, &stub, &store, &args.file, &*progress)?;
    drop(progress);
    let is_changed = built.digest != old.payload().digest();
    if args.json {
        output::print_json(&serde_json::json!({"changed": is_changed, "built": built}))?;
    } else if !global.quiet {
        let what = if is_changed {
            "updated to"
        } else {
            "is up to date,"
        };
        println!("{} {what} {}", args.file.display(), built.digest);
    }
    Ok(Outcome::Success)
}

/// What to load: as provenance says, or as the user says for local files, whose
/// paths provenance leaves out.
fn references(provenance: &Provenance, args: &UpdateArgs) -> anyhow::Result<Vec<String>> {
    if !args.from.is_empty() {
        return Ok(args.from.clone());
    }
    let names = provenance
        .sources
        .iter()
        .map(|source| source.reference.clone());
    let names: Vec<String> = names.collect();
    match names.iter().find(|name| source::is_local(name)) {
        Some(name) => bail!(
            "update {}: it was made from local files ({name})\n\
             hint: name them with --from, such as --from oci:DIR:TAG",
            args.file.display()
        ),
        None => Ok(names),
    }
}

struct Recorded {
    strip: Strip,
    overrides: Overrides,
}

/// Reads the changes back from provenance.
fn recorded(provenance: &Provenance, file: &str) -> anyhow::Result<Recorded> {
    let mut args = vec!["elfuse-bundle".to_owned(), "image".to_owned()];
    for transform in &provenance.transforms {
        if transform.name.starts_with("add-") {
            bail!(
                "update {file}: it has files added from the host that built it\n\
                 hint: build it again with the same --{}",
                transform.name
            );
        }
        args.push(match &transform.value {
            Some(value) => format!("--{}={value}", transform.name),
            None => format!("--{}", transform.name),
        });
    }
    let change = parse(&args)?;
    Ok(Recorded {
        strip: change.squash(PathBuf::new())?.transforms.strip,
        overrides: change.overrides()?,
    })
}

/// Has the build command's own parser read them.
fn parse(args: &[String]) -> anyhow::Result<ChangeArgs> {
    use clap::Parser;
    let cli = super::Cli::try_parse_from(args)?;
    Ok(cli.build.change)
}
