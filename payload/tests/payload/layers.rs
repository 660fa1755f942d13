// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layers and payloads from the outside: what is written is read back, other
//! programs read it too, and every kind of damage is found and named.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{AnyTar, Tree, noise, sample, segment};
use elfuse_payload::layer::LayerReader;
use elfuse_payload::reader::{Payload, PayloadError, TarCheck, TarMismatch, VerifyError};
use elfuse_payload::segment::SectionKind;
use elfuse_payload::toc::Entry;
use elfuse_payload::{Digest, Range};

fn read_all(mut reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn open(blob: &[u8]) -> LayerReader {
    LayerReader::open(Arc::new(blob.to_vec())).unwrap()
}

#[test]
fn layer_gives_back_what_was_written() {
    let tree = sample();
    let (blob, summary) = tree.layer(2);
    assert_eq!(summary.digest, Digest::of(&blob));
    assert_eq!(summary.size, blob.len() as u64);
    assert_eq!(summary.diff_id, Digest::of(&tree.tar));
    assert_eq!(summary.tar_size, tree.tar.len() as u64);
    let layer = open(&blob);
    let toc = layer.toc().unwrap();
    assert_eq!(toc.entries, tree.entries);
    assert_eq!(read_all(layer.tar_stream().unwrap()).unwrap(), tree.tar);
    let big = toc.find(b"bin/big").unwrap();
    assert_eq!(
        read_all(layer.open_entry(big).unwrap()).unwrap(),
        noise(18_000_000, 1)
    );
    let empty = toc.find(b"bin/empty").unwrap();
    assert_eq!(read_all(layer.open_entry(empty).unwrap()).unwrap(), b"");
    assert!(layer.open_entry(toc.find(b"bin").unwrap()).is_err());
}

#[test]
fn layer_bytes_do_not_depend_on_the_number_of_threads() {
    let mut tree = Tree::new();
    tree.file(b"f", &noise(20 << 20, 7));
    let (one, summary) = tree.layer(1);
    for threads in [2, 3, 16] {
        let (blob, same) = tree.layer(threads);
        assert_eq!(same, summary);
        assert!(blob == one, "{threads} threads");
    }
}

#[test]
fn stream_on_any_number_of_threads_is_the_tar() {
    let tree = sample();
    let layer = open(&tree.layer(2).0);
    for threads in [0, 1, 2, 3, 50] {
        let mut tar = Vec::new();
        let mut sink = |offset: u64, data: &[u8]| {
            assert_eq!(offset, tar.len() as u64);
            tar.extend_from_slice(data);
            Ok(())
        };
        layer.stream(threads, &mut sink).unwrap();
        assert!(tar == tree.tar, "{threads} threads");
    }
}

#[test]
fn what_is_made_of_frames_comes_in_their_order() {
    let tree = sample();
    let layer = open(&tree.layer(2).0);
    let expected: Vec<_> = tree.tar.chunks(8 << 20).map(Digest::of).collect();
    for threads in [1, 2, 7] {
        let mut digests = Vec::new();
        let work = |data: Vec<u8>| Ok(Digest::of(&data));
        let mut sink = |digest| {
            digests.push(digest);
            Ok(())
        };
        layer.map(threads, &work, &mut sink).unwrap();
        assert_eq!(digests, expected, "{threads} threads");
    }
    let work = |_| -> std::io::Result<()> { Err(std::io::ErrorKind::StorageFull.into()) };
    let error = layer.map(2, &work, &mut |()| Ok(())).unwrap_err();
    assert_eq!(error.into_io().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn failing_receiver_ends_a_stream() {
    let mut tree = Tree::new();
    tree.file(b"f", &noise(20 << 20, 7));
    let layer = open(&tree.layer(2).0);
    let mut sink = |_: u64, _: &[u8]| Err(std::io::ErrorKind::StorageFull.into());
    let error = layer.stream(2, &mut sink).unwrap_err().into_io();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn wrong_contents_of_a_file_are_not_handed_out() {
    let tree = sample();
    let layer = open(&tree.layer(2).0);
    let mut entry = layer.toc().unwrap().find(b"bin/small").unwrap().clone();
    entry.digest = Some(Digest::of(b"another"));
    assert!(read_all(layer.open_entry(&entry).unwrap()).is_err());
}

#[test]
fn entries_that_do_not_describe_the_tar_are_refused_on_writing() {
    let mut tree = sample();
    tree.entries[3].offset = 1 << 40;
    let mut writer =
        elfuse_payload::layer::LayerWriter::new(Vec::new(), Default::default()).unwrap();
    writer.write_all(&tree.tar).unwrap();
    let error = writer.finish(tree.entries).unwrap_err().to_string();
    assert!(
        error.contains("bin/big") && error.contains("outside the tar"),
        "{error}"
    );
}

#[test]
fn zstd_reads_the_blob() {
    let tree = sample();
    let (blob, _) = tree.layer(2);
    let Ok(mut zstd) = Command::new("zstd")
        .args(["-dc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        panic!("the program zstd is not installed");
    };
    let mut input = zstd.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || input.write_all(&blob));
    let output = zstd.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == tree.tar);
}

#[test]
fn payload_opens_and_verifies() {
    let tree = sample();
    let segment = tree.segment();
    let payload = Payload::open(segment.clone()).unwrap();
    assert_eq!(payload.diff_id(), Digest::of(&tree.tar));
    assert_eq!(payload.digest(), Digest::of(payload.manifest()));
    assert_eq!(*payload.provenance(), crate::common::provenance());
    assert_eq!(
        payload.layer().unwrap().toc().unwrap().entries,
        tree.entries
    );
    let seen = AtomicU64::new(0);
    payload
        .verify(
            2,
            &|n| {
                seen.fetch_add(n, Ordering::Relaxed);
            },
            &mut AnyTar,
        )
        .unwrap();
    assert_eq!(seen.into_inner(), segment.len() as u64);
}

/// Dislikes an entry once the tar has gone so far.
struct Dislikes(TarMismatch);

impl TarCheck for Dislikes {
    fn data(&mut self, entries: &[Entry], data: &[u8]) -> Result<(), TarMismatch> {
        assert!(entries.len() > 1);
        self.0.offset = self.0.offset.saturating_sub(data.len() as u64);
        if self.0.offset == 0 {
            Err(self.0)
        } else {
            Ok(())
        }
    }

    fn finish(&mut self, _: &[Entry]) -> Result<(), TarMismatch> {
        Err(self.0)
    }
}

#[test]
fn tar_that_is_not_what_the_table_says_is_named() {
    let payload = Payload::open(sample().segment()).unwrap();
    for (entry, offset, wanted) in [
        (Some(1), 1, "a-null is not what"),
        (None, u64::MAX, "the end of the tar is not"),
    ] {
        let mut check = Dislikes(TarMismatch { entry, offset });
        let error = payload.verify(2, &|_| {}, &mut check).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

/// What opening and verifying say of these bytes.
fn complaint(segment: &[u8]) -> Option<String> {
    let error: VerifyError = match Payload::open(segment.to_vec()) {
        Ok(payload) => payload.verify(1, &|_| {}, &mut AnyTar).err()?,
        Err(error) => error.into(),
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    Some(text)
}

#[test]
fn every_flipped_byte_is_found() {
    let mut tree = Tree::new();
    tree.add(crate::common::entry(b"d", elfuse_payload::toc::Kind::Dir));
    tree.file(b"d/f", b"contents of the file, contents of the file");
    let good = tree.segment();
    assert_eq!(complaint(&good), None);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(complaint(&bad).is_some(), "byte {at}");
    }
}

#[test]
fn damage_is_named() {
    let good = sample().segment();
    let payload = Payload::open(good.clone()).unwrap();
    let section = |kind| *payload.header().section(kind);
    let layer = section(SectionKind::Layer);
    let usize = |value: u64| usize::try_from(value).unwrap();
    let (start, end) = (usize(layer.offset), usize(layer.end()));
    let config = section(SectionKind::Config);
    let config_place = format!("read config at bytes {} to {}", config.offset, config.end());
    let cases = [
        (0, "not a payload"),
        (40, "read payload header"),
        (
            usize(section(SectionKind::Manifest).offset) + 3,
            "read manifest at bytes",
        ),
        (usize(config.offset) + 3, config_place.as_str()),
        (
            usize(section(SectionKind::Provenance).offset) + 3,
            "read provenance at bytes",
        ),
        (start - 1, "padding at byte"),
        (good.len() - 1, "padding at byte"),
        (start + 1000, "frame 0 at bytes"),
        (start + 1000, "holds bin/big"),
        (start + 8_600_000, "frame 1 at bytes"),
        (end - 1, "seek table"),
        (end - 30, "seek table"),
        (end - SEEK_TABLE - 40, "table of contents"),
    ];
    for (at, wanted) in cases {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let said = complaint(&bad).unwrap();
        assert!(said.contains(wanted), "byte {at}: {said}");
    }
}

/// Length of the seek table of the sample: three frames and the contents'.
const SEEK_TABLE: usize = 8 + 4 * 12 + 9;

#[test]
fn file_with_a_wrong_digest_in_the_table_is_named() {
    let mut tree = sample();
    let file = tree
        .entries
        .iter_mut()
        .find(|entry| entry.path == b"bin/small")
        .unwrap();
    file.digest = Some(Digest::of(b"another"));
    let said = complaint(&tree.segment()).unwrap();
    assert!(said.contains("contents of bin/small have digest"), "{said}");
}

#[test]
fn truncated_and_extended_payloads_are_refused() {
    let good = sample().segment();
    for length in [0, 10, 319, 320, 5000, good.len() - 1, good.len() + 1] {
        let mut bad = good.clone();
        bad.resize(length, 0);
        assert!(Payload::open(bad).is_err(), "{length} bytes");
    }
}

#[test]
fn manifest_of_another_layer_is_refused() {
    let (blob, mut summary) = sample().layer(1);
    let good = segment(&blob, &summary);
    assert!(Payload::open(good).is_ok());
    let real = summary;
    summary.digest = Digest::of(b"another");
    let config = crate::common::config(&real);
    let manifest = crate::common::manifest(&config, &summary);
    let provenance = crate::common::provenance().to_json();
    let plan = elfuse_payload::segment::SegmentPlan::new(
        &manifest,
        &config,
        &provenance,
        real.size,
        real.digest,
    )
    .unwrap();
    let mut bytes = plan.head;
    bytes.extend_from_slice(&blob);
    bytes.resize(bytes.len() + usize::try_from(plan.tail).unwrap(), 0);
    assert!(matches!(
        Payload::open(bytes),
        Err(PayloadError::Document(_))
    ));
}

#[test]
fn layer_blob_is_the_layer() {
    let (blob, summary) = sample().layer(1);
    let payload = Payload::open(segment(&blob, &summary)).unwrap();
    let range: Range = payload.layer_blob().unwrap();
    let mut bytes = vec![0; blob.len()];
    elfuse_payload::ReadAt::read_exact_at(&range, &mut bytes, 0).unwrap();
    assert!(bytes == blob);
}
