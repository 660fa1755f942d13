// SPDX-License-Identifier: MIT OR Apache-2.0
//! An OCI image layout in a directory.
//!
//! A new directory is made beside its place and renamed. One that is a layout
//! already gets the blobs it lacks and then, atomically, an index that names the
//! image as well, in place of an image that had the same name.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use elfuse_payload::Digest;
use serde_json::{Value, json};

use super::{ExportError, Outgoing, io_error};
use crate::bundle::parent_of;
use crate::progress::Progress;

/// Contents of the file `oci-layout`.
pub(super) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// An index longer than this is no index.
const MAX_INDEX: u64 = 16 << 20;

pub(super) fn write(
    image: &Outgoing<'_>,
    dir: &Path,
    tag: &str,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_none() || dir.join("oci-layout").is_file() {
                return fill(image, dir, tag, progress);
            }
            Err(ExportError::Occupied {
                path: dir.to_path_buf(),
                what: "the directory is not empty and not an OCI layout",
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = parent_of(dir);
            let made = tempfile::Builder::new()
                .prefix(".export.")
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .tempdir_in(parent);
            let temporary = made.map_err(io_error("make a directory in", parent))?;
            fill(image, temporary.path(), tag, progress)?;
            fs::rename(temporary.path(), dir).map_err(io_error("rename to", dir))?;
            let _ = temporary.keep();
            Ok(())
        }
        Err(error) => Err(io_error("open", dir)(error)),
    }
}

/// Blobs first, the index last: what it names is always there.
fn fill(
    image: &Outgoing<'_>,
    dir: &Path,
    tag: &str,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    let index = match read_index(&dir.join("index.json"))? {
        Some(old) => merged(&old, descriptor(image, tag), tag),
        None => new_index(image, tag),
    };
    let blobs = dir.join("blobs").join("sha256");
    fs::create_dir_all(&blobs).map_err(io_error("make", &blobs))?;
    for document in [image.manifest(), image.config()] {
        let path = blobs.join(Digest::of(document).hex());
        put(&path, |file| {
            file.write_all(document).map_err(io_error("write", &path))
        })?;
    }
    let path = blobs.join(image.layer_digest().hex());
    put(&path, |file| {
        image.copy_layer(progress, &mut |block| {
            file.write_all(block).map_err(io_error("write", &path))
        })
    })?;
    for (name, contents) in [("oci-layout", MARKER.to_vec()), ("index.json", index)] {
        let path = dir.join(name);
        put(&path, |file| {
            file.write_all(&contents).map_err(io_error("write", &path))
        })?;
    }
    Ok(())
}

/// Makes a file that appears when it is complete.
fn put(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let failed = io_error("write", path);
    let made = tempfile::Builder::new()
        .prefix(".export.")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(parent_of(path));
    let mut temporary = made.map_err(&failed)?;
    fill(temporary.as_file_mut())?;
    let kept = temporary.persist(path);
    kept.map(drop).map_err(|error| failed(error.error))
}

fn read_index(path: &Path) -> Result<Option<Value>, ExportError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    let mut text = Vec::new();
    let read = io::Read::read_to_end(&mut io::Read::take(file, MAX_INDEX), &mut text);
    read.map_err(io_error("read", path))?;
    let index: Value = serde_json::from_slice(&text)
        .map_err(|error| io_error("read", path)(io::Error::other(error)))?;
    if index["manifests"].is_array() {
        Ok(Some(index))
    } else {
        Err(ExportError::Occupied {
            path: path.to_path_buf(),
            what: "not an OCI index",
        })
    }
}

/// The index of a layout with this image alone.
pub(super) fn new_index(image: &Outgoing<'_>, tag: &str) -> Vec<u8> {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor(image, tag)],
    });
    index.to_string().into_bytes()
}

fn merged(old: &Value, new: Value, tag: &str) -> Vec<u8> {
    let mut index = old.clone();
    if let Some(manifests) = index["manifests"].as_array_mut() {
        manifests.retain(|manifest| manifest["annotations"][REF_NAME] != tag);
        manifests.push(new);
    }
    index.to_string().into_bytes()
}

fn descriptor(image: &Outgoing<'_>, tag: &str) -> Value {
    let platform = &image.bundle().payload().provenance().platform;
    let mut described = json!({"architecture": platform.architecture, "os": platform.os});
    if let Some(variant) = &platform.variant {
        described["variant"] = json!(variant);
    }
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": Digest::of(image.manifest()),
        "size": image.manifest().len(),
        "platform": described,
        "annotations": {REF_NAME: tag},
    })
}
