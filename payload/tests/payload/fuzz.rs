// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutated bytes for every parser: none may panic, hang or take memory that the
//! bytes do not justify, and what a parser accepts must encode to the same bytes.
//!
//! Seeds are the files of `corpus/<target>/`. `ELFUSE_FUZZ_SECONDS` says how long
//! each target runs, one second unless told; `ELFUSE_FUZZ_SEED` starts elsewhere.
//! A failure prints the seed of its round, which alone repeats it.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elfuse_payload::layer::LayerReader;
use elfuse_payload::provenance::Provenance;
use elfuse_payload::reader::Payload;
use elfuse_payload::seekable::SeekTable;
use elfuse_payload::segment::{HEADER_LEN, Header};
use elfuse_payload::toc::Toc;

use crate::common::{AnyTar, Tree, noise, sample};

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", dir.display());
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = at + random.below((bytes.len() - at).min(16) + 1);
        match random.below(7) {
            _ if bytes.is_empty() => bytes.push(0),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => bytes.truncate(at),
            5 => bytes[at..end].fill(0xff),
            _ => {
                let from = random.below(other.len());
                let part = &other[from..from + random.below((other.len() - from).min(32) + 1)];
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
}

/// Feeds mutants to `parse` until the time is over.
fn fuzz(target: &str, parse: impl Fn(&[u8])) {
    let seeds = corpus(target);
    seeds.iter().for_each(|seed| parse(seed));
    let end = Instant::now() + Duration::from_secs(variable("ELFUSE_FUZZ_SECONDS", 1));
    let mut seed = variable("ELFUSE_FUZZ_SEED", 1);
    while Instant::now() < end {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        mutate(&mut bytes, other, &mut random);
        if catch_unwind(AssertUnwindSafe(|| parse(&bytes))).is_err() {
            panic!(
                "{target}: ELFUSE_FUZZ_SEED={seed} repeats it, {} bytes",
                bytes.len()
            );
        }
        seed += 1;
    }
}

#[test]
fn fuzz_header() {
    fuzz("header", |bytes| {
        let mut whole = [0; HEADER_LEN];
        let length = bytes.len().min(HEADER_LEN);
        whole[..length].copy_from_slice(&bytes[..length]);
        // With a digest that fits, or no mutant would get past it.
        let hashed = [&whole[..32], &whole[64..]].concat();
        let mut fitting = whole;
        fitting[32..64].copy_from_slice(elfuse_payload::Digest::of(&hashed).as_bytes());
        for bytes in [whole, fitting] {
            if let Ok(header) = Header::parse(&bytes) {
                assert_eq!(header.encode(), bytes);
            }
        }
    });
}

#[test]
fn fuzz_seek_table() {
    fuzz("seek_table", |bytes| {
        let data_len = 1_000;
        if let Ok(table) = SeekTable::parse(bytes, data_len) {
            assert_eq!(table.encode().unwrap(), bytes);
        }
    });
}

#[test]
fn fuzz_toc() {
    fuzz("toc", |bytes| {
        let tar_size = 1 << 40;
        if let Ok(toc) = Toc::parse(bytes, tar_size) {
            assert_eq!(toc.encode(tar_size).unwrap(), bytes);
        }
    });
}

#[test]
fn fuzz_provenance() {
    fuzz("provenance", |bytes| {
        if let Ok(provenance) = Provenance::parse(bytes) {
            assert_eq!(
                Provenance::parse(&provenance.to_json()).unwrap(),
                provenance
            );
        }
    });
}

#[test]
fn fuzz_layer() {
    fuzz("layer", |bytes| {
        let Ok(layer) = LayerReader::open(Arc::new(bytes.to_vec())) else {
            return;
        };
        let mut streamed = 0;
        let whole = layer.stream(1, &mut |_, data| {
            streamed += data.len() as u64;
            Ok(())
        });
        assert!(whole.is_err() || streamed == layer.tar_size());
        for entry in layer.toc().map(|toc| toc.entries).unwrap_or_default() {
            if let Ok(reader) = layer.open_entry(&entry) {
                let mut contents = Vec::new();
                let read = reader.take(1 << 24).read_to_end(&mut contents);
                assert!(read.is_err() || contents.len() as u64 == entry.size);
            }
        }
    });
}

#[test]
fn fuzz_payload() {
    fuzz("payload", |bytes| {
        if let Ok(payload) = Payload::open(bytes.to_vec()) {
            // Only the layer can still be wrong, and no mutant may pass for good.
            let is_seed = corpus("payload").iter().any(|seed| seed == bytes);
            assert_eq!(payload.verify(1, &|_| {}, &mut AnyTar).is_ok(), is_seed);
        }
    });
}

/// Writes the corpus anew; run it by name after a change of the format.
#[test]
#[ignore = "writes into the source tree"]
fn write_corpus() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(name), bytes).unwrap();
    };
    let mut small = Tree::new();
    small.file(b"f", b"contents of a file");
    let mut two_frames = Tree::new();
    two_frames.file(b"zeros", &vec![0; 9_000_000]);
    two_frames.file(b"zeros.noise", &noise(700, 3));
    let mut kinds = sample();
    kinds.entries.retain(|entry| entry.size < 1000);
    for (name, tree) in [
        ("small", &small),
        ("two-frames", &two_frames),
        ("kinds", &kinds),
    ] {
        let toc = Toc {
            entries: tree.entries.clone(),
        };
        write("toc", name, &toc.encode(1 << 40).unwrap());
        if name != "kinds" {
            write("layer", name, &tree.layer(1).0);
            write("payload", name, &tree.segment());
            write("header", name, &tree.segment()[..HEADER_LEN]);
        }
    }
    let frames = vec![
        elfuse_payload::seekable::FrameInfo {
            compressed_len: 700,
            decompressed_len: 4 << 20,
            checksum: 0x1234_5678,
        },
        elfuse_payload::seekable::FrameInfo::skippable(300),
    ];
    write("seek_table", "two", &SeekTable { frames }.encode().unwrap());
    write("provenance", "full", &crate::common::provenance().to_json());
}
