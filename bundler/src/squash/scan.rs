// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads layers: decompress, hash, take apart, keep the contents.
//!
//! Each layer runs three threads (read, decode, parse) and several layers
//! run at once; they share only the account of limits. A layer's entries leave
//! [`scan`] only after the digests of its blob, which nobody need have checked
//! before, and of what that decompresses to have been found right.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use crossbeam_channel::bounded;
use elfuse_payload::Digest;

use super::decode::{Hashed, Pieces, QUEUE, feed, pump};
use super::error::SquashError;
use super::gunzip::Checksum;
use super::limits::Account;
use super::parse::{LayerId, Scanned, parse};
use crate::image::Layer;
use crate::progress::{Progress, Task};

/// What scanning needs besides the layer.
pub(crate) struct Scan<'a> {
    pub(crate) account: &'a Account,
    pub(crate) scratch: &'a Path,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) threads: usize,
}

/// Scans all layers, the result in their order. The contents of layer `i` are
/// source number `i`. Stops at the first error.
pub(crate) fn scan(layers: &[Layer], scan: &Scan<'_>) -> Result<Vec<Scanned>, SquashError> {
    let next = AtomicUsize::new(0);
    let workers = scan.threads.clamp(1, layers.len().max(1));
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Relaxed);
            let Some(layer) = layers.get(index) else {
                return Ok(done);
            };
            match scan_layer(layer, index, scan) {
                Ok(scanned) => done.push((index, scanned)),
                Err(error) => {
                    // Nobody takes up another layer.
                    next.store(layers.len(), Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let mut all = Vec::with_capacity(layers.len());
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            let done = handle
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.extend(done);
        }
        Ok::<_, SquashError>(())
    })?;
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, scanned)| scanned).collect())
}

fn scan_layer(layer: &Layer, index: usize, scan: &Scan<'_>) -> Result<Scanned, SquashError> {
    let read_error = |source| SquashError::Read {
        layer: layer.digest,
        source,
    };
    let blob = layer.blob.open().map_err(read_error)?;
    let task = scan.progress.task(
        &format!("squash {}", short(&layer.digest)),
        Some(layer.size),
    );
    let task: Arc<dyn Task> = Arc::from(task);
    let counted = Counted {
        // One byte more than it may have is enough to see that it is too long.
        inner: blob.take(layer.size.saturating_add(1)),
        task: Arc::clone(&task),
    };
    let id = LayerId {
        digest: layer.digest,
        size: layer.size,
        source: u32::try_from(index).unwrap_or(u32::MAX),
    };
    // A digest of the whole makes gzip's own checksum pointless.
    let checksum = match layer.diff_id {
        Some(_) => Checksum::Skip,
        None => Checksum::Verify,
    };
    let (feed_in, feed_out) = bounded(QUEUE);
    let (parse_in, parse_out) = bounded(QUEUE);
    let (blob, scanned) = thread::scope(|scope| {
        let reader = scope.spawn(move || feed(counted, &feed_in));
        let blob = Pieces::new(feed_out);
        scope.spawn(move || pump(layer.media_type, checksum, blob, &parse_in));
        let stream = Hashed::new(Pieces::new(parse_out));
        let scanned = parse(stream, id, scan.account, scan.scratch);
        (join(reader), scanned)
    });
    // The wrong blob explains everything else that may be wrong.
    check_blob(layer, blob.map_err(read_error)?)?;
    let scanned = scanned?;
    check_diff_id(layer, scanned.diff_id)?;
    task.finish();
    Ok(scanned)
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn check_blob(layer: &Layer, (actual, length): (Digest, u64)) -> Result<(), SquashError> {
    if length != layer.size {
        return Err(SquashError::Size {
            layer: layer.digest,
            expected: layer.size,
            actual: length,
        });
    }
    if actual != layer.digest {
        return Err(SquashError::Blob {
            layer: layer.digest,
            actual,
        });
    }
    Ok(())
}

fn check_diff_id(layer: &Layer, actual: Digest) -> Result<(), SquashError> {
    match layer.diff_id {
        Some(expected) if expected != actual => Err(SquashError::DiffId {
            layer: layer.digest,
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

/// The first twelve digits, as people quote digests.
fn short(digest: &Digest) -> String {
    digest
        .to_string()
        .chars()
        .skip("sha256:".len())
        .take(12)
        .collect()
}

struct Counted<R> {
    inner: R,
    task: Arc<dyn Task>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.task.advance(count as u64);
        Ok(count)
    }
}
