// SPDX-License-Identifier: MIT OR Apache-2.0
//! Archive forms, as written by the programs that write them and, where those
//! refuse, byte by byte.

use std::io::{BufRead, BufReader, Read};

use super::super::entry::{Content, Entry, Kind, Meta, Timestamp};
use super::super::limits::Limits;
use super::super::tar::TarError;
use super::super::tar::reader::TarReader;
use super::super::tar::writer::{END, Flag, Head, write_header};
use super::super::tree::{Body, Tree};
use super::{apply_all, emit_tar, scan, scan_and_apply};

/// A header block with any fields, its checksum right.
pub(super) struct Raw([u8; 512]);

impl Raw {
    pub(super) fn new(name: &[u8], flag: u8, size: usize) -> Self {
        let mut block = Self([0; 512]);
        block
            .put(0, name)
            .put(100, b"0000644\0")
            .put(108, b"0000001\0")
            .put(116, b"0000002\0");
        block
            .put(124, format!("{size:011o}\0").as_bytes())
            .put(136, b"00000000012\0");
        block.put(156, &[flag]).put(257, b"ustar\x0000");
        block
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn done(&mut self) -> Vec<u8> {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }
}

/// A header and its contents, padded.
pub(super) fn member(name: &[u8], flag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = Raw::new(name, flag, contents.len()).done();
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

pub(super) fn pax(flag: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest + 1..)
            .find(|n| rest + n.to_string().len() == *n)
            .expect("a length");
        body.extend_from_slice(format!("{length} {key}=").as_bytes());
        body.extend_from_slice(value);
        body.push(b'\n');
    }
    member(b"pax", flag, &body)
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), END.to_vec()].concat()
}

fn only(bytes: &[u8]) -> (Entry, Vec<u8>) {
    let mut scanned = scan(bytes, Limits::default()).expect("a good archive");
    assert_eq!(scanned.entries.len(), 1);
    let entry = scanned.entries.remove(0);
    let mut bytes = Vec::new();
    if let Kind::File(content) = &entry.kind {
        bytes.resize(usize::try_from(content.size).expect("small"), 0);
        let read = scanned.contents.read_exact_at(&mut bytes, content.offset);
        read.expect("all of the contents");
    }
    (entry, bytes)
}

fn error(bytes: &[u8]) -> String {
    scan(bytes, Limits::default())
        .expect_err("a bad archive")
        .to_string()
}

#[test]
fn pax_records_override_the_header() {
    let long = "d/".repeat(150) + "f";
    let records: &[(&str, &[u8])] = &[
        ("path", long.as_bytes()),
        ("uid", b"4294967294"),
        ("mtime", b"-1.25"),
        ("SCHILY.xattr.user.raw", b"a=b\nc\0d"),
        ("comment", b"ignored"),
    ];
    let (entry, bytes) = only(&archive(&[
        pax(b'x', records),
        member(b"short", b'0', b"hello"),
    ]));
    assert_eq!((entry.path, bytes), (long.into_bytes(), b"hello".to_vec()));
    assert_eq!((entry.meta.uid, entry.meta.gid), (4_294_967_294, 2));
    assert_eq!(
        entry.meta.mtime,
        Timestamp {
            secs: -2,
            nanos: 750_000_000
        }
    );
    assert_eq!(entry.meta.xattrs[&b"user.raw"[..].to_vec()], b"a=b\nc\0d");
}

#[test]
fn pax_size_overrides_the_header_for_the_stream_too() {
    let mut header = Raw::new(b"f", b'0', 0).done();
    header.extend_from_slice(&[b'x'; 512]);
    let next = member(b"g", b'0', b"");
    let bytes = archive(&[pax(b'x', &[("size", b"512")]), header, next]);
    let scanned = scan(&bytes, Limits::default()).expect("two files");
    assert_eq!(scanned.entries.len(), 2);
}

#[test]
fn global_header_holds_until_overridden_or_taken_back() {
    let bytes = archive(&[
        pax(b'g', &[("uid", b"70"), ("mtime", b"5.5")]),
        member(b"a", b'0', b""),
        pax(b'x', &[("uid", b"71")]),
        member(b"b", b'0', b""),
        pax(b'g', &[("uid", b"")]),
        member(b"c", b'0', b""),
    ]);
    let scanned = scan(&bytes, Limits::default()).expect("three files");
    let uids: Vec<_> = scanned.entries.iter().map(|entry| entry.meta.uid).collect();
    assert_eq!(uids, [70, 71, 1]);
    assert_eq!(
        scanned.entries[2].meta.mtime,
        Timestamp {
            secs: 5,
            nanos: 500_000_000
        }
    );
    assert!(error(&archive(&[pax(b'g', &[("path", b"x")])])).contains("global header"));
}

#[test]
fn gnu_long_names_and_links() {
    let long = vec![b'n'; 200];
    let bytes = archive(&[
        member(b"././@LongLink", b'L', &[&long[..], b"\0"].concat()),
        member(b"././@LongLink", b'K', &[&long[..], b"k\0"].concat()),
        Raw::new(b"n", b'2', 0)
            .put(257, b"ustar  \0")
            .put(157, b"n")
            .done(),
    ]);
    let (entry, _) = only(&bytes);
    assert_eq!(entry.path, long);
    assert_eq!(entry.kind, Kind::Symlink([&long[..], b"k"].concat()));
}

#[test]
fn ustar_prefix_joins_and_gnu_prefix_does_not() {
    let name = |magic: &[u8]| {
        let header = Raw::new(b"f", b'0', 0)
            .put(257, magic)
            .put(345, b"p/q")
            .done();
        String::from_utf8(only(&archive(&[header])).0.path).expect("ASCII")
    };
    assert_eq!(name(b"ustar\x0000"), "p/q/f");
    assert_eq!(name(b"ustar  \0"), "f");
    assert_eq!(name(b"\0\0\0\0\0\0\0\0"), "f");
}

#[test]
fn old_directories_contiguous_files_and_signed_checksums() {
    assert_eq!(only(&archive(&[member(b"d/", 0, b"")])).0.kind, Kind::Dir);
    let (entry, bytes) = only(&archive(&[member(b"f", b'7', b"abc")]));
    assert!(matches!(entry.kind, Kind::File(Content { size: 3, .. })));
    assert_eq!(bytes, b"abc");
    let mut header = Raw::new(b"\xe9\xe9", b'0', 0);
    let block = header.done();
    let sum: i32 = block
        .iter()
        .enumerate()
        .map(|(i, &b)| i32::from(if (148..156).contains(&i) { b' ' } else { b }.cast_signed()))
        .sum();
    header.put(148, format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(only(&archive(&[header.0.to_vec()])).0.path, b"\xe9\xe9");
}

#[test]
fn links_and_directories_have_no_contents_whatever_their_size_says() {
    let bytes = archive(&[
        Raw::new(b"d", b'5', 4096).done(),
        Raw::new(b"f", b'0', 0).done(),
    ]);
    assert_eq!(
        scan(&bytes, Limits::default())
            .expect("two entries")
            .entries
            .len(),
        2
    );
}

/// Contents of the sparse file that all four forms describe: 5 bytes at 512,
/// 3 at 2048, 4096 in all.
fn sparse_contents() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[512..517].copy_from_slice(b"hello");
    bytes[2048..2051].copy_from_slice(b"abc");
    bytes
}

fn assert_sparse(parts: &[Vec<u8>]) {
    let (entry, bytes) = only(&archive(parts));
    assert_eq!(bytes, sparse_contents());
    assert_eq!(entry.path, b"real/name");
    let Kind::File(content) = entry.kind else {
        panic!("not a file")
    };
    assert_eq!(content.size, 4096);
    assert_eq!(
        content.digest,
        elfuse_payload::Digest::of(&sparse_contents())
    );
}

#[test]
fn sparse_file_of_old_gnu_tar() {
    let mut header = Raw::new(b"real/name", b'S', 8);
    header.put(257, b"ustar  \0");
    let extents = [(512, 5), (2048, 3), (4096, 0)];
    for (i, (offset, length)) in extents.iter().enumerate() {
        header.put(
            386 + 24 * i,
            format!("{offset:011o}\0{length:011o}\0").as_bytes(),
        );
    }
    header.put(483, format!("{:011o}\0", 4096).as_bytes());
    assert_sparse(&[header.done(), [&b"helloabc"[..], &[0; 504]].concat()]);
}

#[test]
fn sparse_file_of_old_gnu_tar_with_an_extension_block() {
    let mut header = Raw::new(b"real/name", b'S', 8);
    header.put(257, b"ustar  \0").put(482, b"\x01");
    header.put(386, format!("{:011o}\0{:011o}\0", 512, 5).as_bytes());
    header.put(483, format!("{:011o}\0", 4096).as_bytes());
    let mut extension = format!("{:011o}\0{:011o}\0", 2048, 3).into_bytes();
    extension.resize(512, 0);
    assert_sparse(&[
        header.done(),
        extension,
        [&b"helloabc"[..], &[0; 504]].concat(),
    ]);
}

#[test]
fn sparse_files_of_pax_0_0_and_0_1_and_1_0() {
    let v00 = pax(
        b'x',
        &[
            ("GNU.sparse.size", b"4096"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"512"),
            ("GNU.sparse.numbytes", b"5"),
            ("GNU.sparse.offset", b"2048"),
            ("GNU.sparse.numbytes", b"3"),
        ],
    );
    assert_sparse(&[v00, member(b"real/name", b'0', b"helloabc")]);
    let v01 = pax(
        b'x',
        &[
            ("GNU.sparse.size", b"4096"),
            ("GNU.sparse.name", b"real/name"),
            ("GNU.sparse.map", b"512,5,2048,3"),
        ],
    );
    assert_sparse(&[v01, member(b"GNUSparseFile.1/name", b'0', b"helloabc")]);
    let v10 = pax(
        b'x',
        &[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"real/name"),
            ("GNU.sparse.realsize", b"4096"),
        ],
    );
    let mut data = b"2\n512\n5\n2048\n3\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"helloabc");
    assert_sparse(&[v10, member(b"GNUSparseFile.1/name", b'0', &data)]);
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    for map in [
        "512,5,514,3",
        "2048,3,512,5",
        "512,5,4096,3",
        "512,5,2048,4",
        "0,18446744073709551615,1,2",
        "512,5,2048",
    ] {
        let header = pax(
            b'x',
            &[
                ("GNU.sparse.size", b"4096"),
                ("GNU.sparse.map", map.as_bytes()),
            ],
        );
        let message = error(&archive(&[header, member(b"f", b'0', b"helloabc")]));
        assert!(message.contains("sparse file"), "{map}: {message}");
    }
}

#[test]
fn errors_name_the_entry_and_the_place() {
    let good = member(b"good/file", b'0', b"x");
    let mut flipped = member(b"next", b'0', b"x");
    flipped[0] ^= 1;
    let message = error(&archive(&[good.clone(), flipped]));
    assert!(message.contains("after entry good/file"), "{message}");
    assert!(message.contains("at byte 1536"), "{message}");
    assert!(message.contains("checksum"), "{message}");
    let unknown = error(&archive(&[member(b"vol", b'M', b"")]));
    assert!(unknown.contains("'M' is not supported"), "{unknown}");
    let cut = error(&good[..600]);
    assert!(cut.contains("truncated"), "{cut}");
}

#[test]
fn archive_ends_at_two_zero_blocks_or_at_the_end_of_the_stream() {
    let one = member(b"f", b'0', b"x");
    for tail in [
        vec![],
        vec![0; 512],
        vec![0; 1024],
        vec![0; 10240],
        [vec![0; 1024], one.clone()].concat(),
    ] {
        assert_eq!(
            scan(&[one.clone(), tail].concat(), Limits::default())
                .expect("one file")
                .entries
                .len(),
            1
        );
    }
    assert!(error(&[one.clone(), vec![0; 512], one].concat()).contains("checksum"));
}

#[test]
fn extended_headers_cannot_pile_up() {
    let big = vec![b'v'; 60_000];
    let names: Vec<String> = (0..40).map(|i| format!("SCHILY.xattr.user.{i}")).collect();
    let parts: Vec<_> = names
        .iter()
        .map(|name| pax(b'x', &[(name, &big)]))
        .collect();
    assert!(error(&archive(&parts)).contains("longer than 1 MiB"));
    let huge = Raw::new(b"x", b'x', 1 << 21).done();
    assert!(error(&huge).contains("longer than 1 MiB"));
}

/// Serves one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn reading_does_not_depend_on_how_the_stream_is_cut() {
    fn headers(source: impl BufRead) -> Result<Vec<super::super::tar::reader::Header>, TarError> {
        let mut reader = TarReader::new(source);
        let mut all = Vec::new();
        while let Some(header) = reader.next()? {
            all.push(header);
        }
        Ok(all)
    }
    let bytes = archive(&[
        pax(b'x', &[("path", b"long")]),
        member(b"s", b'0', &[1; 700]),
    ]);
    let whole = headers(&bytes[..]).expect("one file");
    assert_eq!(
        whole,
        headers(BufReader::with_capacity(1, Trickle(&bytes))).expect("one file")
    );
}

fn head(path: &str, meta: &Meta, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let (path, flag) = (path.as_bytes(), Flag::File);
    write_header(
        &mut out,
        &Head {
            path,
            flag,
            meta,
            mtime: meta.mtime,
            size,
        },
    );
    out
}

#[test]
fn plain_entries_need_no_pax_header() {
    let meta = Meta {
        mtime: Timestamp {
            secs: 1_700_000_000,
            nanos: 0,
        },
        ..Meta::implicit_dir()
    };
    let long = format!("{}/{}", "p".repeat(155), "n".repeat(100));
    for path in ["f", &"n".repeat(100), &long, "caf\u{e9}"] {
        assert_eq!(head(path, &meta, 5).len(), 512, "{path}");
    }
    assert_eq!(head(&"n".repeat(101), &meta, 5).len(), 3 * 512);
    assert_eq!(
        head(&format!("{}/{}", "p".repeat(156), "n".repeat(99)), &meta, 5).len(),
        3 * 512
    );
}

#[test]
fn everything_written_reads_back_the_same() {
    let mut layer = Vec::new();
    let times = [
        (0, 0),
        (-1, 500_000_000),
        (-5, 0),
        (1 << 34, 1),
        (i64::from(i32::MAX), 999_999_999),
    ];
    for (i, (secs, nanos)) in times.into_iter().enumerate() {
        let mut meta = super::meta(u32::MAX - u32::try_from(i).expect("small"));
        meta.mtime = Timestamp { secs, nanos };
        meta.mode = 0o7000 | 0o111 << i;
        meta.xattrs.insert(b"user.a=b%".to_vec(), vec![0, 10, 255]);
        meta.xattrs
            .insert(b"security.capability".to_vec(), vec![1; 20]);
        let path = [
            &b"\xff\n\\ caf\xc3\xa9/".repeat(i * 9)[..],
            &[b'0' + u8::try_from(i).expect("small")],
        ]
        .concat();
        let mut add = |name: &str, kind| {
            layer.push(Entry {
                path: [&path[..], name.as_bytes()].concat(),
                kind,
                meta: meta.clone(),
            });
        };
        add("dir", Kind::Dir);
        add("fifo", Kind::Fifo);
        add("char", Kind::CharDevice(0o7_777_777, 0));
        add("block", Kind::BlockDevice(8, 1));
        add("link", Kind::Symlink(vec![0xfe; 101 * i + 1]));
        add("hard", Kind::Hardlink([&path[..], b"fifo"].concat()));
    }
    let tree = apply_all(vec![layer]).expect("good entries");
    let (_, scanned) = scan_and_apply(&END).expect("an empty archive");
    let bytes = emit_tar(&tree, scanned);
    let (again, scanned) = scan_and_apply(&bytes).expect("our own archive");
    assert_eq!(describe(&again), describe(&tree));
    assert_eq!(emit_tar(&again, scanned), bytes);
}

/// Everything about a tree but where contents lie.
pub(super) fn describe(tree: &Tree) -> Vec<String> {
    let bodies = tree.paths().into_iter().map(|path| {
        let node = tree.node(path.node);
        let body = match &node.body {
            Body::File(content) => format!("file {} {}", content.size, content.digest),
            Body::Dir(_) => "dir".to_owned(),
            other => format!("{other:?}"),
        };
        (path, body, node.meta.clone())
    });
    let links = super::listing(tree);
    bodies
        .map(|(path, body, meta)| format!("{} {body} {meta:?}", path.path.escape_ascii()))
        .chain(links)
        .collect()
}
