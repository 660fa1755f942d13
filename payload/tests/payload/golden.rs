// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors of docs/payload-format.md, byte for byte, and properties that
//! hold for all values.

use elfuse_payload::Digest;
use elfuse_payload::seekable::{FrameInfo, SeekTable};
use elfuse_payload::segment::{Header, SegmentPlan};
use elfuse_payload::toc::{Entry, Kind, Timestamp, Toc};
use proptest::prelude::*;

use crate::common::{Tree, entry, sample};

/// The bytes of the fenced block `hex <name>` of the document.
fn vector(name: &str) -> Vec<u8> {
    let document = include_str!("../../../docs/payload-format.md");
    let (_, rest) = document.split_once(&format!("```hex {name}\n")).unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let digits: Vec<u8> = block.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn header_is_the_documents() {
    let digest = Digest::of(b"layer");
    let plan = SegmentPlan::new(b"M", b"CC", b"PPP", 5, digest).unwrap();
    let wanted = vector("header");
    assert_eq!(plan.header.encode().as_slice(), wanted);
    assert_eq!(Header::parse(&wanted.try_into().unwrap()), Ok(plan.header));
}

#[test]
fn seek_table_is_the_documents() {
    let info = |compressed_len, decompressed_len, checksum| FrameInfo {
        compressed_len,
        decompressed_len,
        checksum,
    };
    let frames = vec![info(700, 2 << 20, 0x1234_5678), info(300, 0, 0x51D8_E999)];
    let table = SeekTable { frames };
    let wanted = vector("seek-table");
    assert_eq!(table.encode().unwrap(), wanted);
    assert_eq!(SeekTable::parse(&wanted, 1000), Ok(table));
}

#[test]
fn toc_is_the_documents() {
    let base = |path: &[u8], kind, mode| Entry {
        mode,
        mtime: Timestamp::default(),
        ..entry(path, kind)
    };
    let file = Entry {
        uid: 1000,
        gid: 70000,
        mtime: Timestamp {
            secs: 1_700_000_000,
            nanos: 1,
        },
        xattrs: vec![(b"user.a".to_vec(), b"x".to_vec())],
        offset: 1536,
        size: 2,
        digest: Some(Digest::of(b"hi")),
        ..base(b"file", Kind::File, 0o4755)
    };
    let hard = Entry {
        path: b"hard".to_vec(),
        kind: Kind::Hardlink,
        link: b"file".to_vec(),
        offset: 0,
        size: 0,
        digest: None,
        ..file.clone()
    };
    let device = Entry {
        gid: 5,
        mtime: Timestamp {
            secs: -1,
            nanos: 999_999_999,
        },
        device: (1, 300),
        ..base(b"dev", Kind::CharDevice, 0o666)
    };
    let symlink = Entry {
        link: b"../x".to_vec(),
        ..base(b"sym", Kind::Symlink, 0o777)
    };
    let root = base(b"", Kind::Dir, 0o755);
    let pipe = base(b"pipe", Kind::Fifo, 0o600);
    let toc = Toc {
        entries: vec![root, device, file, hard, pipe, symlink],
    };
    let wanted = vector("toc");
    assert_eq!(toc.encode(2048).unwrap(), wanted);
    assert_eq!(Toc::parse(&wanted, 2048), Ok(toc));
}

/// The compressed bytes are Zstandard's; this pins the version that is built in,
/// so that nobody changes the bytes of all bundles without knowing.
#[test]
fn whole_segment_has_its_known_digest() {
    let known = "sha256:7a068e4e58da2d9c0b4f9ef1a4296415e517e655c2b12bda405a12468e33e7f6";
    assert_eq!(Digest::of(&sample().segment()).to_string(), known);
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(b'a'), 1..=255_u8], 1..20).prop_filter("names", |name| {
        !name.contains(&b'/') && name != b"." && name != b".."
    })
}

fn attributes() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let value = prop::collection::vec(any::<u8>(), 0..50);
    prop::collection::btree_map(names(), value, 0..4).prop_map(|map| map.into_iter().collect())
}

prop_compose! {
    fn metadata()(
        mode in 0..=0o7777_u32, uid: u32, gid: u32, secs: i64, nanos in 0..1_000_000_000_u32,
        xattrs in attributes(), device: (u32, u32), number in 0..6_u8,
        data in prop::collection::vec(any::<u8>(), 0..2000),
    ) -> (Entry, u8, Vec<u8>) {
        let mtime = Timestamp { secs, nanos };
        (Entry { mode, uid, gid, mtime, xattrs, device, ..entry(b"", Kind::Dir) }, number, data)
    }
}

/// A tree of these names: directories of one level, and everything in them.
fn build(names: std::collections::BTreeMap<Vec<u8>, (Entry, u8, Vec<u8>)>) -> Tree {
    let mut tree = Tree::new();
    tree.add(entry(b"\x01", Kind::Dir));
    for (name, (meta, number, data)) in names {
        let path = [b"\x01/".as_slice(), &name].concat();
        let kind = [
            Kind::File,
            Kind::Dir,
            Kind::Symlink,
            Kind::CharDevice,
            Kind::BlockDevice,
        ];
        let kind = kind.get(usize::from(number)).copied().unwrap_or(Kind::Fifo);
        let made = Entry {
            path,
            kind,
            device: (0, 0),
            ..meta.clone()
        };
        let added = match kind {
            Kind::File => tree.file(&made.path, &data),
            _ => tree.add(made.clone()),
        };
        match kind {
            Kind::File => {
                let (offset, size, digest) = (added.offset, added.size, added.digest);
                *added = Entry {
                    offset,
                    size,
                    digest,
                    ..made
                };
            }
            Kind::Symlink => added.link = name,
            Kind::CharDevice | Kind::BlockDevice => added.device = meta.device,
            _ => {}
        }
    }
    tree
}

proptest! {
    #[test]
    fn any_tree_survives_its_encoding(
        names in prop::collection::btree_map(names(), metadata(), 0..20)
    ) {
        let tree = build(names);
        let tar_size = tree.tar.len() as u64;
        let toc = Toc { entries: tree.entries };
        let bytes = toc.encode(tar_size).unwrap();
        prop_assert_eq!(Toc::parse(&bytes, tar_size), Ok(toc));
        for length in [0, bytes.len() / 2, bytes.len() - 1] {
            prop_assert!(Toc::parse(&bytes[..length], tar_size).is_err());
        }
    }

    #[test]
    fn any_header_survives_its_encoding(
        lens in prop::array::uniform4(0..=1_u64 << 24), seeds: [u8; 4]
    ) {
        let [a, b, c, d] = seeds.map(|seed| Digest::of(&[seed]));
        let [i, j, k, l] = lens;
        let header = Header::layout([(i, a), (j, b), (k, c), (l, d)]).unwrap();
        prop_assert_eq!(Header::parse(&header.encode()), Ok(header));
    }

    #[test]
    fn any_seek_table_survives_its_encoding(
        lens in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..50)
    ) {
        let frame = |(compressed_len, decompressed_len, checksum)| FrameInfo {
            compressed_len,
            decompressed_len,
            checksum,
        };
        let table = SeekTable { frames: lens.into_iter().map(frame).collect() };
        let length = table.frames.iter().map(|frame| u64::from(frame.compressed_len)).sum();
        let bytes = table.encode().unwrap();
        prop_assert!(SeekTable::parse(&bytes, length + 1).is_err());
        prop_assert_eq!(SeekTable::parse(&bytes, length), Ok(table));
    }
}
