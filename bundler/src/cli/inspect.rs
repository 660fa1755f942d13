// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle inspect FILE|IMAGE`: what is in a bundle or an image.

use std::path::{Path, PathBuf};

use anyhow::Context;
use oci_spec::image::ImageConfiguration;
use serde_json::{Value, json};

use super::fetch::threads;
use super::{Global, Outcome, output};
use crate::bundle::Bundle;
use crate::image::{Image, Platform};
use crate::macho::Signature;
use crate::progress::{Quiet, human_bytes};
use crate::registry::RegistryOptions;
use crate::source::{self, FetchContext, PullPolicy};

/// What to describe.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  elfuse-bundle inspect ./alpine --json\n  elfuse-bundle inspect alpine:latest   (from the store, without the network)"
)]
pub(super) struct InspectArgs {
    /// A bundle, or an image that was pulled
    target: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// What the image shall run on
    #[arg(long, value_name = "OS/ARCH", default_value = "linux/arm64")]
    platform: Platform,
    /// Use only images that this policy accepts (containers-policy.json)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

pub(super) fn run(args: &InspectArgs, global: &Global) -> anyhow::Result<Outcome> {
    let path = Path::new(&args.target);
    if path.is_file() {
        return inspect_bundle(path, args.json);
    }
    let image = load(args, global)?;
    if args.json {
        output::print_json(&describe_image(&image))?;
    } else {
        print_image(&image)?;
    }
    Ok(Outcome::Success)
}

/// The image as the store has it.
fn load(args: &InspectArgs, global: &Global) -> anyhow::Result<Image> {
    let store = global.open_store()?;
    let context = FetchContext {
        store: &store,
        platform: &args.platform,
        pull: PullPolicy::Never,
        registry: &RegistryOptions {
            policy: args.policy.clone(),
            ..RegistryOptions::default()
        },
        threads: threads(),
        progress: &Quiet,
    };
    let loaded = source::parse(&args.target)?.load(&context);
    if source::is_local(&args.target) {
        return Ok(loaded?);
    }
    loaded.with_context(|| format!("inspect {}: not a file; as an image", args.target))
}

fn inspect_bundle(path: &Path, json: bool) -> anyhow::Result<Outcome> {
    let bundle = Bundle::open(path)?;
    // Reads the pages too: a signature that does not fit the file is no signature.
    let signature = bundle.verify_executable(&|_| ())?;
    let description = describe_bundle(&bundle, &signature)?;
    if json {
        output::print_json(&description)?;
    } else {
        print_bundle(&bundle, &signature)?;
    }
    Ok(Outcome::Success)
}

fn describe_bundle(bundle: &Bundle, signature: &Signature) -> anyhow::Result<Value> {
    let payload = bundle.payload();
    let config: Value = serde_json::from_slice(payload.config())?;
    let manifest: Value = serde_json::from_slice(payload.manifest())?;
    let layer = payload.layer()?;
    Ok(json!({
        "digest": payload.digest(),
        "size": bundle.size(),
        "layer": {
            "digest": manifest["layers"][0]["digest"],
            "size": manifest["layers"][0]["size"],
            "diffId": payload.diff_id(),
            "tarSize": layer.tar_size(),
            "entries": layer.toc()?.entries.len(),
        },
        "config": config,
        "provenance": payload.provenance(),
        "signature": {
            "identifier": signature.identifier,
            "adHoc": signature.ad_hoc,
            "pages": signature.pages,
            "cdhash": signature.cdhash,
            "hypervisorEntitlement": signature.hypervisor,
        },
    }))
}

fn print_bundle(bundle: &Bundle, signature: &Signature) -> anyhow::Result<()> {
    let payload = bundle.payload();
    let provenance = payload.provenance();
    let config: ImageConfiguration = serde_json::from_slice(payload.config())?;
    let layer = payload.layer()?;
    let sources: Vec<_> = provenance
        .sources
        .iter()
        .map(|s| s.reference.clone())
        .collect();
    let transforms = provenance.transforms.iter().map(|t| match &t.value {
        Some(value) => format!("--{} {value}", t.name),
        None => format!("--{}", t.name),
    });
    let kind = if signature.ad_hoc {
        "ad hoc"
    } else {
        "with a certificate"
    };
    let blob = human_bytes(
        payload
            .layer_blob()
            .map(|b| elfuse_payload::ReadAt::size(&b))?,
    );
    let mut fields = vec![
        ("image", sources.join(" + ")),
        ("digest", payload.digest().to_string()),
        ("platform", platform(&config)),
    ];
    fields.extend(settings(&config));
    fields.extend([
        ("size", human_bytes(bundle.size())),
        (
            "layer",
            format!("{blob}, uncompressed {}", human_bytes(layer.tar_size())),
        ),
        ("entries", layer.toc()?.entries.len().to_string()),
        ("changes", transforms.collect::<Vec<_>>().join(" ")),
        ("run options", provenance.run_options.join(" ")),
        (
            "arguments",
            if provenance.cli {
                "all for the program"
            } else {
                ""
            }
            .to_owned(),
        ),
        (
            "made by",
            format!("{} {}", provenance.tool.name, provenance.tool.version),
        ),
        (
            "signature",
            format!(
                "{kind}, {} pages, {}",
                signature.pages, signature.identifier
            ),
        ),
    ]);
    output::print_fields(&fields)?;
    Ok(())
}

fn print_image(image: &Image) -> anyhow::Result<()> {
    let size: u64 = image.layers.iter().map(|layer| layer.size).sum();
    let mut fields = vec![
        ("image", image.reference.clone()),
        ("digest", image.manifest_digest.to_string()),
        ("platform", image.platform.to_string()),
    ];
    fields.extend(settings(&image.configuration));
    fields.push((
        "layers",
        format!("{}, {}", image.layers.len(), human_bytes(size)),
    ));
    output::print_fields(&fields)?;
    Ok(())
}

/// An image as JSON.
pub(super) fn describe_image(image: &Image) -> Value {
    let layers = image
        .layers
        .iter()
        .map(|layer| json!({"digest": layer.digest, "size": layer.size, "diffId": layer.diff_id}));
    json!({
        "reference": image.reference,
        "index": image.index_digest,
        "digest": image.manifest_digest,
        "platform": image.platform.to_string(),
        "config": serde_json::from_slice::<Value>(&image.config).unwrap_or_default(),
        "layers": layers.collect::<Vec<_>>(),
    })
}

fn platform(config: &ImageConfiguration) -> String {
    crate::image::Platform::of_config(config).to_string()
}

/// What a container of this image would start with.
fn settings(config: &ImageConfiguration) -> Vec<(&'static str, String)> {
    let Some(config) = config.config() else {
        return Vec::new();
    };
    let words = |words: &Option<Vec<String>>| {
        words
            .as_ref()
            .map_or_else(String::new, |words| format!("{words:?}"))
    };
    vec![
        ("entrypoint", words(config.entrypoint())),
        ("cmd", words(config.cmd())),
        (
            "env",
            config
                .env()
                .as_ref()
                .map_or_else(String::new, |env| env.join(" ")),
        ),
        ("workdir", config.working_dir().clone().unwrap_or_default()),
        ("user", config.user().clone().unwrap_or_default()),
    ]
}
