// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applies layers in order into one tree and emits one deterministic tar.
//!
//! [`squash()`] is the whole. `scan` reads all layers in parallel; contents go to
//! scratch space, never to memory. [`Tree::apply`] replays their entries in
//! manifest order, the transforms edit the tree, and `emit` streams it as a tar
//! into the payload's layer writer. Rules and normal form: docs/squash.md.

mod apply;
pub mod cache;
mod decode;
mod emit;
mod entry;
mod error;
mod gunzip;
#[cfg(target_os = "linux")]
#[path = "host_linux.rs"]
mod host;
#[cfg(target_os = "macos")]
#[path = "host_macos.rs"]
mod host;
mod limits;
mod parse;
mod scan;
mod spill;
pub(crate) mod tar;
mod tree;
pub(crate) mod walk;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use elfuse_payload::layer::{LayerOptions, LayerSummary, LayerWriter};

pub use entry::{Content, Entry, Kind, Meta, Name, Timestamp, Xattrs};
pub use error::{Problem, SquashError};
pub use limits::{Excess, Limits};
pub(crate) use spill::{Spill, Spilled};
pub use tar::TarError;
pub use tree::{Node, NodeId, Tree};

use crate::image::Layer;
use crate::progress::Progress;
use crate::transform::Transforms;
use crate::transform::inject::Added;
use limits::Account;
use scan::Scan;

/// How to squash.
#[derive(Debug, Clone)]
pub struct SquashOptions {
    /// Bounds on what the layers may expand to.
    pub limits: Limits,
    /// Changes to the tree.
    pub transforms: Transforms,
    /// `SOURCE_DATE_EPOCH`: no time in the result is later.
    pub epoch: Option<i64>,
    /// Zstandard level, 1 to 19.
    pub level: i32,
    /// How many threads may compress, and how many layers are read at once.
    pub threads: usize,
    /// Where contents wait; needs room for the uncompressed image.
    pub scratch: PathBuf,
}

impl Default for SquashOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            transforms: Transforms::default(),
            epoch: None,
            level: 3,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            scratch: std::env::temp_dir(),
        }
    }
}

/// What a squash made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SquashSummary {
    /// Digests and sizes of the layer written.
    pub layer: LayerSummary,
    /// Names in it, the root included.
    pub entries: u64,
    /// Names that `--strip` and its relatives removed.
    pub stripped: u64,
}

/// Squashes `layers`, the lowest first, and writes the result to `out` as one
/// zstd-compressed layer with its table of contents.
///
/// # Errors
/// Names the layer and the entry at fault. What was written is then useless.
pub fn squash(
    layers: &[Layer],
    options: &SquashOptions,
    progress: &dyn Progress,
    out: &mut dyn Write,
) -> Result<SquashSummary, SquashError> {
    let added = Added::collect(&options.transforms, options.epoch, &options.scratch)?;
    squash_with(layers, added, options, progress, out)
}

fn squash_with(
    layers: &[Layer],
    added: Added,
    options: &SquashOptions,
    progress: &dyn Progress,
    out: &mut dyn Write,
) -> Result<SquashSummary, SquashError> {
    let account = Account::new(options.limits);
    let scan = Scan {
        account: &account,
        scratch: &options.scratch,
        progress,
        threads: options.threads,
    };
    let mut tree = Tree::new();
    let mut sources = Vec::new();
    for (index, scanned) in scan::scan(layers, &scan)?.into_iter().enumerate() {
        apply_layer(&mut tree, index, &layers[index], scanned.entries)?;
        sources.push(scanned.contents);
    }
    sources.push(added.apply(&mut tree, sources.len())?);
    let stripped = options.transforms.strip.apply(&mut tree)?;
    let (layer, entries) = write(&tree, &mut sources, options, progress, out)?;
    // Giving back the room of a large image takes a while, and nobody waits for it.
    thread::spawn(move || drop((tree, sources)));
    Ok(SquashSummary {
        layer,
        entries,
        stripped,
    })
}

/// Replays one layer's entries.
fn apply_layer(
    tree: &mut Tree,
    index: usize,
    layer: &Layer,
    entries: Vec<Entry>,
) -> Result<(), SquashError> {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    for entry in entries {
        // The name is needed only for the message, the entry is consumed.
        let name = entry.path.clone();
        tree.apply(number, entry)
            .map_err(|problem| SquashError::Entry {
                layer: layer.digest,
                entry: Name(name),
                problem,
            })?;
    }
    Ok(())
}

fn write(
    tree: &Tree,
    sources: &mut [Spilled],
    options: &SquashOptions,
    progress: &dyn Progress,
    out: &mut dyn Write,
) -> Result<(LayerSummary, u64), SquashError> {
    let layer_options = LayerOptions {
        level: options.level,
        threads: options.threads,
    };
    let mut writer = LayerWriter::new(out, layer_options).map_err(SquashError::Write)?;
    let task = progress.task("compress", Some(tree.content_size()));
    let emit = emit::Emit {
        tree,
        sources,
        epoch: options.epoch,
        task: &*task,
    };
    let emitted = emit.run(&mut writer);
    let entries = emitted.map_err(|failure| match failure {
        emit::Failure::Scratch(source) => scratch_error(&options.scratch, source),
        emit::Failure::Write(source) => SquashError::Write(source),
    })?;
    let count = entries.len() as u64;
    let summary = writer.finish(entries).map_err(SquashError::Write)?;
    task.finish();
    Ok((summary, count))
}

fn scratch_error(dir: &Path, source: std::io::Error) -> SquashError {
    SquashError::Scratch {
        dir: dir.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests;
