// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfuse-bundle cat FILE PATH...`: the contents of files in a bundle.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use elfuse_payload::toc::Kind;

use super::list::kind_name;
use super::{Outcome, output};
use crate::bundle::{Bundle, Tree, text};

/// What to print.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Symbolic links are followed inside the image. What is printed was checked against its digest when the command ends with 0.\n\nExample:\n  elfuse-bundle cat ./alpine /etc/os-release"
)]
pub(super) struct CatArgs {
    /// The bundle
    file: PathBuf,
    /// Files in the image
    #[arg(required = true)]
    paths: Vec<OsString>,
}

pub(super) fn run(args: &CatArgs) -> anyhow::Result<Outcome> {
    let tree = Tree::open(&Bundle::open(&args.file)?)?;
    for path in &args.paths {
        let entry = tree.resolve(path.as_bytes())?;
        let name = text(&entry.path);
        if entry.kind != Kind::File {
            bail!("print {name}: it is a {}", kind_name(entry.kind));
        }
        let mut contents = tree.read(entry).with_context(|| format!("read {name}"))?;
        // Reading fails for what is in the bundle, writing for the host.
        let mut read = Ok(0);
        output::until_closed(|out| {
            read = copy(&mut contents, out)?;
            Ok(())
        })?;
        read.with_context(|| format!("read {name}"))?;
    }
    Ok(Outcome::Success)
}

/// Copies to the end; the outer error is the writer's, the inner the reader's.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<io::Result<u64>> {
    let mut block = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(Ok(total)),
            Ok(n) => {
                to.write_all(&block[..n])?;
                total += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}
