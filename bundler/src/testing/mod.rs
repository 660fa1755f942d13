// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several tests share: a fuzz loop over texts and a small HTTP server.

pub(crate) mod http;

use std::path::Path;
use std::time::{Duration, Instant};

/// xorshift64*: reproducible from the seed that a failure prints.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits") % limit.max(1)
    }
}

/// The files of `corpus/TARGET`, in the order of their names.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = std::fs::read_dir(dir).expect("the corpus");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |path| std::fs::read(path).expect("a seed");
    files.iter().map(read).collect()
}

/// Mutates the files of `corpus/TARGET` for `ELFUSE_FUZZ_SECONDS`, 1 by
/// default, and has `accepts` look at each: it panics when a promise is broken
/// and tells whether the bytes were good.
pub(crate) fn fuzz(target: &str, tokens: &[&[u8]], accepts: fn(&[u8]) -> bool) {
    let seeds = corpus(target);
    assert!(seeds.iter().any(|seed| accepts(seed)), "a seed is good");
    let seconds = std::env::var("ELFUSE_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|s| s.parse().ok()).unwrap_or(1);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut seed = 0x5eed_0000_u64;
    while Instant::now() < deadline {
        seed += 1;
        let mut random = Random(seed);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, tokens, &mut random);
        if std::panic::catch_unwind(|| accepts(&bytes)).is_err() {
            panic!(
                "seed {seed:#x} of {target}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, tokens: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => {
                let end = (at + 1 + random.below(16)).min(bytes.len());
                let piece: Vec<u8> = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            3 if at < bytes.len() => drop(bytes.remove(at)),
            kind => {
                let token = tokens[random.below(tokens.len())];
                // In the place of what is there, too, so that pages stay whole.
                let replaced = if kind == 4 { 0 } else { token.len() };
                let end = (at + replaced).min(bytes.len());
                bytes.splice(at..end, token.iter().copied());
            }
        }
    }
}
