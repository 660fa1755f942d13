// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle IMAGE -o FILE`: an image in, one signed program out.

use std::path::PathBuf;

use anyhow::Context;
use elfuse_payload::provenance::Transform;

use super::fetch::{FetchArgs, threads};
use super::stub::StubArgs;
use super::{Global, Outcome, output, value};
use crate::bundle::{self, Overrides, Overwrite, Request};
use crate::progress::human_bytes;
use crate::reference::Reference;
use crate::source;
use crate::squash::{Limits, SquashOptions};
use crate::transform::inject::What;
use crate::transform::{Addition, Strip, Transforms};

/// Compression level unless another is asked for: the fastest whose output is
/// near the best.
const DEFAULT_LEVEL: i32 = 3;

/// What to build and how.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BuildArgs {
    /// A registry image, oci:DIR[:TAG], oci-archive:FILE[:TAG],
    /// docker-archive:FILE[:NAME], rootfs:DIR, tar:FILE, or apple:NAME for one that
    /// Apple's container tool has pulled
    pub(super) image: Option<String>,
    /// Where to write the program [default: IMAGE as a file name, such as alpine_latest]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is no bundle
    #[arg(long)]
    force: bool,
    /// Record this as the image's name; for images from files, which do not
    /// know where they can be had
    #[arg(long, value_name = "NAME[:TAG][@DIGEST]")]
    name: Option<Reference>,
    /// Print what was built as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) stub: StubArgs,
    #[command(flatten)]
    pub(super) fetch: FetchArgs,
    #[command(flatten)]
    pub(super) change: ChangeArgs,
}

/// Changes on the way from image to bundle.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Changes to the image")]
pub(super) struct ChangeArgs {
    /// Stack another image on top; may be repeated
    #[arg(long, value_name = "IMAGE")]
    pub(super) layer: Vec<String>,
    /// Add a file: HOST_PATH:CONTAINER_PATH
    #[arg(long, value_name = "H:C", value_parser = value::file)]
    add_file: Vec<String>,
    /// Add a directory: HOST_PATH:CONTAINER_PATH
    #[arg(long, value_name = "H:C", value_parser = value::dir)]
    add_dir: Vec<String>,
    /// Leave out documentation, manuals, translations and temporary files
    #[arg(long)]
    pub(super) strip: bool,
    /// Leave out the caches of the package managers found
    #[arg(long)]
    pub(super) strip_auto: bool,
    /// Leave out this path and everything below it; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(super) strip_prefix: Vec<String>,
    /// The program to run; a JSON array for several words, nothing for none
    #[arg(long, value_name = "PROGRAM", value_parser = value::words)]
    entrypoint: Option<String>,
    /// Its default arguments; a JSON array for several words
    #[arg(long, value_name = "ARGS", value_parser = value::words)]
    cmd: Option<String>,
    /// Set a variable: NAME=VALUE
    #[arg(long, short = 'e', value_name = "NAME=VALUE", value_parser = value::pair)]
    env: Vec<String>,
    /// Start in this directory
    #[arg(long, short = 'w', value_name = "DIR", value_parser = value::absolute)]
    workdir: Option<String>,
    /// Run as this user: NAME or UID, with :GROUP if need be
    #[arg(long, short = 'u', value_name = "USER")]
    user: Option<String>,
    /// Set a label: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
    label: Vec<String>,
    /// Hand all arguments of the bundle to the program inside
    #[arg(long)]
    pub(super) cli: bool,
    /// Bake in an option for every run, such as --run-option=--read-only
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(super) run_option: Vec<String>,
    /// Zstandard level
    #[arg(long, value_name = "1..19", default_value_t = DEFAULT_LEVEL, value_parser = clap::value_parser!(i32).range(1..=19))]
    compression_level: i32,
    /// Accept images that expand to any size and number of files
    #[arg(long)]
    no_limits: bool,
    /// No time in the bundle is later: seconds since 1970 [default: that of the variable
    /// SOURCE_DATE_EPOCH]
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    source_date_epoch: Option<i64>,
}

pub(super) fn run(args: &BuildArgs, global: &Global) -> anyhow::Result<Outcome> {
    let image = args.image.as_ref().context("build: no image named")?;
    let path = args.output.clone().unwrap_or_else(|| default_output(image));
    let overwrite = if args.force {
        Overwrite::Files
    } else {
        Overwrite::Bundles
    };
    bundle::check_output(&path, overwrite)?;
    let epoch = match args.change.source_date_epoch {
        None => value::epoch_of_environment()?,
        given => given,
    };
    let stub = args.stub.load()?;
    let store = global.open_store()?;
    let progress = global.progress();
    let options = args.fetch.options(image)?;
    let names = std::iter::once(image).chain(&args.change.layer);
    let mut images = names
        .map(|name| args.fetch.load(name, &options, &store, &*progress))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if let (Some(name), Some(base)) = (&args.name, images.first_mut()) {
        base.rename(name)?;
    }
    let request = Request {
        images: &images,
        squash: args.change.squash(store.scratch_dir(), epoch)?,
        overrides: args.change.overrides()?,
        transforms: args.change.transforms(),
        run_options: args.change.run_option.clone(),
        cli: args.change.cli,
    };
    let built = bundle::build(&request, &stub, &store, &path, &*progress)?;
    drop(progress);
    if args.json {
        output::print_json(&built)?;
    } else if !global.quiet {
        let (path, size) = (path.display(), human_bytes(built.size));
        output::print_line(&format_args!("{path}  {size}  {}", built.digest))?;
    }
    Ok(Outcome::Success)
}

impl ChangeArgs {
    pub(super) fn squash(
        &self,
        scratch: PathBuf,
        epoch: Option<i64>,
    ) -> anyhow::Result<SquashOptions> {
        let files = self
            .add_file
            .iter()
            .map(|spec| Addition::parse(What::File, spec));
        let dirs = self
            .add_dir
            .iter()
            .map(|spec| Addition::parse(What::Dir, spec));
        let strip = Strip {
            docs: self.strip,
            caches: self.strip_auto,
            prefixes: self.strip_prefix.clone(),
        };
        Ok(SquashOptions {
            limits: if self.no_limits {
                Limits::none()
            } else {
                Limits::default()
            },
            transforms: Transforms {
                additions: files.chain(dirs).collect::<Result<_, _>>()?,
                strip,
            },
            epoch,
            level: self.compression_level,
            threads: threads(),
            scratch,
        })
    }

    pub(super) fn overrides(&self) -> anyhow::Result<Overrides> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(Overrides {
            entrypoint: self.entrypoint.as_deref().map(value::split).transpose()?,
            cmd: self.cmd.as_deref().map(value::split).transpose()?,
            env: self.env.iter().map(pair).collect(),
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            labels: self.label.iter().map(pair).collect(),
        })
    }

    /// What provenance says of the changes: names and image-side values only.
    pub(super) fn transforms(&self) -> Vec<Transform> {
        let transform = |name: &str, value: Option<&str>| Transform {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            digest: None,
        };
        let container = |spec: &String| spec.rsplit_once(':').map(|(_, c)| c.to_owned());
        let added = [("add-file", &self.add_file), ("add-dir", &self.add_dir)];
        let added = added.iter().flat_map(|(name, specs)| {
            specs
                .iter()
                .map(move |spec| transform(name, container(spec).as_deref()))
        });
        let flags = [
            ("strip", self.strip),
            ("strip-auto", self.strip_auto),
            ("no-limits", self.no_limits),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set);
        let prefixes = self
            .strip_prefix
            .iter()
            .map(|p| transform("strip-prefix", Some(p)));
        let texts = [
            ("entrypoint", &self.entrypoint),
            ("cmd", &self.cmd),
            ("workdir", &self.workdir),
            ("user", &self.user),
        ];
        let texts = texts
            .iter()
            .filter_map(|(name, v)| Some(transform(name, Some(v.as_deref()?))));
        let level = self.compression_level.to_string();
        let level = (self.compression_level != DEFAULT_LEVEL)
            .then(|| transform("compression-level", Some(&level)));
        let env = self.env.iter().map(|pair| transform("env", Some(pair)));
        let labels = self.label.iter().map(|pair| transform("label", Some(pair)));
        added
            .chain(flags.map(|(name, _)| transform(name, None)))
            .chain(prefixes)
            .chain(texts)
            .chain(env)
            .chain(labels)
            .chain(level)
            .collect()
    }
}

/// `registry/repo/alpine:latest` becomes `alpine_latest`, `tar:a/box.tar.gz`
/// becomes `box`. A name without a tag gets docker's, which also keeps it apart
/// from the directory or file it was made from.
fn default_output(image: &str) -> PathBuf {
    let path = match image.split_once(':') {
        Some((_, path)) if source::is_local(image) => path,
        _ => image,
    };
    let last = path.trim_end_matches('/').rsplit('/').next();
    let last = last.unwrap_or(path);
    let name = last.split('@').next().unwrap_or(last);
    let suffixes = [".tar", ".tar.gz", ".tgz", ".tar.zst"];
    let bare = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    let is_whole = bare.is_some() || last.contains([':', '@']);
    let name = bare.unwrap_or(name);
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    PathBuf::from(if is_whole {
        name
    } else {
        format!("{name}_latest")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_named_after_the_image() {
        let name = |image| default_output(image).to_str().unwrap().to_owned();
        assert_eq!(name("alpine:latest"), "alpine_latest");
        assert_eq!(name("alpine"), "alpine_latest");
        assert_eq!(name("a/box@sha256:00"), "box");
        assert_eq!(name("example.test/a/tool:1.2"), "tool_1.2");
        assert_eq!(name("oci:some/dir:tag"), "dir_tag");
        assert_eq!(name("docker-archive:a/box.tar"), "box");
        assert_eq!(name("tar:box.tar.gz"), "box");
        assert_eq!(name("rootfs:./root/"), "root_latest");
        assert_eq!(name("rootfs:root"), "root_latest");
        assert_eq!(name("apple:alpine:3"), "alpine_3");
        assert_eq!(name("localhost:5000/a/box"), "box_latest");
    }
}
