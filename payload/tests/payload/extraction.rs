// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extracted trees are what the layer says, and nothing else is touched.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use elfuse_payload::Digest;
use elfuse_payload::extract::{
    Attribute, ExtractError, ExtractOptions, Names, Special, extract, host_name,
};
use elfuse_payload::layer::LayerReader;
use elfuse_payload::toc::{Entry, Kind, Timestamp};

use crate::common::{Tree, entry, link, noise, sample};

fn reader(tree: &Tree) -> LayerReader {
    LayerReader::open(Arc::new(tree.layer(2).0)).unwrap()
}

fn run(tree: &Tree, dir: &Path, options: &ExtractOptions) -> Result<(), ExtractError> {
    let root = File::open(dir).unwrap();
    extract(&reader(tree), root.as_fd(), options, &|_| {}).map(drop)
}

/// Everything, if the user may; otherwise what any user can have.
fn complete() -> ExtractOptions {
    let may = rustix::process::geteuid().is_root();
    let attribute = if may {
        Attribute::Apply
    } else {
        Attribute::Skip
    };
    ExtractOptions {
        threads: 3,
        ownership: attribute,
        modes: Attribute::Apply,
        xattrs: attribute,
        special: if may {
            Special::Create
        } else {
            Special::Placeholder
        },
        names: Names::Raw,
    }
}

/// Lets a user without privileges look further, once the mode was read.
fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Checks one entry of the host against the layer's.
fn check(dir: &Path, tree: &Tree, entry: &Entry, options: &ExtractOptions) {
    let path = dir.join(OsStr::from_bytes(&entry.path));
    let meta = fs::symlink_metadata(&path).unwrap();
    let kind = meta.file_type();
    let name = entry.path.escape_ascii().to_string();
    let is_real = options.special == Special::Create;
    match entry.kind {
        Kind::File => {
            assert!(kind.is_file(), "{name}");
            allow(&path, 0o600);
            assert_eq!(
                Digest::of(&fs::read(&path).unwrap()),
                entry.digest.unwrap(),
                "{name}"
            );
        }
        Kind::Dir => {
            assert!(kind.is_dir(), "{name}");
            allow(&path, 0o700);
        }
        Kind::Symlink => {
            let target = fs::read_link(&path).unwrap().into_os_string().into_vec();
            assert_eq!(target, entry.link, "{name}");
        }
        Kind::Hardlink => {
            let target = dir.join(OsStr::from_bytes(&entry.link));
            assert_eq!(
                fs::symlink_metadata(target).unwrap().ino(),
                meta.ino(),
                "{name}"
            );
            return;
        }
        Kind::CharDevice if is_real => assert!(kind.is_char_device(), "{name}"),
        Kind::BlockDevice if is_real => assert!(kind.is_block_device(), "{name}"),
        Kind::Fifo if is_real => assert!(kind.is_fifo(), "{name}"),
        _ => assert!(kind.is_file() && meta.len() == 0, "{name}"),
    }
    assert_eq!(meta.mtime(), entry.mtime.secs, "{name}");
    assert_eq!(meta.mtime_nsec(), i64::from(entry.mtime.nanos), "{name}");
    if entry.kind != Kind::Symlink {
        assert_eq!(meta.mode() & 0o7777, entry.mode, "{name}");
    }
    if options.ownership == Attribute::Apply {
        assert_eq!((meta.uid(), meta.gid()), (entry.uid, entry.gid), "{name}");
    }
    let links = tree
        .entries
        .iter()
        .filter(|e| e.kind == Kind::Hardlink && e.link == entry.path);
    if entry.kind != Kind::Dir {
        assert_eq!(meta.nlink(), 1 + links.count() as u64, "{name}");
    }
    if options.xattrs == Attribute::Apply {
        for (key, value) in &entry.xattrs {
            let mut buf = vec![0; value.len() + 1];
            let got = rustix::fs::lgetxattr(&path, key.as_slice(), &mut buf[..]).unwrap();
            assert_eq!(&buf[..got], value, "{name}");
        }
    }
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().fold(1, |sum, entry| {
        let entry = entry.unwrap();
        sum + if entry.file_type().unwrap().is_dir() {
            count(&entry.path())
        } else {
            1
        }
    })
}

fn check_all(tree: &Tree, options: &ExtractOptions) {
    let dir = tempfile::tempdir().unwrap();
    run(tree, dir.path(), options).unwrap();
    for entry in &tree.entries {
        check(dir.path(), tree, entry, options);
    }
    assert_eq!(count(dir.path()), tree.entries.len());
}

#[test]
fn every_kind_of_entry_is_made_as_described() {
    let mut tree = sample();
    for (index, entry) in tree.entries.iter_mut().enumerate() {
        entry.uid = 1000 + u32::try_from(index).unwrap();
        entry.gid = 4_000_000_000;
        entry.mtime.secs -= i64::try_from(index).unwrap();
    }
    check_all(&tree, &complete());
}

#[test]
fn many_files_of_all_sizes_are_written_by_any_number_of_threads() {
    let mut tree = Tree::new();
    for dir in 0..20_u32 {
        let name = format!("d{dir:02}");
        tree.add(entry(name.as_bytes(), Kind::Dir)).mode = 0o555;
        for file in 0..50_u32 {
            let length = usize::try_from(dir * 4_000 + file * file * 100).unwrap();
            let path = format!("{name}/f{file:02}");
            tree.file(path.as_bytes(), &noise(length, u64::from(dir * 100 + file)));
        }
    }
    for threads in [1, 2, 7] {
        check_all(
            &tree,
            &ExtractOptions {
                threads,
                ..complete()
            },
        );
    }
}

#[test]
fn odd_modes_and_times_survive() {
    let mut tree = Tree::new();
    let modes = [
        0, 0o111, 0o640, 0o664, 0o755, 0o1777, 0o2755, 0o4755, 0o6000, 0o7777,
    ];
    for (index, mode) in modes.into_iter().enumerate() {
        let name = format!("d{index}");
        let dir = tree.add(entry(name.as_bytes(), Kind::Dir));
        dir.mode = mode;
        dir.mtime = Timestamp {
            secs: -1_000_000_000,
            nanos: 1,
        };
        let file = tree.file(format!("{name}/f").as_bytes(), b"x");
        file.mode = mode;
        file.mtime = Timestamp {
            secs: -1,
            nanos: 999_999_999,
        };
    }
    check_all(&tree, &complete());
}

#[test]
fn capabilities_and_attributes_of_links_survive() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can set them.
    }
    let mut tree = Tree::new();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let ping = tree.file(b"ping", b"program");
    ping.xattrs = vec![(b"security.capability".to_vec(), capability)];
    ping.mode = 0o4755;
    ping.uid = 12;
    let link = tree.add(link(b"sym", Kind::Symlink, b"nowhere"));
    link.xattrs = vec![(b"trusted.a".to_vec(), b"of the link".to_vec())];
    check_all(&tree, &complete());
}

#[test]
fn names_as_long_as_linux_allows_are_made() {
    let mut tree = Tree::new();
    let mut path = Vec::new();
    while path.len() + 200 < 4000 {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend([b'n'; 150]);
        tree.add(entry(&path, Kind::Dir));
    }
    path.push(b'/');
    path.extend([b'f'; 90]);
    tree.file(&path, b"deep");
    let dir = tempfile::tempdir().unwrap();
    run(&tree, dir.path(), &complete()).unwrap();
    assert_eq!(count(dir.path()), tree.entries.len());
}

#[test]
fn links_out_of_the_root_are_made_and_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().as_os_str().as_bytes();
    let mut tree = Tree::new();
    tree.add(link(b"abs", Kind::Symlink, target));
    tree.add(entry(b"dir", Kind::Dir));
    tree.add(link(b"dir/up", Kind::Symlink, b"../.."));
    tree.add(link(b"hard", Kind::Hardlink, b"abs"));
    tree.file(b"other", b"x");
    check_all(&tree, &complete());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn tables_that_lead_outside_cannot_be_written_or_read() {
    for path in [
        &b"../x"[..],
        b"/x",
        b"a/../x",
        b"a//x",
        b"./x",
        b"a/",
        b"no/parent",
        b"\0",
    ] {
        let mut tree = Tree::new();
        tree.file(path, b"x");
        let mut writer =
            elfuse_payload::layer::LayerWriter::new(Vec::new(), Default::default()).unwrap();
        std::io::Write::write_all(&mut writer, &tree.tar).unwrap();
        assert!(
            writer.finish(tree.entries).is_err(),
            "{}",
            path.escape_ascii()
        );
    }
}

#[test]
fn directory_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), b"mine").unwrap();
    let error = run(&sample(), dir.path(), &complete()).unwrap_err();
    assert!(matches!(error, ExtractError::NotEmpty));
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"mine");
}

#[test]
fn wrong_digest_names_the_file() {
    let mut tree = sample();
    let file = tree
        .entries
        .iter_mut()
        .find(|entry| entry.path == b"bin/small")
        .unwrap();
    file.digest = Some(Digest::of(b"another"));
    let dir = tempfile::tempdir().unwrap();
    let error = run(&tree, dir.path(), &complete()).unwrap_err().to_string();
    assert!(
        error.contains("contents of bin/small have digest"),
        "{error}"
    );
}

#[test]
fn skipped_specials_take_their_hard_links_with_them() {
    let mut tree = Tree::new();
    tree.add(Entry {
        device: (1, 3),
        ..entry(b"dev", Kind::CharDevice)
    });
    tree.add(entry(b"fifo", Kind::Fifo));
    tree.add(link(b"too", Kind::Hardlink, b"fifo"));
    let dir = tempfile::tempdir().unwrap();
    run(
        &tree,
        dir.path(),
        &ExtractOptions {
            special: Special::Skip,
            ..complete()
        },
    )
    .unwrap();
    assert_eq!(count(dir.path()), 1);
    let placeholder = ExtractOptions {
        special: Special::Placeholder,
        ..complete()
    };
    check_all(&tree, &placeholder);
}

#[test]
fn escaped_names_are_all_different() {
    let names = [
        &b"a"[..],
        b"a%",
        b"a%25",
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        b"\xe9",
    ];
    let mut sorted: BTreeMap<&[u8], ()> = names.iter().map(|name| (*name, ())).collect();
    let mut tree = Tree::new();
    while let Some((name, ())) = sorted.pop_first() {
        tree.file(name, name);
    }
    let dir = tempfile::tempdir().unwrap();
    run(
        &tree,
        dir.path(),
        &ExtractOptions {
            names: Names::Escaped,
            ..complete()
        },
    )
    .unwrap();
    for name in names {
        let path = dir.path().join(OsStr::from_bytes(&host_name(name)));
        assert_eq!(fs::read(path).unwrap(), name);
    }
}

#[test]
fn progress_adds_up_to_the_contents() {
    let tree = sample();
    let dir = tempfile::tempdir().unwrap();
    let root = File::open(dir.path()).unwrap();
    let seen = AtomicU64::new(0);
    let progress = |bytes| {
        seen.fetch_add(bytes, Ordering::Relaxed);
    };
    extract(&reader(&tree), root.as_fd(), &complete(), &progress).unwrap();
    assert_eq!(
        seen.into_inner(),
        tree.entries.iter().map(|entry| entry.size).sum::<u64>()
    );
}
