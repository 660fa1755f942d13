// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is kept is what was there, and only its own run may have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use elfuse_kernel::file::{Caller, SliceSource, VecSink};
use elfuse_kernel::fs::tmpfs::{TmpFs, TmpLimits};
use elfuse_kernel::vfs::{Clock, FileSystem, FsCred, Inode, NewKind, NewNode, Timespec, XattrSet};
use elfuse_payload::Digest;

use super::{PersistError, Place};

fn layer() -> Arc<dyn Inode> {
    let clock = Clock::new(|| Timespec {
        sec: 1_700_000_000,
        nsec: 123_456_789,
    });
    let limits = TmpLimits {
        bytes: 1 << 24,
        inodes: 1000,
    };
    TmpFs::new(1, clock, limits, None, 0o755).unwrap().root()
}

fn make(dir: &Arc<dyn Inode>, name: &[u8], kind: NewKind, perm: u32) -> Arc<dyn Inode> {
    let node = NewNode {
        kind,
        perm,
        uid: 4_000_000_000,
        gid: 7,
    };
    dir.as_dir().unwrap().create(name, &node).unwrap()
}

/// Everything about a tree, by path; first names stand for inode numbers.
fn describe(dir: &Arc<dyn Inode>, path: &str, seen: &mut BTreeMap<u64, String>) -> Vec<String> {
    let cred = FsCred::root();
    let caller = Caller::kernel(&cred);
    let mut lines = Vec::new();
    for entry in dir.as_dir().unwrap().list(&caller).unwrap() {
        let child = dir.as_dir().unwrap().lookup(&caller, &entry.name).unwrap();
        let path = format!("{path}/{}", entry.name.escape_ascii());
        let attr = child.attr().unwrap();
        let first = seen.entry(attr.ino).or_insert_with(|| path.clone());
        let mut line = format!(
            "{path} {first} {:?} {:o} {} {} {} {} {:?}",
            attr.kind, attr.perm, attr.uid, attr.gid, attr.rdev, attr.nlink, attr.mtime
        );
        if let Some(xattrs) = child.as_xattrs() {
            for name in xattrs.list().unwrap() {
                line += &format!(" {:?}={:?}", name, xattrs.get(&name).unwrap());
            }
        }
        if let Some(file) = child.as_regular() {
            let mut sink = VecSink::new(1 << 20);
            let mut pos = 0;
            loop {
                match file.read_at(&mut sink, pos).unwrap() {
                    0 => break,
                    count => pos += u64::try_from(count).unwrap(),
                }
            }
            line += &format!(" {}", Digest::of(sink.as_slice()));
        }
        lines.push(line + &format!(" {:?}", child.read_link(&caller).ok()));
        if child.as_dir().is_some() {
            lines.extend(describe(&child, &path, seen));
        }
    }
    lines
}

#[test]
fn a_layer_comes_back_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("./kept");
    let below = Digest::of(b"image");
    let before = layer();
    let sub = make(&before, b"sub\xff dir", NewKind::Directory, 0o1777);
    let long = vec![b'n'; 255];
    let file = make(&sub, &long, NewKind::Regular, 0o4755);
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let content = file.as_regular().unwrap();
    content.write_at(&mut SliceSource(&bytes), Some(0)).unwrap();
    let xattrs = file.as_xattrs().unwrap();
    xattrs.set(b"user.note", b"a\0b\nc", XattrSet::Any).unwrap();
    before.as_dir().unwrap().link(b"second", &file).unwrap();
    make(&before, b"gone", NewKind::Char(0), 0);
    make(&before, b"link", NewKind::Symlink(vec![b't'; 300]), 0o777);
    make(&before, b"pipe", NewKind::Fifo, 0o600);
    make(&before, b"disk", NewKind::Block((8 << 8) | 1), 0o660);
    let place = Place::open(dir.as_os_str(), &below).unwrap();
    assert!(place.kept().unwrap().is_none());
    place.keep(&before).unwrap();
    let after = layer();
    place.kept().unwrap().unwrap().restore(&after).unwrap();
    let [one, two] = [&before, &after].map(|root| describe(root, "", &mut BTreeMap::new()));
    assert_eq!(one, two);
    assert_eq!(one.len(), 7);
    place.forget().unwrap();
    assert!(place.kept().unwrap().is_none());
}

#[test]
fn a_place_has_one_run_and_one_image() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("kept");
    let place = Place::open(dir.as_os_str(), &Digest::of(b"one")).unwrap();
    let second = Place::open(dir.as_os_str(), &Digest::of(b"one"));
    assert!(matches!(second, Err(PersistError::InUse(_))));
    place.keep(&layer()).unwrap();
    drop(place);
    let other = Place::open(dir.as_os_str(), &Digest::of(b"two")).unwrap();
    assert!(matches!(other.kept(), Err(PersistError::OtherImage(_))));
}

#[test]
fn a_damaged_layer_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let place = Place::open(temp.path().join("kept").as_os_str(), &Digest::of(b"one")).unwrap();
    let root = layer();
    make(&root, b"file", NewKind::Regular, 0o644);
    place.keep(&root).unwrap();
    let path = temp.path().join("kept/layer.tar");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..600]).unwrap();
    assert!(place.kept().unwrap().unwrap().restore(&layer()).is_err());
}
