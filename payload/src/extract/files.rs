// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the contents of all files, on several threads.
//!
//! The files are cut into units of neighbours. Threads take the next unit until
//! none is left or one failed. Where a unit ends a file mostly reaches into the
//! next frame, which is then decompressed twice: so units are large, and become
//! smaller towards the end for the threads to end together. A file's bytes go
//! from the decompressed frame straight to the host, hashed on the way.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::dirs::Dirs;
use super::error::display;
use super::{ExtractError, ExtractOptions, meta};
use crate::Sha256Stream;
use crate::layer::{Decoder, LayerReader};
use crate::seekable::FRAME_LEN;
use crate::toc::{Entry, Kind, Toc};

/// Bytes that are hashed and then written, while they are in the core's cache.
const PIECE: usize = 256 << 10;

/// What the threads share.
struct Job<'a> {
    layer: &'a LayerReader,
    units: Vec<Vec<&'a Entry>>,
    next: AtomicUsize,
    failed: AtomicBool,
    error: Mutex<Option<ExtractError>>,
    root: BorrowedFd<'a>,
    options: &'a ExtractOptions,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// Writes all files of `toc`, whose directories exist.
pub(super) fn write(
    layer: &LayerReader,
    toc: &Toc,
    root: BorrowedFd<'_>,
    options: &ExtractOptions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), ExtractError> {
    let units = units(toc, options.threads.max(1));
    let threads = options.threads.clamp(1, units.len().max(1));
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let job = Job {
        layer,
        units,
        next,
        failed,
        error: Mutex::new(None),
        root,
        options,
        progress,
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let worker = thread::Builder::new().name("extract".into());
            if let Err(error) = worker.spawn_scoped(scope, || job.run()) {
                job.fail(ExtractError::Thread(error));
            }
        }
        job.run();
    });
    let error = job
        .error
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    error.map_or(Ok(()), Err)
}

/// Each has half of what is left for a thread, and ends where a frame does.
fn units(toc: &Toc, threads: usize) -> Vec<Vec<&Entry>> {
    const FRAME: u64 = FRAME_LEN as u64;
    let files = || toc.entries.iter().filter(|entry| entry.kind == Kind::File);
    let total = files().map(|file| file.offset + file.size).max();
    let share = 2 * threads as u64;
    let mut units: Vec<Vec<&Entry>> = Vec::new();
    let mut end = 0;
    for entry in files() {
        match units.last_mut() {
            Some(unit) if entry.offset < end => unit.push(entry),
            _ => {
                let left = total.unwrap_or_default().saturating_sub(entry.offset);
                let length = (left / share).max(1);
                end = (entry.offset + length).next_multiple_of(FRAME);
                units.push(vec![entry]);
            }
        }
    }
    units
}

impl Job<'_> {
    fn run(&self) {
        if let Err(error) = self.work() {
            self.fail(error);
        }
    }

    fn fail(&self, error: ExtractError) {
        self.failed.store(true, Ordering::Relaxed);
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
    }

    fn work(&self) -> Result<(), ExtractError> {
        let mut decoder = self.layer.decoder().map_err(ExtractError::Thread)?;
        let mut dirs = Dirs::new(self.root, self.options.names);
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            for entry in unit {
                if self.failed.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.file(&mut decoder, &mut dirs, entry)?;
            }
        }
        Ok(())
    }

    fn file(
        &self,
        decoder: &mut Decoder,
        dirs: &mut Dirs<'_>,
        entry: &Entry,
    ) -> Result<(), ExtractError> {
        let refused = |action| move |source| ExtractError::entry(action, entry, source);
        let created = dirs
            .parent(&entry.path)
            .and_then(|(dir, name)| meta::create(dir, &name, entry, self.options));
        let file = created.map_err(refused("make file"))?;
        self.contents(decoder, entry, &file)?;
        let set = meta::apply(file.as_fd(), entry, self.options);
        set.map_err(refused("set attributes of"))
    }

    fn contents(
        &self,
        decoder: &mut Decoder,
        entry: &Entry,
        file: &OwnedFd,
    ) -> Result<(), ExtractError> {
        let mut hash = Sha256Stream::new();
        let end = entry.offset + entry.size;
        let mut position = entry.offset;
        while position < end {
            let data = decoder.at(position)?;
            let left = usize::try_from(end - position).unwrap_or(usize::MAX);
            let data = &data[..data.len().min(left)];
            for piece in data.chunks(PIECE) {
                hash.update(piece);
                write_all(file, piece).map_err(|e| ExtractError::entry("write file", entry, e))?;
            }
            position += data.len() as u64;
            (self.progress)(data.len() as u64);
        }
        let actual = hash.finish();
        match entry.digest {
            Some(expected) if expected != actual => Err(ExtractError::Digest {
                path: display(entry),
                expected,
                actual,
            }),
            _ => Ok(()),
        }
    }
}

fn write_all(file: &OwnedFd, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, data))?;
        data = &data[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toc::Timestamp;

    fn table(files: u64, size: u64) -> Toc {
        let entry = |number| Entry {
            path: Vec::new(),
            kind: Kind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Vec::new(),
            link: Vec::new(),
            device: (0, 0),
            offset: 512 + number * (size + 512),
            size,
            digest: None,
        };
        Toc {
            entries: (0..files).map(entry).collect(),
        }
    }

    #[test]
    fn units_shrink_and_hold_every_file_in_order() {
        for (files, size, threads) in [(0, 0, 2), (1, 9, 8), (12_000, 50_000, 2), (900, 9, 1)] {
            let toc = table(files, size);
            let units = units(&toc, threads);
            assert!(units.iter().flatten().copied().eq(&toc.entries));
            let bytes = |unit: &Vec<&Entry>| unit.iter().map(|file| file.size).sum::<u64>();
            for (one, next) in units.iter().zip(units.iter().skip(1)) {
                assert!(bytes(next) <= bytes(one) + u64::from(FRAME_LEN));
            }
        }
    }

    #[test]
    fn few_frames_are_decompressed_twice() {
        let toc = table(12_000, 50_000);
        let frames = (12_000 * 50_512_u64).div_ceil(u64::from(FRAME_LEN));
        let units = units(&toc, 2).len() as u64;
        assert!(units * 4 < frames && units > 8, "{units} of {frames}");
    }
}
