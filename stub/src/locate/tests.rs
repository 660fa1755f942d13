// SPDX-License-Identifier: MIT OR Apache-2.0
//! Program files made by hand, whole, cut and damaged.

use super::{LocateError, payload_range};

/// A Mach-O of a header, `segments` (name, file offset, file size) and `len` bytes in all.
fn program(segments: &[(&str, u64, u64)], len: usize) -> Vec<u8> {
    let mut commands = Vec::new();
    for (name, offset, size) in segments {
        commands.extend(0x19_u32.to_le_bytes());
        commands.extend(72_u32.to_le_bytes());
        let mut padded = [0; 16];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        commands.extend(padded);
        for field in [0, 0, *offset, *size] {
            commands.extend(field.to_le_bytes());
        }
        commands.extend([0; 16]);
    }
    let count = u32::try_from(segments.len()).unwrap();
    let commands_len = u32::try_from(commands.len()).unwrap();
    let mut file = Vec::new();
    for field in [
        0xfeed_facf,
        0x0100_000c,
        0,
        2,
        count,
        commands_len,
        0,
        0_u32,
    ] {
        file.extend(field.to_le_bytes());
    }
    file.extend(commands);
    file.resize(len, 0);
    file
}

#[test]
fn the_segment_is_found_among_others() {
    let file = program(
        &[
            ("__TEXT", 0, 4096),
            ("__ELFUSE", 4096, 100),
            ("__LINKEDIT", 0, 0),
        ],
        8192,
    );
    assert_eq!(payload_range(&file), Ok(4096..4196));
}

#[test]
fn a_name_that_only_begins_alike_is_another_segment() {
    let file = program(&[("__ELFUSE2", 0, 100)], 8192);
    assert_eq!(payload_range(&file), Err(LocateError::NoSegment));
}

#[test]
fn a_segment_past_the_end_means_a_cut_file() {
    let file = program(&[("__ELFUSE", 4096, 4097)], 8192);
    assert_eq!(payload_range(&file), Err(LocateError::OutsideFile));
    let file = program(&[("__ELFUSE", u64::MAX, 2)], 8192);
    assert_eq!(payload_range(&file), Err(LocateError::OutsideFile));
}

#[test]
fn a_shell_script_is_not_a_program() {
    let script = b"#!/bin/sh\necho this is a script\n".to_vec();
    assert_eq!(payload_range(&script), Err(LocateError::NotMachO));
    assert_eq!(payload_range(&Vec::new()), Err(LocateError::NotMachO));
}

#[test]
fn every_prefix_and_every_flipped_byte_is_answered() {
    let whole = program(&[("__TEXT", 0, 100), ("__ELFUSE", 128, 100)], 256);
    for len in 0..whole.len() {
        // The range ends at 228, so the zeros after it may go.
        assert_eq!(
            payload_range(&whole[..len].to_vec()).is_ok(),
            len >= 228,
            "{len} bytes"
        );
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(range) = payload_range(&damaged) {
                assert!(
                    range.start <= range.end && range.end <= 256,
                    "byte {at}: {range:?}"
                );
            }
        }
    }
}
