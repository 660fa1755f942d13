// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutated bytes for what reads programs: ELF headers and `#!` lines. Nothing may panic,
//! and what is accepted can be mapped without an overflow.
//!
//! Seeds are the files of `corpus/TARGET`. `ELFUSE_FUZZ_SECONDS` says how long each
//! target runs, one second unless told; `ELFUSE_FUZZ_SEED` starts elsewhere. A failure
//! prints the seed of its round, which alone repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{HEAD_LEN, elf, script};
use crate::mm::{PAGE, TASK_SIZE};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        usize::try_from(number % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn variable(name: &str) -> u64 {
    let value = std::env::var(name).ok().and_then(|text| text.parse().ok());
    value.unwrap_or(1)
}

/// Changes a few places: bits, bytes, whole numbers, lengths.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const NUMBERS: [u64; 8] = [
        0,
        1,
        4095,
        1 << 31,
        1 << 48,
        i64::MAX as u64,
        !4095,
        u64::MAX,
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            _ if bytes.is_empty() => bytes.push(0),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, b" \t\n\0/"[random.below(5)]),
            4 => {
                let copy = bytes[at..].to_vec();
                bytes.extend_from_slice(&copy);
            }
            _ => {
                let (at, end) = (at & !7, (at & !7) + 8);
                if let Some(place) = bytes.get_mut(at..end) {
                    place.copy_from_slice(&NUMBERS[random.below(8)].to_le_bytes());
                }
            }
        }
    }
}

/// Feeds mutants to `read` until the time is over.
fn fuzz(target: &str, read: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = std::fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    seeds.iter().for_each(|seed| read(seed));
    let end = Instant::now() + Duration::from_secs(variable("ELFUSE_FUZZ_SECONDS"));
    let mut seed = variable("ELFUSE_FUZZ_SEED");
    while Instant::now() < end {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, &mut random);
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        assert!(
            outcome.is_ok(),
            "{target}: ELFUSE_FUZZ_SEED={seed} repeats it"
        );
        seed += 1;
    }
}

#[test]
fn fuzz_elf() {
    fuzz("elf", |bytes| {
        let Ok(header) = elf::parse_header(&bytes[..bytes.len().min(HEAD_LEN)]) else {
            return;
        };
        let start = usize::try_from(header.phoff).unwrap_or(usize::MAX);
        let end = start.saturating_add(header.table_len());
        let Some(table) = bytes.get(start..end) else {
            return;
        };
        let Ok(program) = elf::parse_program(&header, table) else {
            return;
        };
        assert!(program.align().is_power_of_two() && program.align() >= PAGE);
        let (first, last) = program.span();
        assert!(first % PAGE == 0 && first < last && last <= TASK_SIZE);
        for segment in &program.segments {
            assert!(segment.file_len <= segment.mem_len);
            assert!(segment.vaddr >= first && segment.vaddr + segment.mem_len <= last);
            // Without bytes of the file, only memory is mapped.
            let is_aligned = segment.vaddr % PAGE == segment.offset % PAGE;
            assert!(is_aligned || segment.file_len == 0);
        }
    });
}

#[test]
fn fuzz_script() {
    fuzz("script", |bytes| {
        let Ok(line) = script::parse(&bytes[..bytes.len().min(HEAD_LEN)]) else {
            return;
        };
        let is_clean = |text: &[u8]| {
            !text.is_empty()
                && !text.contains(&b'\n')
                && !text.contains(&0)
                && !matches!(text[0], b' ' | b'\t')
        };
        assert!(is_clean(&line.interpreter));
        assert!(line.argument.is_none_or(|argument| is_clean(&argument)));
    });
}
