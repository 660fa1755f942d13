// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images in a tar: an OCI layout, or what `docker load` reads.
//!
//! Members have no time, no owner and a fixed order, so equal bundles give
//! equal archives. The layer goes through without being held.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use elfuse_payload::{Digest, ReadAt, Sha256Stream};
use serde_json::json;

use super::{ExportError, Outgoing, check, io_error, layout};
use crate::bundle::{Bundle, parent_of};
use crate::progress::Progress;

pub(super) fn write_oci(
    image: &Outgoing<'_>,
    path: &Path,
    tag: &str,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    let mut archive = Archive::create(path)?;
    archive.add("oci-layout", layout::MARKER)?;
    archive.add("index.json", &layout::new_index(image, tag))?;
    archive.add_dir("blobs/")?;
    archive.add_dir("blobs/sha256/")?;
    for document in [image.manifest(), image.config()] {
        let name = format!("blobs/sha256/{}", Digest::of(document).hex());
        archive.add(&name, document)?;
    }
    let size = image.layer().size();
    let name = format!("blobs/sha256/{}", image.layer_digest().hex());
    archive.begin(&name, size)?;
    image.copy_layer(progress, &mut |block| archive.data(block))?;
    archive.pad(size)?;
    archive.finish(path)
}

pub(super) fn write_docker(
    bundle: &Bundle,
    path: &Path,
    name: Option<&str>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    let payload = bundle.payload();
    let layer = payload.layer()?;
    let config_name = format!("{}.json", Digest::of(payload.config()).hex());
    let layer_name = format!("{}.tar", payload.diff_id().hex());
    let tags: Vec<&str> = name.into_iter().collect();
    let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": [layer_name]}]);
    let mut archive = Archive::create(path)?;
    archive.add("manifest.json", manifest.to_string().as_bytes())?;
    archive.add(&config_name, payload.config())?;
    archive.begin(&layer_name, layer.tar_size())?;
    let task = progress.task("decompress layer", Some(layer.tar_size()));
    let mut hash = Sha256Stream::new();
    let mut failed = None;
    let streamed = layer.stream(threads, &mut |_, block| {
        hash.update(block);
        task.advance(block.len() as u64);
        archive.data(block).map_err(|error| {
            failed = Some(error);
            io::Error::other("write archive")
        })
    });
    match failed {
        Some(error) => return Err(error),
        None => streamed?,
    }
    check(payload.diff_id(), hash.finish())?;
    archive.pad(layer.tar_size())?;
    archive.finish(path)?;
    task.finish();
    Ok(())
}

/// A tar in the making, in a temporary file beside its place.
struct Archive<'a> {
    path: &'a Path,
    out: BufWriter<tempfile::NamedTempFile>,
}

impl<'a> Archive<'a> {
    fn create(path: &'a Path) -> Result<Self, ExportError> {
        let is_other = path.symlink_metadata().is_ok_and(|meta| !meta.is_file());
        if is_other {
            return Err(ExportError::Occupied {
                path: path.to_path_buf(),
                what: "not a regular file",
            });
        }
        let made = tempfile::Builder::new()
            .prefix(".export.")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(parent_of(path));
        Ok(Self {
            path,
            out: BufWriter::new(made.map_err(io_error("write", path))?),
        })
    }

    fn add(&mut self, name: &str, contents: &[u8]) -> Result<(), ExportError> {
        self.begin(name, contents.len() as u64)?;
        self.data(contents)?;
        self.pad(contents.len() as u64)
    }

    fn add_dir(&mut self, name: &str) -> Result<(), ExportError> {
        self.header(name, tar::EntryType::Directory, 0o755, 0)
    }

    fn begin(&mut self, name: &str, size: u64) -> Result<(), ExportError> {
        self.header(name, tar::EntryType::Regular, 0o644, size)
    }

    fn header(
        &mut self,
        name: &str,
        kind: tar::EntryType,
        mode: u32,
        size: u64,
    ) -> Result<(), ExportError> {
        let mut header = tar::Header::new_ustar();
        header
            .set_path(name)
            .map_err(io_error("write", self.path))?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.data(header.as_bytes())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.out
            .write_all(bytes)
            .map_err(io_error("write", self.path))
    }

    /// Fills the last block of a member of `size` bytes.
    fn pad(&mut self, size: u64) -> Result<(), ExportError> {
        let rest = usize::try_from(size.next_multiple_of(512) - size).unwrap_or(0);
        self.data(&[0; 512][..rest])
    }

    fn finish(mut self, path: &Path) -> Result<(), ExportError> {
        self.data(&[0; 1024])?;
        let failed = io_error("write", path);
        let file = self
            .out
            .into_inner()
            .map_err(|error| failed(error.into()))?;
        File::sync_data(file.as_file()).map_err(&failed)?;
        let kept = file.persist(path);
        kept.map(drop).map_err(|error| failed(error.error))
    }
}
