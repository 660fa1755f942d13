// SPDX-License-Identifier: MIT OR Apache-2.0
//! Assembles stub and payload into one signed file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use elfuse_payload::Digest;
use elfuse_payload::segment::SegmentPlan;

use tempfile::NamedTempFile;

use super::early::{EarlyLayer, Placed};
use super::{Bundle, BundleError};
use crate::macho::{SignedWriter, Template};
use crate::progress::Progress;

/// Ends the name of a file that is being written.
const UNFINISHED: &str = ".elfuse-unfinished";

/// What goes into a bundle besides the stub.
pub struct Contents<'a> {
    /// The OCI image manifest.
    pub manifest: &'a [u8],
    /// The OCI image config.
    pub config: &'a [u8],
    /// Where it came from, JSON.
    pub provenance: &'a [u8],
    /// The layer blob, read from its beginning.
    pub layer: &'a mut dyn Read,
    /// Its length.
    pub layer_size: u64,
    /// Its digest.
    pub layer_digest: Digest,
}

/// What may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing but an older bundle.
    Bundles,
    /// Any regular file.
    Files,
}

/// Refuses an output that is not ours to replace, before any work is done.
///
/// # Errors
/// [`BundleError::Exists`] or [`BundleError::NotFile`].
pub fn check_output(path: &Path, overwrite: Overwrite) -> Result<(), BundleError> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = parent_of(path);
            let there = fs::metadata(parent).map(drop);
            return there.map_err(|source| BundleError::io("open", parent, source));
        }
        Err(error) => return Err(BundleError::io("open", path, error)),
    };
    if !meta.is_file() {
        return Err(BundleError::NotFile(path.to_path_buf()));
    }
    if overwrite == Overwrite::Files || meta.len() == 0 || Bundle::open(path).is_ok() {
        return Ok(());
    }
    Err(BundleError::Exists(path.to_path_buf()))
}

/// A bundle that is being written: a hidden file beside its place that goes with
/// the process's errors.
pub(super) struct Output<'a> {
    stub: &'a Template,
    path: &'a Path,
    temporary: NamedTempFile,
}

impl<'a> Output<'a> {
    pub(super) fn create(stub: &'a Template, path: &'a Path) -> Result<Self, BundleError> {
        let created = temporary_beside(path);
        let temporary = created.map_err(|source| BundleError::io("write", path, source))?;
        Ok(Self {
            stub,
            path,
            temporary,
        })
    }

    /// Takes the layer before the rest is known; `head` is how long what stands
    /// before it in the payload should be.
    pub(super) fn early_layer(&self, head: u64) -> EarlyLayer<'_> {
        let start = self.stub.payload_offset() + head;
        EarlyLayer::new(self.temporary.as_file(), start)
    }

    /// Writes what is not `placed` yet. The bundle appears when it is complete
    /// and on disk, mode 0755. Returns its size.
    ///
    /// # Errors
    /// The payload is too large, or the host refused something.
    pub(super) fn finish(
        self,
        contents: Contents<'_>,
        placed: Option<Placed>,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<u64, BundleError> {
        self.write(contents, placed, threads, progress)?;
        let path = self.path;
        let failed = |source| BundleError::io("write", path, source);
        let out = self.temporary.as_file();
        let size = out.metadata().map_err(failed)?.len();
        out.set_permissions(Permissions::from_mode(0o755))
            .map_err(failed)?;
        out.sync_data().map_err(failed)?;
        let persisted = self.temporary.persist(path);
        persisted.map_err(|error| failed(error.error))?;
        Ok(size)
    }

    fn write(
        &self,
        contents: Contents<'_>,
        placed: Option<Placed>,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<(), BundleError> {
        let Contents {
            manifest,
            config,
            provenance,
            layer,
            layer_size,
            layer_digest,
        } = contents;
        let plan = SegmentPlan::new(manifest, config, provenance, layer_size, layer_digest)?;
        let failed = |source| BundleError::Macho {
            path: self.path.to_path_buf(),
            source,
        };
        let io_failed = |source| BundleError::io("write", self.path, source);
        let start = self.stub.payload_offset() + plan.head.len() as u64;
        let placed = placed.filter(|placed| placed.start == start && placed.size() == layer_size);
        let out = self.temporary.as_file();
        if placed.is_none() {
            out.set_len(0).map_err(io_failed)?;
        }
        let task = progress.task("sign and write", Some(plan.total_len()));
        let name = identifier(manifest);
        let mut writer =
            SignedWriter::new(self.stub, plan.total_len(), &name, threads, out).map_err(failed)?;
        writer.write_all(&plan.head).map_err(io_failed)?;
        let mut layer = layer.take(layer_size);
        let advance = |count| task.advance(count);
        let copied = match placed {
            Some(placed) => placed.adopt(&mut writer),
            None => writer.read_from(&mut layer, &advance),
        };
        if copied.map_err(io_failed)? != layer_size {
            return Err(io_failed(io::ErrorKind::UnexpectedEof.into()));
        }
        io::copy(&mut io::repeat(0).take(plan.tail), &mut writer).map_err(io_failed)?;
        writer.finish().map_err(failed)?;
        task.finish();
        Ok(())
    }
}

/// The program's name in its signature: from what is inside, so that a bundle has
/// the same bytes under any name.
pub(super) fn identifier(manifest: &[u8]) -> String {
    format!("elfuse-{}", &Digest::of(manifest).hex()[..16])
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let parent = parent_of(path);
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    remove_unfinished(parent, &prefix);
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(UNFINISHED)
        .tempfile_in(parent)?;
    temporary.as_file().lock()?;
    Ok(temporary)
}

/// The directory that a file to be written belongs in.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes what runs that were killed left of the same file. Runs that are alive
/// hold a lock. What cannot be looked at or removed only takes room.
fn remove_unfinished(parent: &Path, prefix: &OsStr) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_bytes();
        let is_ours = name.starts_with(prefix.as_bytes()) && name.ends_with(UNFINISHED.as_bytes());
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_ours
            && is_file
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Opens a stub in a file.
///
/// # Errors
/// It cannot be read or is no stub.
pub fn read_stub(path: &Path) -> Result<Template, BundleError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|source| BundleError::io("open stub", path, source))?;
    // A stub is a few hundred kilobytes; 64 MiB is a wrong file.
    let read = file.take(64 << 20).read_to_end(&mut bytes);
    read.map_err(|source| BundleError::io("read stub", path, source))?;
    Template::new(bytes).map_err(|source| BundleError::Macho {
        path: path.to_path_buf(),
        source,
    })
}
