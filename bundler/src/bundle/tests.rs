// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damage, byte by byte: a small bundle with everything that a large one has,
//! in which every byte is wrong once. Opening or verifying must say so, and must
//! blame the part that the byte is in.
//!
//! A byte that differs from neither neighbour is filler, of which a sample is
//! enough: padding, and the body of the stub.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use elfuse_payload::Digest;

use super::write::Output;
use super::{Bundle, BundleError, Contents, Overrides, config};
use crate::image::{BlobHandle, Layer, LayerMediaType};
use crate::macho::{self, PAGE, Template};
use crate::progress::Quiet;
use crate::squash::{SquashOptions, squash};

/// Of filler, one byte in so many; a prime, to meet all positions in a page.
const STRIDE: usize = 61;

/// A tar with what the table of contents can say.
fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, link: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_uid(7);
        header.set_gid(9);
        header.set_mtime(1_700_000_000);
        header.set_size(data.len() as u64);
        if link.is_empty() {
            builder.append_data(&mut header, path, data)
        } else {
            builder.append_link(&mut header, path, link)
        }
        .expect("memory");
    };
    use tar::EntryType;
    let noise: Vec<u8> = (0..3000_u32).flat_map(u32::to_be_bytes).collect();
    add(EntryType::Directory, "bin", "", b"");
    add(EntryType::Regular, "bin/tool", "", &noise);
    add(EntryType::Link, "bin/other", "bin/tool", b"");
    add(EntryType::Symlink, "sh", "bin/tool", b"");
    add(EntryType::Fifo, "pipe", "", b"");
    builder.into_inner().expect("memory")
}

fn bundle(dir: &Path) -> PathBuf {
    let tar = tar();
    let blob = dir.join("layer.tar");
    std::fs::write(&blob, &tar).expect("a file");
    let layer = Layer {
        media_type: LayerMediaType::Tar,
        digest: Digest::of(&tar),
        size: tar.len() as u64,
        diff_id: Some(Digest::of(&tar)),
        blob: BlobHandle::from_path(blob),
    };
    let options = SquashOptions {
        scratch: dir.to_path_buf(),
        threads: 1,
        ..SquashOptions::default()
    };
    let mut blob = Vec::new();
    let summary = squash(&[layer], &options, &Quiet, &mut blob).expect("a squash");
    let source = br#"{"architecture":"arm64","os":"linux"}"#;
    let config = config::config(source, &Overrides::default(), &summary.layer).expect("JSON");
    let contents = Contents {
        manifest: &config::manifest(&config, &summary.layer),
        config: &config,
        provenance: include_bytes!("../../../payload/corpus/provenance/full"),
        layer: &mut &blob[..],
        layer_size: summary.layer.size,
        layer_digest: summary.layer.digest,
    };
    let stub = Template::new(macho::tests::stub()).expect("a stub");
    let path = dir.join("box");
    let output = Output::create(&stub, &path).expect("a temporary file");
    output.finish(contents, None, 1, &Quiet).expect("a bundle");
    path
}

fn verify(path: &Path) -> Result<(), BundleError> {
    let bundle = Bundle::open(path)?;
    bundle.verify_payload(1, &|_| ())?;
    bundle.verify_executable(&|_| ()).map(drop)
}

/// Whether `error` blames the part of the file that byte `at` is in.
fn is_blamed(error: &BundleError, at: u64, payload: &std::ops::Range<u64>) -> bool {
    match error {
        BundleError::Payload { .. } | BundleError::Damaged { .. } => {
            // Load commands say where the payload is.
            payload.contains(&at) || at < PAGE
        }
        BundleError::Executable { .. } => !payload.contains(&at),
        BundleError::NotBundle { .. } => at < PAGE,
        _ => false,
    }
}

#[test]
fn every_byte_counts_and_its_damage_is_blamed_on_its_part() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = bundle(dir.path());
    verify(&path).expect("an intact bundle");
    let whole = std::fs::read(&path).expect("the bundle");
    let image = macho::Image::parse(&whole).expect("an executable");
    let segment = image.segment(macho::SEGMENT).expect("a payload");
    let payload = segment.offset..segment.offset + segment.size;
    let is_filler = |at: usize| {
        let around = whole.get(at.saturating_sub(1)..at + 2);
        around.is_some_and(|around| around.iter().all(|byte| *byte == whole[at]))
    };
    let file = OpenOptions::new().write(true).open(&path).expect("a file");
    let mut tried = 0;
    for at in (0..whole.len()).filter(|at| !is_filler(*at) || at % STRIDE == 0) {
        let place = at as u64;
        put(&file, whole[at] ^ (1 << (at % 8)), place);
        let error = verify(&path).expect_err(&format!("byte {at} is wrong"));
        assert!(is_blamed(&error, place, &payload), "byte {at}: {error}");
        put(&file, whole[at], place);
        tried += 1;
    }
    verify(&path).expect("all damage is mended");
    assert!(tried > 2000, "{tried} bytes tried");
}

fn put(file: &File, byte: u8, at: u64) {
    file.write_all_at(&[byte], at).expect("a byte");
}

#[test]
fn nothing_may_follow_the_signature() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = bundle(dir.path());
    let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
    file.write_all(&[0]).expect("a byte");
    assert!(matches!(verify(&path), Err(BundleError::Executable { .. })));
}
