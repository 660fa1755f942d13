// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a detached program prints: two files of bounded size. When `log` is full it
//! becomes `log.1`, and what was that is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How long one of the two files gets.
const MAX_BYTES: u64 = 8 << 20;

struct State {
    path: PathBuf,
    file: File,
    written: u64,
    limit: u64,
}

/// Writes the log of a run; clones write the same one.
#[derive(Clone)]
pub struct Log(Arc<Mutex<State>>);

/// The older file beside `path`.
#[must_use]
pub fn older(path: &Path) -> PathBuf {
    path.with_extension("1")
}

impl Log {
    /// Begins a log at `path`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::with_limit(path, MAX_BYTES)
    }

    fn with_limit(path: &Path, limit: u64) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self(Arc::new(Mutex::new(State {
            path: path.to_path_buf(),
            file,
            written: 0,
            limit,
        }))))
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.written >= state.limit {
            fs::rename(&state.path, older(&state.path))?;
            state.file = File::create(&state.path)?;
            state.written = 0;
        }
        let count = state.file.write(bytes)?;
        state.written += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, older};
    use std::io::Write;

    #[test]
    fn a_log_stays_within_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::with_limit(&path, 100).unwrap();
        for n in 0..100 {
            writeln!(log, "line number {n}").unwrap();
        }
        let (new, old) = (
            std::fs::read(&path).unwrap(),
            std::fs::read(older(&path)).unwrap(),
        );
        assert!(new.len() <= 120 && old.len() <= 120);
        let text = String::from_utf8([old, new].concat()).unwrap();
        assert!(text.ends_with("line number 99\n"), "{text}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
