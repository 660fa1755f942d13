// SPDX-License-Identifier: MIT OR Apache-2.0
//! The comparison of a tar with its table of contents finds every lie, in
//! either of the two.

use elfuse_payload::reader::{TarCheck, TarMismatch};
use elfuse_payload::toc::{Entry, Kind};

use super::super::emit::Emit;
use super::super::tar::check::HeaderCheck;
use super::super::tar::writer::END;
use super::forms::{member, pax};
use super::{Memory, scan_and_apply};
use crate::progress::{Progress, Quiet};

/// A tar of every kind of entry in normal form, and its table.
fn sample() -> (Vec<u8>, Vec<Entry>) {
    let long = vec![b'n'; 200];
    let parts = [
        member(b"dir/", b'5', b""),
        pax(
            b'x',
            &[("SCHILY.xattr.user.a", b"value"), ("mtime", b"-3.25")],
        ),
        member(b"dir/file", b'0', &[7; 1500]),
        member(b"empty", b'0', b""),
        pax(b'x', &[("path", &long)]),
        member(b"", b'0', b"long"),
        pax(b'x', &[("linkpath", &long), ("uid", b"3000000")]),
        member(b"symlink", b'2', b""),
        pax(b'x', &[("linkpath", b"dir/file")]),
        member(b"zlink", b'1', b""),
        member(b"zpipe", b'6', b""),
    ];
    let tar = [parts.concat(), END.to_vec()].concat();
    let (tree, scanned) = scan_and_apply(&tar).expect("a tar");
    let mut out = Memory::default();
    let task = Quiet.task("", None);
    let emit = Emit {
        tree: &tree,
        sources: &mut [scanned.contents],
        epoch: None,
        task: &*task,
    };
    let entries = emit.run(&mut out).ok().expect("emitting to memory");
    assert_eq!(entries.len(), 8);
    (out.tar, entries)
}

/// A change of an entry, and which entries it is a change of.
type Lie = (fn(&mut Entry), fn(&Entry) -> bool);

fn compare(tar: &[u8], entries: &[Entry], piece: usize) -> Result<(), TarMismatch> {
    let mut check = HeaderCheck::default();
    for data in tar.chunks(piece) {
        check.data(entries, data)?;
    }
    check.finish(entries)
}

#[test]
fn tar_and_its_table_agree_however_it_is_cut() {
    let (tar, entries) = sample();
    for piece in [1, 7, 511, 512, 513, 4096, tar.len()] {
        assert_eq!(compare(&tar, &entries, piece), Ok(()), "{piece}");
    }
}

#[test]
fn every_field_of_the_table_counts() {
    let (tar, entries) = sample();
    let lies: [Lie; 10] = [
        (|e| e.path.push(b'!'), |e| !e.path.is_empty()),
        (|e| e.mode ^= 0o4000, |_| true),
        (|e| e.uid += 1, |_| true),
        (|e| e.gid += 4_000_000, |_| true),
        (|e| e.mtime.secs += 1, |_| true),
        (|e| e.mtime.nanos += 1, |_| true),
        (|e| e.link.push(b'x'), |e| !e.link.is_empty()),
        (|e| e.size += 512, |e| e.kind == Kind::File),
        (|e| e.offset += 512, |e| e.kind == Kind::File),
        (
            |e| e.xattrs = vec![(b"user.b".to_vec(), vec![])],
            |e| e.kind != Kind::Hardlink,
        ),
    ];
    for (index, entry) in entries.iter().enumerate() {
        for (number, (lie, applies)) in lies.iter().enumerate() {
            if !applies(entry) {
                continue;
            }
            let mut wrong = entries.clone();
            lie(&mut wrong[index]);
            let found = compare(&tar, &wrong, 700).expect_err("a lie").entry;
            assert_eq!(found, Some(index), "lie {number}");
        }
    }
}

#[test]
fn missing_and_additional_entries_are_found() {
    let (tar, entries) = sample();
    for index in 0..entries.len() {
        let mut fewer = entries.clone();
        fewer.remove(index);
        assert!(compare(&tar, &fewer, 1000).is_err(), "without {index}");
    }
    let more = [&entries[..], &entries[entries.len() - 1..]].concat();
    let last = Some(entries.len());
    assert_eq!(compare(&tar, &more, 1000).expect_err("more").entry, last);
}

#[test]
fn every_byte_of_the_tar_that_is_no_content_counts() {
    let (tar, entries) = sample();
    let is_content = |at: usize| {
        let at = at as u64;
        let holds = |e: &Entry| (e.offset..e.offset + e.size).contains(&at);
        entries.iter().any(holds)
    };
    for at in 0..tar.len() {
        let mut wrong = tar.clone();
        wrong[at] ^= 1;
        let found = compare(&wrong, &entries, 4096);
        assert_eq!(found.is_ok(), is_content(at), "byte {at}");
    }
    for length in (0..tar.len()).step_by(100) {
        assert!(compare(&tar[..length], &entries, 999).is_err(), "{length}");
    }
    let longer = [&tar[..], &[0; 512]].concat();
    let found = compare(&longer, &entries, 4096).expect_err("longer");
    assert_eq!((found.entry, found.offset), (None, tar.len() as u64));
}
