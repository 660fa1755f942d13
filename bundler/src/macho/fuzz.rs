// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutated executables: whatever the bytes, either an error or a bundle that
//! verifies; and no mutant of a bundle verifies.
//!
//! Seeds are the load commands of stubs. What they describe is filled with a
//! pattern, so that a seed is a few kilobytes and its file is still whole.

use std::io::Write;
use std::time::{Duration, Instant};

use super::image::{HEADER, Image};
use super::{PAGE, SignedWriter, Template, tests, verify};
use crate::testing::{self, Random};

const IDENTIFIER: &str = "fuzz";

/// Every seed as a whole file, and the stub that the other tests use.
fn corpus() -> Vec<Vec<u8>> {
    let seeds = testing::corpus("macho");
    let mut files: Vec<_> = seeds.into_iter().map(fill).collect();
    files.push(tests::stub());
    files
}

fn fill(mut head: Vec<u8>) -> Vec<u8> {
    let image = Image::parse(&head).expect("a stub's load commands");
    let end = image.segments.iter().map(|s| s.offset + s.size).max();
    let end = usize::try_from(end.expect("segments")).expect("a small stub");
    head.resize(end, 0x5a);
    head
}

fn sign(template: &Template, payload: &[u8]) -> Vec<u8> {
    let size = payload.len() as u64;
    let mut writer =
        SignedWriter::new(template, size, IDENTIFIER, 1, Vec::new()).expect("room for the payload");
    writer.write_all(payload).expect("memory");
    writer.finish().expect("memory")
}

/// Changes a few bytes between `start` and `end`, mostly whole fields and to
/// the numbers where arithmetic goes wrong.
fn mutate(bytes: &mut [u8], start: usize, end: usize, random: &mut Random) {
    const VALUES: &[u64] = &[
        0,
        1,
        7,
        8,
        72,
        0x3fff,
        0x4000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        u64::MAX,
        u64::MAX - 0x3fff,
    ];
    for _ in 0..=random.below(3) {
        let at = start + random.below(end - start);
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
            width => {
                let width = width * 4 - 4;
                let at = at & !3;
                let value = VALUES[random.below(VALUES.len())].to_le_bytes();
                if let Some(field) = bytes.get_mut(at..at + width) {
                    field.copy_from_slice(&value[..width]);
                }
            }
        }
    }
}

#[test]
fn fuzz_macho() {
    let seconds = std::env::var("ELFUSE_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let corpus: Vec<(Vec<u8>, Vec<u8>)> = corpus()
        .into_iter()
        .map(|stub| {
            let template = Template::new(stub.clone()).expect("every seed is a stub");
            let bundle = sign(&template, &[3; 2 * 16384]);
            (stub, bundle)
        })
        .collect();
    let mut seed = 0x5eed_0000_u64;
    let mut accepted = 0_u64;
    while Instant::now() < deadline {
        seed += 1;
        let mut random = Random::new(seed);
        let (stub, bundle) = &corpus[random.below(corpus.len())];
        let done = std::panic::catch_unwind(|| {
            let mut random = Random::new(seed);
            mutated_bundle(bundle, &mut random);
            mutated_stub(stub, &mut random)
        });
        match done {
            Ok(done) => accepted += u64::from(done),
            Err(_) => panic!("seed {seed:#x} breaks the Mach-O reader"),
        }
    }
    assert!(accepted > 0, "mutations leave some stubs usable");
}

/// A stub is refused, or what it grows to is a bundle like any other.
fn mutated_stub(stub: &[u8], random: &mut Random) -> bool {
    let mut bytes = stub.to_vec();
    let commands = usize::from(u16::from_le_bytes([bytes[20], bytes[21]]));
    mutate(&mut bytes, 0, HEADER + commands, random);
    if random.below(8) == 0 {
        bytes.truncate(random.below(stub.len()));
    }
    let Ok(template) = Template::new(bytes) else {
        return false;
    };
    if template.grow(PAGE, IDENTIFIER).is_err() {
        return false;
    }
    let bundle = sign(&template, &[9; 16384]);
    verify(&bundle, &|_| ()).expect("what we sign verifies");
    true
}

/// No mutant of a bundle verifies, wherever it was changed.
fn mutated_bundle(bundle: &[u8], random: &mut Random) {
    let image = Image::parse(bundle).expect("a bundle");
    let (signature, _) = image.signature.expect("signed");
    let signature = usize::try_from(signature).expect("small");
    let (start, end) = match random.below(4) {
        0 => (signature, bundle.len()),
        1 => (0, bundle.len()),
        _ => (0, image.header_len),
    };
    let mut bytes = bundle.to_vec();
    mutate(&mut bytes, start, end, random);
    if random.below(8) == 0 {
        bytes.truncate(random.below(bundle.len()));
    }
    if bytes != bundle {
        // Bundles compare the identifier with the payload.
        let found = verify(&bytes, &|_| ());
        let verifies = found.is_ok_and(|signature| signature.identifier == IDENTIFIER);
        assert!(!verifies, "a mutant verifies");
    }
}
