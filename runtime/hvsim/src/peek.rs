// SPDX-License-Identifier: GPL-2.0-only
//! Reads memory of this process at addresses that may be none.
//!
//! What looks into a structure of Unicorn does not know which of its words are
//! pointers. The kernel does: reading through `/proc/self/mem` fails where nothing is
//! mapped. Where there is no such file, nothing is found.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// This process's memory.
pub(crate) struct Peek(Option<File>);

impl Peek {
    pub(crate) fn new() -> Self {
        Self(File::open("/proc/self/mem").ok())
    }

    /// As many whole words at `address` as there are, at most `out.len()`.
    pub(crate) fn words(&self, address: usize, out: &mut [u64]) -> usize {
        let Some(file) = &self.0 else { return 0 };
        let Ok(at) = u64::try_from(address) else {
            return 0;
        };
        let mut bytes = vec![0; size_of_val(out)];
        let count = file.read_at(&mut bytes, at).unwrap_or(0) / 8;
        let (words, _) = bytes.as_chunks();
        for (word, bytes) in out.iter_mut().zip(&words[..count]) {
            *word = u64::from_ne_bytes(*bytes);
        }
        count
    }
}
