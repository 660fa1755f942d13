// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image as it leaves a bundle, for `export` and `push`.
//!
//! [`Outgoing`] is the bundle's manifest, config and layer, or the same image with
//! a gzip layer for tools that know no Zstandard. Each frame of the bundle's layer
//! becomes one gzip member, on all cores; members have no time and no name, so the
//! bytes depend on nothing but the tar. The config stays, as it names the digest of
//! the plain tar.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use elfuse_payload::segment::SectionKind;
use elfuse_payload::{Digest, FileRange, Range, ReadAt, Sha256Stream};
use flate2::write::GzEncoder;
use oci_spec::image::MediaType;
use serde_json::{Value, json};

use super::{ExportError, check, io_error};
use crate::bundle::Bundle;
use crate::progress::Progress;

/// What gzip(1) and most builders of images use.
const GZIP_LEVEL: u32 = 6;
/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// How the layer of an image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Compression {
    /// As it is in the bundle, under the same digest
    #[default]
    Zstd,
    /// For Docker before 23 and other tools that know no Zstandard
    Gzip,
}

/// An image on its way out of a bundle.
pub struct Outgoing<'a> {
    bundle: &'a Bundle,
    manifest: Cow<'a, [u8]>,
    layer: Range,
    layer_digest: Digest,
}

impl<'a> Outgoing<'a> {
    /// The image of `bundle`. A layer that is compressed anew waits in a file
    /// without a name in the directory `scratch`.
    ///
    /// # Errors
    /// The bundle is damaged, or there is no room for the new layer.
    pub fn new(
        bundle: &'a Bundle,
        compression: Compression,
        scratch: &Path,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<Self, ExportError> {
        let payload = bundle.payload();
        if compression == Compression::Zstd {
            return Ok(Self {
                bundle,
                manifest: Cow::Borrowed(payload.manifest()),
                layer: payload.layer_blob()?,
                layer_digest: payload.header().section(SectionKind::Layer).digest,
            });
        }
        let failed = io_error("write a file in", scratch);
        let file = tempfile::tempfile_in(scratch).map_err(&failed)?;
        let layer_digest = compress(bundle, &file, threads, progress)?;
        let file = FileRange::whole(file).map_err(&failed)?;
        let size = file.size();
        let manifest = manifest(payload.manifest(), layer_digest, size);
        Ok(Self {
            bundle,
            manifest: Cow::Owned(manifest.map_err(io_error("read manifest of", bundle.path()))?),
            layer: Range::new(Arc::new(file), 0, size)
                .ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?,
            layer_digest,
        })
    }

    pub(crate) fn bundle(&self) -> &'a Bundle {
        self.bundle
    }

    pub(crate) fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    pub(crate) fn config(&self) -> &'a [u8] {
        self.bundle.payload().config()
    }

    pub(crate) fn layer(&self) -> &Range {
        &self.layer
    }

    pub(crate) fn layer_digest(&self) -> Digest {
        self.layer_digest
    }

    /// Hands the layer to `sink` in pieces and checks its digest at the end.
    pub(super) fn copy_layer(
        &self,
        progress: &dyn Progress,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let failed = io_error("read", self.bundle.path());
        let task = progress.task("copy layer", Some(self.layer.size()));
        let mut hash = Sha256Stream::new();
        let mut block = vec![0; BLOCK];
        let mut offset = 0;
        while offset < self.layer.size() {
            let n = self.layer.read_at(&mut block, offset).map_err(&failed)?;
            if n == 0 {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            hash.update(&block[..n]);
            sink(&block[..n])?;
            offset += n as u64;
            task.advance(n as u64);
        }
        check(self.layer_digest, hash.finish())?;
        task.finish();
        Ok(())
    }
}

/// Writes the layer's tar to `file` as gzip and returns the digest of that.
fn compress(
    bundle: &Bundle,
    mut file: &File,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Digest, ExportError> {
    let payload = bundle.payload();
    let layer = payload.layer()?;
    let task = progress.task("compress layer", Some(layer.tar_size()));
    let (mut tar_hash, mut blob_hash) = (Sha256Stream::new(), Sha256Stream::new());
    let work = |data: Vec<u8>| member(&data).map(|member| (data, member));
    layer.map(threads, &work, &mut |(data, member)| {
        tar_hash.update(&data);
        blob_hash.update(&member);
        task.advance(data.len() as u64);
        file.write_all(&member)
    })?;
    check(payload.diff_id(), tar_hash.finish())?;
    task.finish();
    Ok(blob_hash.finish())
}

/// A gzip member; its header says neither when nor on what it was made.
fn member(data: &[u8]) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(data.len() / 2);
    let mut encoder = GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(data)?;
    encoder.finish()
}

/// The bundle's manifest with another layer in place of its one.
fn manifest(json: &[u8], digest: Digest, size: u64) -> io::Result<Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(json)?;
    manifest["layers"] = json!([{
        "mediaType": MediaType::ImageLayerGzip,
        "digest": digest,
        "size": size,
    }]);
    Ok(manifest.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_tell_neither_time_nor_host() {
        let member = member(b"some data").unwrap();
        // RFC 1952: deflate, no flags, no time, no extra flags, unknown system.
        assert_eq!(member[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    }

    #[test]
    fn manifest_changes_in_its_layer_only() {
        let old = br#"{"config":{"size":1},"layers":[{"size":2}],"schemaVersion":2}"#;
        let digest = Digest::of(b"layer");
        let new: Value = serde_json::from_slice(&manifest(old, digest, 7).unwrap()).unwrap();
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let layer = json!({"mediaType": media_type, "digest": digest.to_string(), "size": 7});
        let expected = json!({"config": {"size": 1}, "layers": [layer], "schemaVersion": 2});
        assert_eq!(new, expected);
    }
}
