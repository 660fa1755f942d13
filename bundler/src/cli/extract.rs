// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle extract FILE DIR`: the image's files in a directory.
//!
//! The directory appears when it is complete: files are written to a temporary
//! one beside it, which is then renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use elfuse_payload::extract::{Attribute, ExtractOptions, Names, Special, extract};

use super::fetch::threads;
use super::{Global, Outcome};
use crate::bundle::{Bundle, Tree, parent_of};

/// What to extract, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Root gets owners, extended attributes and devices as the image has them. Other users own everything themselves, and devices become empty files.\n\nExamples:\n  elfuse-bundle extract ./alpine ./root\n  sudo elfuse-bundle extract ./alpine /srv/alpine"
)]
pub(super) struct ExtractArgs {
    /// The bundle
    file: PathBuf,
    /// A directory that does not exist yet, or is empty
    dir: PathBuf,
    /// Own everything, also as root
    #[arg(long)]
    no_same_owner: bool,
    /// Escape names that differ only in case or that the host cannot store
    #[arg(long)]
    escape_names: bool,
}

pub(super) fn run(args: &ExtractArgs, global: &Global) -> anyhow::Result<Outcome> {
    let dir = absolute(&args.dir)?;
    check_free(&dir)?;
    let bundle = Bundle::open(&args.file)?;
    let tree = Tree::open(&bundle)?;
    let progress = global.progress();
    let options = options(args, rustix::process::geteuid().is_root());
    if options.ownership == Attribute::Skip && !args.no_same_owner {
        progress.note("owners, extended attributes and devices are left out: that needs root");
    }
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let mut prefix = OsString::from(".");
    prefix.push(dir.file_name().unwrap_or_default());
    prefix.push(".");
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(parent)
        .with_context(|| format!("make directory in {}", parent.display()))?;
    let root = File::open(temporary.path()).context("open temporary directory")?;
    let total = tree.entries().iter().map(|entry| entry.size).sum();
    let task = progress.task("extract", Some(total));
    extract(tree.layer(), root.as_fd(), &options, &|n| task.advance(n))?;
    // Replaces nothing but an empty directory: the host refuses all else.
    fs::rename(temporary.path(), &dir).with_context(|| format!("rename to {}", dir.display()))?;
    let _ = temporary.keep();
    task.finish();
    Ok(Outcome::Success)
}

fn options(args: &ExtractArgs, is_root: bool) -> ExtractOptions {
    let applies = is_root && !args.no_same_owner;
    let attribute = if applies {
        Attribute::Apply
    } else {
        Attribute::Skip
    };
    ExtractOptions {
        threads: threads(),
        ownership: attribute,
        modes: Attribute::Apply,
        xattrs: attribute,
        special: if applies {
            Special::Create
        } else {
            Special::Placeholder
        },
        names: if args.escape_names {
            Names::Escaped
        } else {
            Names::Raw
        },
    }
}

/// The path without `.` and `..` at its end, which have no parent to rename in.
fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(dir) {
        return Ok(real);
    }
    let name = dir
        .file_name()
        .context("extract: no name for the directory")?;
    let parent = parent_of(dir);
    let parent = fs::canonicalize(parent).with_context(|| format!("open {}", parent.display()))?;
    Ok(parent.join(name))
}

fn check_free(dir: &Path) -> anyhow::Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!(
                "extract to {}: the directory is not empty\nhint: name one that does not exist yet",
                dir.display()
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("extract to {}", dir.display())),
    }
}
