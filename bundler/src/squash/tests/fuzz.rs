// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutated archives: whatever the bytes, either an error or a tree whose normal
//! form reads back as the same tree.

use std::time::{Duration, Instant};

use super::forms::describe;
use super::{emit_tar, scan_and_apply};
use crate::testing::{Random, corpus};

/// Changes a few bytes, mostly in headers, and makes most checksums right
/// again: otherwise nothing behind the checksum would ever be reached.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TOKENS: &[&[u8]] = &[
        b"..", b"/", b".wh.", b"\0", b"\xff", b"g", b"x", b"S", b"1", b"5", b"=", b"\n", b"9",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
            2 => {
                let token = TOKENS[random.below(TOKENS.len())];
                let end = (at + token.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&token[..end - at]);
            }
            3 => {
                // Repeat or move whole blocks.
                let from = at / 512 * 512;
                let to = random.below(bytes.len()) / 512 * 512;
                let block = bytes[from..(from + 512).min(bytes.len())].to_vec();
                bytes.splice(to..to, block);
            }
            4 => bytes.truncate(at.max(1)),
            _ => {
                let block = at / 512 * 512;
                let field =
                    [0, 100, 108, 124, 136, 156, 157, 257, 329, 345, 386, 483][random.below(12)];
                let value = u8::try_from(random.below(256)).expect("a byte");
                if let Some(byte) = bytes.get_mut(block + field + random.below(8)) {
                    *byte = value;
                }
            }
        }
    }
    for block in bytes
        .chunks_exact_mut(512)
        .filter(|block| block[257..262] == *b"ustar")
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

#[test]
fn fuzz_squash() {
    let seconds = std::env::var("ELFUSE_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let corpus = corpus("squash");
    assert!(
        corpus.iter().all(|seed| scan_and_apply(seed).is_some()),
        "every seed is a good archive"
    );
    let mut seed = 0x5eed_0000_u64;
    let mut accepted = 0_u64;
    while Instant::now() < deadline {
        seed += 1;
        let mut random = Random::new(seed);
        let mut bytes = corpus[random.below(corpus.len())].clone();
        mutate(&mut bytes, &mut random);
        let outcome = std::panic::catch_unwind(|| round_trip(&bytes));
        match outcome {
            Ok(done) => accepted += u64::from(done),
            Err(_) => panic!("seed {seed:#x} breaks the squash"),
        }
    }
    assert!(accepted > 0, "mutations leave some archives readable");
}

/// `false` when the archive was refused.
fn round_trip(bytes: &[u8]) -> bool {
    let Some((tree, scanned)) = scan_and_apply(bytes) else {
        return false;
    };
    let normal = emit_tar(&tree, scanned);
    let (again, scanned) = scan_and_apply(&normal).expect("our own archive reads back");
    assert_eq!(describe(&again), describe(&tree));
    assert_eq!(emit_tar(&again, scanned), normal);
    true
}
