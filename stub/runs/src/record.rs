// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory of a run: who claims it, what its record says, who still lives.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{RunError, check_name, directory};

/// The files of a run, besides its lock.
const FILES: [&str; 6] = ["record", "record.new", "log", "log.1", "errors", "control"];

/// How a run ended, and when in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Exit status, 128 and more for signals.
    pub status: u8,
    /// When.
    pub at: u64,
}

/// What a run says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// The host's process.
    pub pid: i32,
    /// The bundle's file.
    pub bundle: PathBuf,
    /// Program and arguments.
    pub command: Vec<String>,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// Linux's number of the signal that asks it to end.
    pub stop_signal: i32,
    /// Does it have a log?
    pub is_detached: bool,
    /// How it ended, when it could say so.
    pub end: Option<End>,
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A name that is ours as long as this lives.
pub struct Claim {
    dir: PathBuf,
    name: String,
    _lock: File,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_path_buf();
    move |source| RunError::File { path, source }
}

impl Claim {
    /// Takes `name`; what an ended run of this name left is removed.
    ///
    /// # Errors
    /// [`RunError::Taken`], or the directory cannot be made.
    pub fn new(name: &str) -> Result<Self, RunError> {
        check_name(name)?;
        let dir = directory()?.join(name);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        // Others hold the lock for a moment when they look whether it is held.
        for _ in 0..50 {
            builder.create(&dir).map_err(failed(&dir))?;
            if let Some(lock) = lock(&dir)? {
                for file in FILES {
                    remove(&dir.join(file))?;
                }
                let name = name.to_owned();
                return Ok(Self {
                    dir,
                    name,
                    _lock: lock,
                });
            }
            std::thread::sleep(Duration::from_millis(4));
        }
        Err(RunError::Taken(name.to_owned()))
    }

    /// Takes `STEM-N` with a number that no run has, ended ones included.
    ///
    /// # Errors
    /// As [`Claim::new`].
    pub fn numbered(stem: &str) -> Result<Self, RunError> {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
        let stem: String = stem.chars().filter(is_plain).take(24).collect();
        let stem = stem.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let stem = if stem.is_empty() { "run" } else { stem };
        let base = directory()?;
        for number in 1u32.. {
            let name = format!("{stem}-{number}");
            if base.join(&name).exists() {
                continue;
            }
            match Self::new(&name) {
                Err(RunError::Taken(_)) => {}
                claimed => return claimed,
            }
        }
        Err(RunError::Taken(stem.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A file of the run.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Says what the run is.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn write(&self, record: &Record) -> Result<(), RunError> {
        let (path, new) = (self.file("record"), self.file("record.new"));
        let text = serde_json::to_vec(record).map_err(io::Error::from);
        text.and_then(|text| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(failed(&path))
    }
}

impl Drop for Claim {
    /// A run that never started leaves nothing.
    fn drop(&mut self) {
        if !self.file("record").exists() {
            // What cannot be removed is taken by the next run of this name.
            let _ = remove_all(&self.dir);
        }
    }
}

/// Removes the directory of a run; the caller holds its lock.
fn remove_all(dir: &Path) -> Result<(), RunError> {
    for file in FILES.iter().chain(&["lock"]) {
        remove(&dir.join(file))?;
    }
    fs::remove_dir(dir).map_err(failed(dir))
}

fn remove(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

/// The directory's lock, held alone; `None` while another has it, or when the
/// directory was removed meanwhile.
fn lock(dir: &Path) -> Result<Option<File>, RunError> {
    let path = dir.join("lock");
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    let file = match options.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed(&path))?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(source)) => return Err(failed(&path)(source)),
    }
    let ours = file.metadata().map_err(failed(&path))?.ino();
    let there = fs::metadata(&path).map(|there| there.ino()).ok();
    Ok((there == Some(ours)).then_some(file))
}

/// A run that was found.
pub struct Found {
    /// Its record.
    pub record: Record,
    dir: PathBuf,
}

impl Found {
    /// The run `name`.
    ///
    /// # Errors
    /// [`RunError::Unknown`], or its record cannot be read.
    pub fn named(name: &str) -> Result<Self, RunError> {
        check_name(name)?;
        let dir = directory()?.join(name);
        Self::at(dir)?.ok_or_else(|| RunError::Unknown(name.to_owned()))
    }

    fn at(dir: PathBuf) -> Result<Option<Self>, RunError> {
        let path = dir.join("record");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed(&path))?,
        };
        let record = serde_json::from_slice(&text).map_err(io::Error::from);
        let record = record.map_err(failed(&path))?;
        Ok(Some(Self { record, dir }))
    }

    /// All runs, by name.
    ///
    /// # Errors
    /// The directory or a record cannot be read.
    pub fn all() -> Result<Vec<Self>, RunError> {
        let base = directory()?;
        let entries = match fs::read_dir(&base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(failed(&base))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let dir = entry.map_err(failed(&base))?.path();
            found.extend(Self::at(dir)?);
        }
        found.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        Ok(found)
    }

    /// Does it still run?
    #[must_use]
    pub fn is_running(&self) -> bool {
        let lock = File::open(self.dir.join("lock"));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// A file of the run.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Removes what an ended run left; `false` when it runs.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn forget(&self) -> Result<bool, RunError> {
        let Some(_lock) = lock(&self.dir)? else {
            return Ok(false);
        };
        remove_all(&self.dir)?;
        Ok(true)
    }
}
