// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds layers and payloads for the tests: a tree of entries with contents
//! becomes a tar, a table of contents, a layer blob and a whole segment.

use std::io::Write;

use elfuse_payload::Digest;
use elfuse_payload::layer::{LayerOptions, LayerSummary, LayerWriter, MEDIA_TYPE};
use elfuse_payload::provenance::{self, Platform, Provenance, Source, Tool};
use elfuse_payload::reader::{TarCheck, TarMismatch};
use elfuse_payload::segment::SegmentPlan;
use elfuse_payload::toc::{Entry, Kind, Timestamp};

/// An entry without contents; the caller sets what differs.
pub(crate) fn entry(path: &[u8], kind: Kind) -> Entry {
    Entry {
        path: path.to_vec(),
        kind,
        mode: if kind == Kind::Dir { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        mtime: Timestamp {
            secs: 1_700_000_000,
            nanos: 123_456_789,
        },
        xattrs: Vec::new(),
        link: Vec::new(),
        device: (0, 0),
        offset: 0,
        size: 0,
        digest: None,
    }
}

pub(crate) fn root() -> Entry {
    entry(b"", Kind::Dir)
}

pub(crate) fn link(path: &[u8], kind: Kind, target: &[u8]) -> Entry {
    Entry {
        link: target.to_vec(),
        ..entry(path, kind)
    }
}

/// A stand-in for a tar: per entry a block that names it, then its contents,
/// padded as in a tar. Readers of the payload never look at tar headers.
pub(crate) struct Tree {
    pub(crate) entries: Vec<Entry>,
    pub(crate) tar: Vec<u8>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let mut tree = Self {
            entries: Vec::new(),
            tar: Vec::new(),
        };
        tree.add(root());
        tree
    }

    pub(crate) fn add(&mut self, entry: Entry) -> &mut Entry {
        let mut header = entry.path.clone();
        header.resize(header.len().next_multiple_of(512).max(512), 0);
        self.tar.extend(header);
        self.entries.push(entry);
        self.entries.last_mut().unwrap()
    }

    pub(crate) fn file(&mut self, path: &[u8], contents: &[u8]) -> &mut Entry {
        self.add(entry(path, Kind::File));
        let offset = self.tar.len() as u64;
        self.tar.extend_from_slice(contents);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
        let entry = self.entries.last_mut().unwrap();
        entry.offset = offset;
        entry.size = contents.len() as u64;
        entry.digest = Some(Digest::of(contents));
        entry
    }

    pub(crate) fn layer(&self, threads: usize) -> (Vec<u8>, LayerSummary) {
        let mut blob = Vec::new();
        let options = LayerOptions { level: 3, threads };
        let mut writer = LayerWriter::new(&mut blob, options).unwrap();
        // Odd pieces, so that frames do not fall on the borders of writes.
        for piece in self.tar.chunks(70_001) {
            writer.write_all(piece).unwrap();
        }
        let summary = writer.finish(self.entries.clone()).unwrap();
        (blob, summary)
    }

    pub(crate) fn segment(&self) -> Vec<u8> {
        let (blob, summary) = self.layer(2);
        segment(&blob, &summary)
    }
}

pub(crate) fn segment(blob: &[u8], summary: &LayerSummary) -> Vec<u8> {
    let config = config(summary);
    let manifest = manifest(&config, summary);
    let provenance = provenance().to_json();
    let (len, digest) = (summary.size, summary.digest);
    let plan = SegmentPlan::new(&manifest, &config, &provenance, len, digest).unwrap();
    let mut out = plan.head.clone();
    out.extend_from_slice(blob);
    out.resize(out.len() + usize::try_from(plan.tail).unwrap(), 0);
    assert_eq!(out.len() as u64, plan.total_len());
    out
}

pub(crate) fn config(summary: &LayerSummary) -> Vec<u8> {
    let diff_id = summary.diff_id;
    format!(
        r#"{{"architecture":"arm64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    )
    .into_bytes()
}

pub(crate) fn manifest(config: &[u8], summary: &LayerSummary) -> Vec<u8> {
    let (digest, size) = (Digest::of(config), config.len());
    let (layer, layer_size) = (summary.digest, summary.size);
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}},"layers":[{{"mediaType":"{MEDIA_TYPE}","digest":"{layer}","size":{layer_size}}}]}}"#
    )
    .into_bytes()
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        version: provenance::VERSION,
        tool: Tool {
            name: "elfuse-bundle".into(),
            version: "0.1.0".into(),
        },
        sources: vec![Source {
            reference: "example.test/tool:1".into(),
            manifest: Some(Digest::of(b"manifest")),
            config: None,
            diff_ids: Vec::new(),
        }],
        platform: Platform {
            os: "linux".into(),
            architecture: "arm64".into(),
            variant: None,
        },
        annotations: [
            ("b".to_owned(), "2".to_owned()),
            ("a".to_owned(), "1".to_owned()),
        ]
        .into(),
        labels: [].into(),
        transforms: Vec::new(),
        run_options: vec!["--persist=demo".into()],
        cli: true,
        source_date_epoch: Some(0),
        created: None,
    }
}

/// Bytes that neither repeat nor compress, the same in every run.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

/// A small tree with one entry of every kind and a file of several frames.
pub(crate) fn sample() -> Tree {
    let mut tree = Tree::new();
    tree.add(Entry {
        device: (1, 3),
        ..entry(b"a-null", Kind::CharDevice)
    });
    tree.add(entry(b"bin", Kind::Dir));
    tree.file(b"bin/big", &noise(18_000_000, 1)).mode = 0o4755;
    tree.file(b"bin/empty", b"").mode = 0;
    tree.file(b"bin/small", b"small\n").xattrs = vec![(b"user.a".to_vec(), b"value".to_vec())];
    tree.add(link(b"bin/sym", Kind::Symlink, b"../../../etc/passwd"));
    tree.add(Entry {
        device: (8, 1),
        ..entry(b"disk", Kind::BlockDevice)
    });
    tree.add(link(b"hard", Kind::Hardlink, b"bin/small"))
        .xattrs
        .clear();
    tree.file(b"odd\n\xff\\name", b"odd").mtime = Timestamp {
        secs: -2,
        nanos: 999_999_999,
    };
    tree.add(entry(b"pipe", Kind::Fifo));
    tree
}

/// Finds nothing wrong with any tar: those here are none.
pub(crate) struct AnyTar;

impl TarCheck for AnyTar {
    fn data(&mut self, _: &[Entry], _: &[u8]) -> Result<(), TarMismatch> {
        Ok(())
    }

    fn finish(&mut self, _: &[Entry]) -> Result<(), TarMismatch> {
        Ok(())
    }
}
