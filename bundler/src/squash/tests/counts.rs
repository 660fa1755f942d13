// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a squash costs, in counts that are the same on every machine: reads of
//! the blobs, writes of the result, frames compressed. docs/budgets.md has them.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use elfuse_payload::Digest;
use elfuse_payload::layer::LayerReader;
use elfuse_payload::seekable::FRAME_LEN;
use tempfile::TempDir;

use super::super::cache::{DirCache, squash_cached};
use super::super::tar::writer::END;
use super::super::{SquashOptions, squash};
use super::forms::member;
use crate::image::{BlobHandle, Layer, LayerMediaType, OpenBlob};
use crate::progress::Quiet;

/// A blob in memory that counts how often and how far it is read.
#[derive(Debug, Default)]
struct Blob {
    bytes: Vec<u8>,
    opened: AtomicU64,
    read: AtomicU64,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Blob>);

impl OpenBlob for Shared {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.0.opened.fetch_add(1, Relaxed);
        let (blob, position) = (Arc::clone(&self.0), 0);
        Ok(Box::new(Reader { blob, position }))
    }
}

struct Reader {
    blob: Arc<Blob>,
    position: usize,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.blob.bytes[self.position..]).read(buffer)?;
        self.position += count;
        self.blob.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

/// A layer of files that compress to about a half.
fn layer(media_type: LayerMediaType, files: usize, size: usize) -> (Layer, Arc<Blob>) {
    let mut random = 1_u32;
    let mut contents: Vec<u8> = (0..size)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (random >> 28).to_le_bytes()[0]
        })
        .collect();
    let mut tar = Vec::new();
    for index in 0..files {
        contents[..8].copy_from_slice(&(index as u64).to_le_bytes());
        tar.extend(member(format!("f{index:06}").as_bytes(), b'0', &contents));
    }
    tar.extend(END);
    let bytes = match media_type {
        LayerMediaType::Tar => tar.clone(),
        LayerMediaType::Zstd => zstd::encode_all(&tar[..], 1).expect("memory"),
        LayerMediaType::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&tar).expect("memory");
            encoder.finish().expect("memory")
        }
    };
    let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
    let blob = Arc::new(Blob {
        bytes,
        ..Blob::default()
    });
    let layer = Layer {
        media_type,
        digest,
        size,
        diff_id: Some(Digest::of(&tar)),
        blob: BlobHandle::new(Shared(Arc::clone(&blob))),
    };
    (layer, blob)
}

/// Counts writes.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    writes: usize,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn options(dir: &TempDir) -> SquashOptions {
    SquashOptions {
        scratch: dir.path().to_path_buf(),
        threads: 2,
        ..SquashOptions::default()
    }
}

#[test]
fn blobs_are_read_once_and_frames_are_written_once() {
    let dir = TempDir::new().expect("a directory");
    let types = [
        LayerMediaType::Tar,
        LayerMediaType::Gzip,
        LayerMediaType::Zstd,
    ];
    for media_type in types {
        let (layer, blob) = layer(media_type, 9, 3_000_000);
        let mut out = Out::default();
        let layers = std::slice::from_ref(&layer);
        let summary = squash(layers, &options(&dir), &Quiet, &mut out).expect("a squash");
        assert_eq!(blob.opened.load(Relaxed), 1);
        assert_eq!(blob.read.load(Relaxed), layer.size);
        assert_eq!(out.bytes.len() as u64, summary.layer.size);
        // One compression and one write each; contents and seek table are two more.
        let frames = summary.layer.tar_size.div_ceil(u64::from(FRAME_LEN));
        assert_eq!(out.writes as u64, frames + 2);
        let reader = LayerReader::open(Arc::new(out.bytes)).expect("a layer");
        assert_eq!(reader.frame_count() as u64, frames);
    }
}

#[test]
fn second_squash_reads_no_layer() {
    let dir = TempDir::new().expect("a directory");
    let cache = DirCache::new(dir.path().to_path_buf(), dir.path().to_path_buf());
    let (layer, blob) = layer(LayerMediaType::Gzip, 3, 100_000);
    for is_cached in [false, true] {
        let layers = std::slice::from_ref(&layer);
        let squashed = squash_cached(layers, &options(&dir), &Quiet, &cache, &mut io::sink())
            .expect("a squash");
        assert_eq!(squashed.is_cached, is_cached);
        assert_eq!(blob.opened.load(Relaxed), 1);
    }
}

#[test]
fn table_of_contents_takes_few_bytes_per_file() {
    let dir = TempDir::new().expect("a directory");
    let mut sizes = Vec::new();
    for files in [1000, 3000] {
        let (layer, _) = layer(LayerMediaType::Tar, files, 8);
        let mut out = Vec::new();
        squash(&[layer], &options(&dir), &Quiet, &mut out).expect("a squash");
        sizes.push(out.len());
    }
    // A digest cannot be compressed; the rest of an entry nearly vanishes.
    let per_file = (sizes[1] - sizes[0]) / 2000;
    assert!((32..80).contains(&per_file), "{per_file} bytes");
}
