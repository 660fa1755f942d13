// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle update FILE`: build a bundle again from its image.
//!
//! Provenance says what the bundle was made of and what was changed on the way,
//! so the user need not. What it leaves out, since it belongs to the building
//! host, has to be named again: paths of images and of added files, and how
//! registries are reached.

use std::path::PathBuf;

use anyhow::bail;
use elfuse_payload::provenance::{Provenance, Transform};

use super::build::ChangeArgs;
use super::fetch::{FetchArgs, RegistryArgs};
use super::stub::StubArgs;
use super::{Global, Outcome, output, value};
use crate::bundle::{self, Bundle, Request};
use crate::image::{Image, Platform};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::source::{self, PullPolicy};
use crate::store::Store;

/// Which bundle.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Pulls the image's tag again; an image that was named by digest alone stays what it is.\n\nExamples:\n  elfuse-bundle update ./alpine\n  elfuse-bundle update ./tool --from docker-archive:tool.tar --add-file ./conf:/etc/tool.conf"
)]
pub(super) struct UpdateArgs {
    /// The bundle
    file: PathBuf,
    /// Print what was built as JSON
    #[arg(long)]
    json: bool,
    /// The image, when the bundle was made from local files; may be repeated
    #[arg(long, value_name = "IMAGE")]
    from: Vec<String>,
    /// Where a file that was added is now: HOST_PATH:CONTAINER_PATH
    #[arg(long, value_name = "H:C", value_parser = value::file)]
    add_file: Vec<String>,
    /// Where a directory that was added is now: HOST_PATH:CONTAINER_PATH
    #[arg(long, value_name = "H:C", value_parser = value::dir)]
    add_dir: Vec<String>,
    /// Use only what is on this machine
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    stub: StubArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn run(args: &UpdateArgs, global: &Global) -> anyhow::Result<Outcome> {
    let old = Bundle::open(&args.file)?;
    let provenance = old.payload().provenance();
    let change = args.recorded(provenance)?;
    let stub = args.stub.load()?;
    let store = global.open_store()?;
    let progress = global.progress();
    let images = args.load(provenance, &store, &*progress)?;
    let request = Request {
        images: &images,
        squash: change.squash(store.scratch_dir(), provenance.source_date_epoch)?,
        overrides: change.overrides()?,
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
        let file = args.file.display();
        output::print_line(&format_args!("{file} {what} {}", built.digest))?;
    }
    Ok(Outcome::Success)
}

impl UpdateArgs {
    /// Loads the images again.
    fn load(
        &self,
        provenance: &Provenance,
        store: &Store,
        progress: &dyn Progress,
    ) -> anyhow::Result<Vec<Image>> {
        let of = &provenance.platform;
        let fetch = FetchArgs {
            platform: Platform {
                os: of.os.clone(),
                architecture: of.architecture.clone(),
                variant: of.variant.clone(),
            },
            pull: if self.offline {
                PullPolicy::Never
            } else {
                PullPolicy::Always
            },
            offline: self.offline,
            registry: self.registry.clone(),
        };
        let names = self.references(provenance)?;
        let options = fetch.options(names.first().map_or("", String::as_str))?;
        let images = names
            .iter()
            .map(|name| fetch.load(name, &options, store, progress));
        let mut images = images.collect::<anyhow::Result<Vec<_>>>()?;
        if let (Some(base), Some(source)) = (images.first_mut(), provenance.sources.first())
            && let Some(name) = given_name(&source.reference)
        {
            base.rename(&name)?;
        }
        Ok(images)
    }

    /// What to load: as provenance says, or as the user says for local files,
    /// whose paths provenance leaves out.
    fn references(&self, provenance: &Provenance) -> anyhow::Result<Vec<String>> {
        let names = provenance.sources.iter().map(|s| s.reference.clone());
        let names: Vec<String> = names.collect();
        if self.from.len() == names.len() {
            return Ok(self.from.clone());
        }
        let file = self.file.display();
        if !self.from.is_empty() {
            bail!(
                "update {file}: --from names {} images and it was made of {}",
                self.from.len(),
                names.len()
            );
        }
        match names.iter().find(|name| source::has_path(name)) {
            Some(name) => bail!(
                "update {file}: it was made from local files ({name})\n\
                 hint: name them with --from, such as --from oci:DIR:TAG"
            ),
            None => Ok(names),
        }
    }

    /// Reads the changes back from provenance.
    fn recorded(&self, provenance: &Provenance) -> anyhow::Result<ChangeArgs> {
        let mut args = vec!["elfuse-bundle".to_owned(), "image".to_owned()];
        for transform in &provenance.transforms {
            args.push(match (self.added(transform)?, &transform.value) {
                (Some(spec), _) => format!("--{}={spec}", transform.name),
                (None, Some(value)) => format!("--{}={value}", transform.name),
                (None, None) => format!("--{}", transform.name),
            });
        }
        parse(&args)
    }

    /// For something that was added: what of this host to add now.
    fn added(&self, transform: &Transform) -> anyhow::Result<Option<&str>> {
        let specs = match &transform.name[..] {
            "add-file" => &self.add_file,
            "add-dir" => &self.add_dir,
            _ => return Ok(None),
        };
        let place = transform.value.as_deref().unwrap_or_default();
        let is_it = |spec: &&String| spec.rsplit_once(':').is_some_and(|(_, c)| c == place);
        match specs.iter().find(is_it) {
            Some(spec) => Ok(Some(spec)),
            None => bail!(
                "update {}: {place} was added from the host that built it\n\
                 hint: say where it is with --{} HOST_PATH:{place}",
                self.file.display(),
                transform.name
            ),
        }
    }
}

/// The name with a tag that the bundle goes by, wherever its image comes from.
fn given_name(reference: &str) -> Option<Reference> {
    if source::is_local(reference) {
        return None;
    }
    let name: Reference = reference.parse().ok()?;
    name.digest().is_none().then_some(name)
}

/// Has the build command's own parser read them.
fn parse(args: &[String]) -> anyhow::Result<ChangeArgs> {
    use clap::Parser;
    let cli = super::Cli::try_parse_from(args)?;
    Ok(cli.build.change)
}
