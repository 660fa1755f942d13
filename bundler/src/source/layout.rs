// SPDX-License-Identifier: MIT OR Apache-2.0
//! `oci:DIR[:TAG|@DIGEST]`: an OCI image layout in a directory.
//!
//! Blobs are read in place, after their digests were computed, on all cores.
//! The image is the one whose `org.opencontainers.image.ref.name` is the tag,
//! or the only one there is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use elfuse_payload::{Digest, Sha256Stream};
use oci_spec::image::{Descriptor, ImageIndex};

use super::{FetchContext, Source, SourceError};
use crate::image::{self, BlobHandle, BlobSource, Image, ImageError, MAX_DOCUMENT, digest_of};
use crate::progress::Progress;

/// Annotation that names an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout in a directory.
#[derive(Debug)]
pub struct Layout {
    reference: String,
    path: PathBuf,
    name: Option<String>,
}

impl Layout {
    /// The image `name`, a tag or `@` and a digest, in the layout at `path`.
    #[must_use]
    pub fn new(reference: &str, path: PathBuf, name: Option<String>) -> Self {
        Self {
            reference: reference.to_owned(),
            path,
            name,
        }
    }

    fn choose(&self, index: &ImageIndex) -> Result<Descriptor, SourceError> {
        let all = index.manifests();
        let name_of = |d: &Descriptor| d.annotations().as_ref()?.get(REF_NAME).cloned();
        let wanted = |d: &&Descriptor| match self.name.as_deref() {
            None => true,
            Some(name) => match name.strip_prefix('@') {
                Some(digest) => d.digest().to_string() == digest,
                None => name_of(d).as_deref() == Some(name),
            },
        };
        let found: Vec<_> = all.iter().filter(wanted).collect();
        if let [only] = found[..] {
            return Ok(only.clone());
        }
        let label = |d: &Descriptor| name_of(d).unwrap_or_else(|| format!("@{}", d.digest()));
        let present: Vec<_> = all.iter().map(label).collect();
        Err(SourceError::Name {
            name: self.name.clone().unwrap_or_else(|| "the only image".into()),
            path: self.path.clone(),
            present: present.join(", "),
        })
    }
}

impl Source for Layout {
    fn load(&self, context: &FetchContext<'_>) -> Result<Image, SourceError> {
        if !self.path.join("oci-layout").is_file() {
            return Err(SourceError::format(
                &self.path,
                "no OCI image layout (no file oci-layout)",
            ));
        }
        let path = self.path.join("index.json");
        let bytes = read_small(&path)?;
        let index: ImageIndex = serde_json::from_slice(&bytes)
            .map_err(|error| SourceError::format(&path, error.to_string()))?;
        let root = self.choose(&index)?;
        let blobs = LayoutBlobs {
            root: &self.path,
            context,
        };
        // The path is the building host's own business.
        let reference = self.reference.split(':').next().unwrap_or("oci");
        let name = self.name.as_deref().filter(|name| !name.starts_with('@'));
        let reference = name.map_or(reference.to_owned(), |name| format!("{reference}:{name}"));
        image::select(&blobs, &root, &reference, context.platform)
    }
}

/// The blobs of a layout.
struct LayoutBlobs<'a> {
    root: &'a Path,
    context: &'a FetchContext<'a>,
}

impl LayoutBlobs<'_> {
    fn path(&self, blob: &Descriptor) -> Result<PathBuf, SourceError> {
        let digest = digest_of(blob)?;
        Ok(self.root.join("blobs/sha256").join(digest.hex()))
    }
}

impl BlobSource for LayoutBlobs<'_> {
    type Error = SourceError;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, SourceError> {
        read_small(&self.path(blob)?)
    }

    fn layers(&self, blobs: &[Descriptor]) -> Result<Vec<BlobHandle>, SourceError> {
        let files: Vec<_> = blobs
            .iter()
            .map(|blob| Ok((self.path(blob)?, digest_of(blob)?, blob.size())))
            .collect::<Result<_, SourceError>>()?;
        verify_files(&files, self.context.threads, self.context.progress)?;
        Ok(files
            .into_iter()
            .map(|(path, ..)| BlobHandle::from_path(path))
            .collect())
    }
}

/// Compares files with their digests and sizes, several at once.
pub(super) fn verify_files(
    files: &[(PathBuf, Digest, u64)],
    threads: usize,
    progress: &dyn Progress,
) -> Result<(), SourceError> {
    let task = progress.task("check layers", Some(files.iter().map(|f| f.2).sum()));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> Result<(), SourceError> {
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some((path, digest, size)) = files.get(index) else {
                return Ok(());
            };
            verify_file(path, *digest, *size, &|bytes| task.advance(bytes))?;
        }
    };
    let done: Result<(), SourceError> = std::thread::scope(|scope| {
        let count = threads.clamp(1, files.len().max(1));
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    done.inspect(|()| task.finish())
}

fn verify_file(
    path: &Path,
    digest: Digest,
    size: u64,
    advance: &dyn Fn(u64),
) -> Result<(), SourceError> {
    let failed = |source| SourceError::io("read", path, source);
    let mut file = File::open(path).map_err(failed)?;
    let mut stream = Sha256Stream::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        stream.update(&buffer[..n]);
        advance(n as u64);
    }
    let actual = stream.length();
    if actual != size {
        return Err(ImageError::Size {
            digest,
            expected: size,
            actual,
        }
        .into());
    }
    let actual = stream.finish();
    if actual != digest {
        return Err(ImageError::Content {
            expected: digest,
            actual,
        }
        .into());
    }
    Ok(())
}

/// Reads a document, refusing large files.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(SourceError::format(path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(SourceError::format(path, "too large for a document"));
    }
    Ok(bytes)
}
