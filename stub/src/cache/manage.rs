// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--elfuse-cache status` and `prune`: what is kept, since when it was not used,
//! and its removal. An image in use stays: its lock is held.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use elfuse_runs::spare::Spare;
use serde_json::json;

use super::{Cache, remove_tree};
use crate::{CacheError, StubError};

/// One image in the cache.
struct Kept {
    name: String,
    bytes: u64,
    /// Time since the last use.
    age: Duration,
}

/// Lists what is kept.
pub(crate) fn status(is_json: bool, out: &mut dyn Write) -> Result<(), StubError> {
    let cache = Cache::open()?;
    let kept = cache.kept()?;
    if is_json {
        let images: Vec<_> = kept
            .iter()
            .map(|image| json!({"layer": format!("sha256:{}", image.name), "bytes": image.bytes, "days": image.days()}))
            .collect();
        writeln!(
            out,
            "{:#}",
            json!({"directory": cache.base.display().to_string(), "images": images})
        )?;
        return Ok(());
    }
    writeln!(out, "{}", cache.base.display())?;
    for image in &kept {
        let Kept { name, bytes, .. } = image;
        let days = image.days();
        let short = name.get(..12).unwrap_or(name);
        writeln!(out, "{short}  {bytes:>14} bytes  used {days} days ago")?;
    }
    Ok(writeln!(out, "{} images", kept.len())?)
}

/// Detaches the cache's volume, where it has one.
pub(crate) fn detach() -> Result<(), StubError> {
    Ok(super::place::detach()?)
}

/// Removes what is neither in use nor to be spared.
pub(crate) fn prune(spare: Spare, is_json: bool, out: &mut dyn Write) -> Result<(), StubError> {
    let (count, freed) = Cache::open()?.prune(spare)?;
    super::place::compact()?;
    if is_json {
        writeln!(out, "{:#}", json!({"removed": count, "bytes": freed}))?;
    } else {
        writeln!(out, "removed {count} images, {freed} bytes")?;
    }
    Ok(())
}

impl Kept {
    fn days(&self) -> u64 {
        self.age.as_secs() / 86400
    }
}

impl Cache {
    /// Removes what `spare` does not spare, the longest unused first, but nothing
    /// that is in use; how many images and of how many bytes.
    pub(super) fn prune(&self, spare: Spare) -> Result<(u64, u64), CacheError> {
        let (mut count, mut freed) = (0_u64, 0_u64);
        let mut kept = self.kept()?;
        kept.sort_by_key(|image| std::cmp::Reverse(image.age));
        let mut left: u64 = kept.iter().map(|image| image.bytes).sum();
        for image in kept {
            if spare.spares(image.age, left) {
                continue;
            }
            let lock = self.lock_file(&image.name)?;
            if lock.try_lock().is_err() {
                continue;
            }
            let images = self.images();
            for path in [
                images.join(&image.name),
                images.join(format!(".new-{}", image.name)),
            ] {
                remove_tree(&path).map_err(|source| CacheError::Directory { path, source })?;
            }
            count += 1;
            freed += image.bytes;
            left -= image.bytes;
        }
        Ok((count, freed))
    }

    /// The images, finished or not, by name.
    fn kept(&self) -> Result<Vec<Kept>, CacheError> {
        let path = self.images();
        let failed = |source| CacheError::Directory {
            path: path.clone(),
            source,
        };
        let mut kept = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.strip_prefix(".new-").unwrap_or(&name).to_owned();
            let is_ours = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
            if is_ours && !kept.iter().any(|other: &Kept| other.name == name) {
                let (bytes, age) = describe(&entry.path());
                kept.push(Kept { name, bytes, age });
            }
        }
        kept.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(kept)
    }
}

/// Bytes of content, and time since the last use.
fn describe(directory: &Path) -> (u64, Duration) {
    let text = fs::read_to_string(directory.join("complete")).unwrap_or_default();
    let bytes = text.lines().nth(2).and_then(|line| line.parse().ok());
    let used = fs::metadata(directory.join("used")).and_then(|meta| meta.modified());
    let age = used
        .ok()
        .and_then(|used| SystemTime::now().duration_since(used).ok());
    (bytes.unwrap_or(0), age.unwrap_or_default())
}
