// SPDX-License-Identifier: MIT OR Apache-2.0
//! ndb: two blobs behind a page of slots, one of them long enough that sums
//! of its checksum have to be reduced. All that is read of the file is under
//! that checksum or compared, so that no flipped bit passes.

use super::rpm::{flipped, header, names, put, refusal};
use crate::sbom::pages::Order;
use crate::sbom::rpm::Format;

const PAGE: usize = 4096;
/// The slots of the two packages: the first two are the file's header.
const SLOTS: [usize; 2] = [5 * 16, 9 * 16];

fn adler32(bytes: &[u8]) -> usize {
    let (mut a, mut b) = (1, 0);
    for byte in bytes {
        a = (a + usize::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    b * 65536 + a
}

fn words(words: &[usize]) -> Vec<u8> {
    let mut bytes = vec![0; 4 * words.len()];
    for (n, word) in words.iter().enumerate() {
        put(&mut bytes, 4 * n, Order::Little, *word);
    }
    bytes
}

fn tagged(magic: &[u8; 4], rest: &[usize]) -> Vec<u8> {
    [&magic[..], &words(rest)].concat()
}

/// What ends at a multiple of 16 bytes.
fn blob(package: usize, data: &[u8]) -> Vec<u8> {
    let mut blob = tagged(b"BlbS", &[package, 1_700_000_000, data.len()]);
    blob.extend_from_slice(data);
    blob.resize((blob.len() + 12).next_multiple_of(16) - 12, 0);
    blob.extend_from_slice(&words(&[adler32(&blob), data.len()]));
    blob.extend_from_slice(b"BlbE");
    blob
}

fn database() -> Vec<u8> {
    let mut file = tagged(b"Slot", &[0, 0, 0]).repeat(PAGE / 16);
    let start = [tagged(b"RpmP", &[0, 7, 1]), words(&[3, 0, 0, 0])].concat();
    file[..32].copy_from_slice(&start);
    let blobs = [header("one", "text"), header("two", &"\u{ff}".repeat(4000))];
    for (n, (at, data)) in SLOTS.iter().zip(blobs).enumerate() {
        let blob = blob(n + 1, &data);
        let slot = tagged(b"Slot", &[n + 1, file.len() / 16, blob.len() / 16]);
        file[*at..at + 16].copy_from_slice(&slot);
        file.extend_from_slice(&blob);
    }
    file
}

#[test]
fn packages_stand_in_slots_anywhere_on_the_page() {
    assert_eq!(names(Format::Ndb, &database()).unwrap(), ["one", "two"]);
}

#[test]
fn ndb_that_ends_too_early_is_refused_at_every_length() {
    let file = database();
    for length in 0..file.len() {
        assert!(names(Format::Ndb, &file[..length]).is_err(), "{length}");
    }
}

#[test]
fn every_flipped_bit_of_blobs_and_slots_is_noticed() {
    let file = database();
    for (at, bytes) in flipped(&file) {
        // The generation, the next package, and what else the header has.
        let is_unread = (8..12).contains(&at) || (16..32).contains(&at);
        match names(Format::Ndb, &bytes) {
            Ok(found) => assert!(is_unread && found == ["one", "two"], "{at}: {found:?}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn refusal_of_ndb_says_where_and_why() {
    let refused = |at: usize, word: usize| {
        let mut file = database();
        put(&mut file, at, Order::Little, word);
        refusal(Format::Ndb, &file)
    };
    assert_eq!(refused(0, 1), "not an ndb database");
    assert!(refused(4, 1).contains("version"));
    assert!(refused(12, 2).starts_with("slot 256: "));
    assert!(refusal(Format::Ndb, &database()[..PAGE - 1]).starts_with("page 0: "));
    assert_eq!(refused(7 * 16, 0), "slot 7: it is damaged");
    // The second slot points at the first one's blob, and at the slots.
    let overlaps = "slot 9: its blob is not its own";
    assert_eq!(refused(SLOTS[1] + 8, PAGE / 16), overlaps);
    assert_eq!(refused(SLOTS[1] + 8, 1), overlaps);
    let ends = "slot 9: it ends too early";
    assert_eq!(refused(SLOTS[1] + 12, 0xffff_ffff), ends);
    let checksum = "slot 5: its blob has another checksum";
    assert_eq!(refused(PAGE + 16, 0), checksum);
}
