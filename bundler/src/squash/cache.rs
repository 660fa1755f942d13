// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finished layers, kept by what they were made of.
//!
//! The key covers everything that decides the bytes: the layers in order, the
//! transforms with the contents of added files, the epoch, the level, and the
//! version of the format. An entry is one file: the blob, then a [`Trailer`], so it
//! appears at once or not at all. A blob is hashed again before it is used.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use elfuse_payload::layer::LayerSummary;
use elfuse_payload::{Digest, Sha256Stream};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::error::SquashError;
use super::{SquashOptions, SquashSummary, squash_with};
use crate::image::Layer;
use crate::progress::Progress;
use crate::transform::inject::Added;

/// Changes when the same input gives other bytes.
const FORMAT: u32 = 4;

/// Ends an entry: length of the trailer, then this.
const MAGIC: &[u8; 8] = b"ELFSQ\0\0\x01";
const FOOTER: usize = 4 + MAGIC.len();

/// Where finished layers are kept. Entries appear whole and may vanish at any
/// time; a file that was found stays readable once opened.
pub trait LayerCache: Send + Sync {
    /// The file kept under `key`.
    ///
    /// # Errors
    /// What the host says.
    fn find(&self, key: &str) -> io::Result<Option<PathBuf>>;

    /// A directory on the same file system, for files to be inserted.
    fn scratch(&self) -> &Path;

    /// Moves a file into the cache and returns its new place.
    ///
    /// # Errors
    /// What the host says.
    fn insert(&self, key: &str, file: tempfile::NamedTempFile) -> io::Result<PathBuf>;
}

/// A cache that is a directory.
#[derive(Debug, Clone)]
pub struct DirCache {
    dir: PathBuf,
    scratch: PathBuf,
}

impl DirCache {
    /// Uses `dir`, and `scratch` for files that are not finished; both must exist,
    /// on one file system.
    #[must_use]
    pub fn new(dir: PathBuf, scratch: PathBuf) -> Self {
        Self { dir, scratch }
    }
}

impl LayerCache for DirCache {
    fn find(&self, key: &str) -> io::Result<Option<PathBuf>> {
        let path = self.dir.join(key);
        Ok(path.try_exists()?.then_some(path))
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }

    fn insert(&self, key: &str, file: tempfile::NamedTempFile) -> io::Result<PathBuf> {
        let path = self.dir.join(key);
        file.persist(&path).map_err(|error| error.error)?;
        Ok(path)
    }
}

/// A squashed layer in a file.
#[derive(Debug)]
pub struct Squashed {
    /// The blob is the first `summary.layer.size` bytes.
    pub file: File,
    /// What is in it.
    pub summary: SquashSummary,
    /// It was found, not made.
    pub is_cached: bool,
}

/// What a cache entry says about its blob.
#[derive(Debug, Serialize, Deserialize)]
struct Trailer {
    digest: Digest,
    size: u64,
    diff_id: Digest,
    tar_size: u64,
    entries: u64,
    stripped: u64,
}

/// Like [`super::squash()`], but takes the result from `cache` or leaves it there.
/// What is made and not found is also written to `copy` as it comes.
///
/// # Errors
/// As [`super::squash()`]; a cache that cannot be read is an error of scratch space.
pub fn squash_cached(
    layers: &[Layer],
    options: &SquashOptions,
    progress: &dyn Progress,
    cache: &dyn LayerCache,
    copy: &mut dyn Write,
) -> Result<Squashed, SquashError> {
    let failed = |source| SquashError::Scratch {
        dir: cache.scratch().to_path_buf(),
        source,
    };
    let added = Added::collect(&options.transforms, options.epoch, &options.scratch)?;
    let key = key(layers, &added, options);
    if let Some(key) = &key
        && let Some(path) = cache.find(key).map_err(failed)?
        && let Some((file, summary)) = open(&path)
    {
        let is_cached = true;
        return Ok(Squashed {
            file,
            summary,
            is_cached,
        });
    }
    let mut temporary = tempfile::NamedTempFile::new_in(cache.scratch()).map_err(failed)?;
    let mut out = Twice(temporary.as_file_mut(), copy);
    let summary = squash_with(layers, added, options, progress, &mut out)?;
    // Opened before it is in the cache, from where it may vanish.
    let file = temporary.reopen().map_err(failed)?;
    if let Some(key) = key {
        seal(temporary.as_file_mut(), &summary).map_err(failed)?;
        cache.insert(&key, temporary).map_err(failed)?;
    }
    Ok(Squashed {
        file,
        summary,
        is_cached: false,
    })
}

/// Writes everything to both.
struct Twice<'a>(&'a mut File, &'a mut dyn Write);

impl Write for Twice<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        self.1.write_all(&bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.1.flush()
    }
}

/// `None` when a layer is not named by its contents: a directory may change.
fn key(layers: &[Layer], added: &Added, options: &SquashOptions) -> Option<String> {
    let mut hash = Sha256Stream::new();
    let mut field = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    field(&FORMAT.to_le_bytes());
    field(env!("CARGO_PKG_VERSION").as_bytes());
    field(&options.level.to_le_bytes());
    field(
        &options
            .epoch
            .map_or_else(Vec::new, |epoch| epoch.to_le_bytes().to_vec()),
    );
    field(&(layers.len() as u64).to_le_bytes());
    for layer in layers {
        layer.diff_id?;
        field(layer.digest.as_bytes());
    }
    for entry in added.entries() {
        field(&describe(entry));
    }
    field(b"strip");
    let strip = &options.transforms.strip;
    field(&[u8::from(strip.docs), u8::from(strip.caches)]);
    for prefix in &strip.prefixes {
        field(prefix.as_bytes());
    }
    Some(format!("squash-{}", hash.finish().hex()))
}

/// Everything about an added entry but where its contents wait.
fn describe(entry: &Entry) -> Vec<u8> {
    let mut entry = entry.clone();
    if let super::Kind::File(content) = &mut entry.kind {
        content.offset = 0;
    }
    format!("{entry:?}").into_bytes()
}

fn seal(file: &mut File, summary: &SquashSummary) -> io::Result<()> {
    let LayerSummary {
        digest,
        size,
        diff_id,
        tar_size,
    } = summary.layer;
    let SquashSummary {
        entries, stripped, ..
    } = *summary;
    let trailer = Trailer {
        digest,
        size,
        diff_id,
        tar_size,
        entries,
        stripped,
    };
    let text = serde_json::to_vec(&trailer)?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    file.write_all(&text)?;
    file.write_all(&length.to_le_bytes())?;
    // Not synced: what a crash damages is found when it is opened.
    file.write_all(MAGIC)
}

/// Opens an entry and checks its blob. A damaged one is as good as none: it is
/// removed and made again.
fn open(path: &Path) -> Option<(File, SquashSummary)> {
    let checked = File::open(path).and_then(|mut file| {
        let trailer = read_trailer(&mut file)?;
        check(&mut file, &trailer)?;
        Ok((file, trailer))
    });
    match checked {
        Ok((file, trailer)) => Some((file, trailer.summary())),
        Err(_) => {
            let _ = fs::remove_file(path);
            None
        }
    }
}

fn read_trailer(file: &mut File) -> io::Result<Trailer> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let length = file.metadata()?.len();
    let mut end = vec![0; usize::try_from(length.min(4096)).map_err(|_| damaged())?];
    file.seek(SeekFrom::Start(length - end.len() as u64))?;
    file.read_exact(&mut end)?;
    let (rest, footer) = end.split_last_chunk::<FOOTER>().ok_or_else(damaged)?;
    let (text_length, magic) = footer.split_first_chunk::<4>().ok_or_else(damaged)?;
    let text_length = u32::from_le_bytes(*text_length) as usize;
    let start = rest.len().checked_sub(text_length).ok_or_else(damaged)?;
    let trailer: Trailer = serde_json::from_slice(&rest[start..])?;
    let blob = length - (FOOTER + text_length) as u64;
    if magic != MAGIC || trailer.size != blob {
        Err(damaged())
    } else {
        Ok(trailer)
    }
}

fn check(file: &mut File, trailer: &Trailer) -> io::Result<()> {
    let mut hash = Sha256Stream::new();
    let mut buffer = vec![0; 1 << 20];
    file.rewind()?;
    let mut blob = file.take(trailer.size);
    loop {
        let count = blob.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    file.rewind()?;
    if hash.finish() == trailer.digest {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

impl Trailer {
    fn summary(&self) -> SquashSummary {
        let Self {
            digest,
            size,
            diff_id,
            tar_size,
            entries,
            stripped,
        } = *self;
        SquashSummary {
            layer: LayerSummary {
                digest,
                size,
                diff_id,
                tar_size,
            },
            entries,
            stripped,
        }
    }
}
