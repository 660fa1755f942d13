// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the contents of all files, on several threads.
//!
//! The files are cut into units of neighbours at ends of frames, so that a frame
//! is decompressed once, or twice where a file reaches into it. Threads take the next unit until
//! none is left or one failed. A file's bytes go from the decompressed frame
//! straight to the host, hashed on the way.

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

/// Bytes of the tar that make a unit: whole frames.
const UNIT: u64 = 2 * FRAME_LEN as u64;

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
    let units = units(toc);
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

fn units(toc: &Toc) -> Vec<Vec<&Entry>> {
    let mut units: Vec<Vec<&Entry>> = Vec::new();
    let mut number = None;
    for entry in toc.entries.iter().filter(|entry| entry.kind == Kind::File) {
        let own = Some(entry.offset / UNIT);
        match units.last_mut() {
            Some(unit) if number == own => unit.push(entry),
            _ => units.push(vec![entry]),
        }
        number = own;
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
            .and_then(|(dir, name)| meta::create(dir, &name));
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
