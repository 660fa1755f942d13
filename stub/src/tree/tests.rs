// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest sees is the table of contents, whatever the host's tree holds:
//! the tree on the host is made here as the cache would, or wrong on purpose.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use elfuse_machine::host::{HostDir, HostKind, HostOpen, open_root};
use elfuse_payload::Digest;
use elfuse_payload::layer::{LayerOptions, LayerReader, LayerWriter};
use elfuse_payload::toc::{Entry, Kind, Timestamp};
use linux_abi::Errno;

use super::index::Index;
use super::{ImageDir, Tree};

const CONTENTS: &[u8] = b"what the image says";

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.into(),
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Timestamp { secs: -7, nanos: 5 },
        xattrs: Vec::new(),
        link: Vec::new(),
        device: (0, 0),
        offset: 0,
        size: 0,
        digest: None,
    }
}

/// A file of a user who does not exist on the host, its second name, a device, a
/// link, and a directory with a name that the host escapes.
fn entries() -> Vec<Entry> {
    let mut file = entry("d/file", Kind::File);
    (file.mode, file.uid, file.gid) = (0o4711, 4_000_000_000, 12);
    (file.size, file.digest) = (CONTENTS.len() as u64, Some(Digest::of(CONTENTS)));
    file.xattrs = vec![(b"security.capability".to_vec(), vec![1, 0, 2])];
    let mut second = entry("d/second", Kind::Hardlink);
    second.link = b"d/file".to_vec();
    let mut null = entry("null", Kind::CharDevice);
    null.device = (1, 3);
    let mut link = entry("link", Kind::Symlink);
    link.link = b"../../etc/passwd".to_vec();
    let dirs = ["", "d"].map(|path| entry(path, Kind::Dir));
    let mut all = [dirs.to_vec(), vec![file, second, link, null]].concat();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn layer() -> LayerReader {
    let mut blob = Vec::new();
    let mut writer = LayerWriter::new(&mut blob, LayerOptions::default()).expect("a layer");
    std::io::Write::write_all(&mut writer, CONTENTS).expect("a tar");
    writer.finish(entries()).expect("a layer");
    LayerReader::open(Arc::new(blob)).expect("a layer")
}

/// The image over `host`, which the cache has finished at `finished`.
fn image(host: &Path, finished: SystemTime) -> Arc<ImageDir> {
    let layer = layer();
    let toc = layer.toc().expect("a table of contents");
    ImageDir::root(Tree {
        index: Index::new(&toc),
        layer,
        finished,
        root: open_root(host).expect("a directory"),
        _image: None,
    })
}

fn read(dir: &dyn HostDir, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = dir.open_file(name, HostOpen::Read)?;
    let mut bytes = vec![0; 100];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn everything_but_contents_comes_from_the_table() {
    // Nothing is on the host at all.
    let host = tempfile::tempdir().expect("a directory");
    let root = image(host.path(), SystemTime::now());
    let names: Vec<_> = root.list().expect("names");
    let names: Vec<_> = names.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [&b"d"[..], b"link", b"null"]);
    assert_eq!(root.stat(Some(b"null")).expect("a device").rdev, (1, 3));
    assert_eq!(
        root.read_link(b"link").expect("a link"),
        b"../../etc/passwd"
    );
    assert_eq!(root.read_link(b"d"), Err(Errno::EINVAL));
    assert_eq!(root.open_dir(b"null").err(), Some(Errno::ENOTDIR));
    assert_eq!(root.stat(Some(b"none")).err(), Some(Errno::ENOENT));
    let dir = root.open_dir(b"d").expect("a directory");
    let stat = dir.stat(Some(b"file")).expect("a file");
    assert_eq!((stat.kind, stat.perm), (HostKind::Regular, 0o4711));
    assert_eq!((stat.uid, stat.gid, stat.nlink), (4_000_000_000, 12, 2));
    assert_eq!((stat.size, stat.mtime), (CONTENTS.len() as u64, (-7, 5)));
    let other = dir.stat(Some(b"second")).expect("its other name");
    assert_eq!(other.ino, stat.ino);
    assert_eq!(fs::read_dir(host.path()).expect("a directory").count(), 0);
}

#[test]
fn attributes_are_those_of_the_file_under_each_of_its_names() {
    let host = tempfile::tempdir().expect("a directory");
    let root = image(host.path(), SystemTime::now());
    let dir = root.open_dir(b"d").expect("a directory");
    let expected = vec![(b"security.capability".to_vec(), vec![1, 0, 2])];
    for name in [&b"file"[..], b"second"] {
        assert_eq!(dir.xattrs(Some(name)).expect("attributes"), expected);
    }
    assert_eq!(dir.xattrs(None).expect("attributes"), []);
    assert_eq!(root.xattrs(Some(b"none")), Err(Errno::ENOENT));
}

#[test]
fn missing_and_changed_files_are_written_again() {
    let host = tempfile::tempdir().expect("a directory");
    let path = host.path().join("d/file");
    let open = || {
        let root = image(host.path(), SystemTime::UNIX_EPOCH);
        read(&*root.open_dir(b"d")?, b"file")
    };
    assert_eq!(open().expect("made from the payload"), CONTENTS);
    assert_eq!(fs::read(&path).expect("a file"), CONTENTS);
    // Of the same length: only the digest tells.
    fs::write(&path, b"what somebody wrote").expect("a file");
    assert_eq!(open().expect("repaired"), CONTENTS);
    fs::write(&path, b"short").expect("a file");
    assert_eq!(open().expect("repaired"), CONTENTS);
    fs::remove_file(&path).expect("a file");
    fs::create_dir(&path).expect("a directory");
    assert_eq!(open().expect("repaired"), CONTENTS);
    fs::remove_file(&path).expect("a file");
    std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
    assert_eq!(open().expect("repaired"), CONTENTS);
    let left = fs::read_dir(host.path().join("d")).expect("a directory");
    assert_eq!(left.count(), 1);
}

#[test]
fn file_that_has_not_changed_since_is_not_read_for_its_digest() {
    let host = tempfile::tempdir().expect("a directory");
    fs::create_dir(host.path().join("d")).expect("a directory");
    let path = host.path().join("d/file");
    fs::write(&path, b"what somebody wrote").expect("a file");
    let later = SystemTime::now() + std::time::Duration::from_secs(60);
    let root = image(host.path(), later);
    let dir = root.open_dir(b"d").expect("a directory");
    // It would be repaired, had its digest been computed.
    assert_eq!(
        read(&*dir, b"file").expect("a file"),
        b"what somebody wrote"
    );
}

#[test]
fn nothing_can_be_changed() {
    let host = tempfile::tempdir().expect("a directory");
    let root = image(host.path(), SystemTime::now());
    let dir = root.open_dir(b"d").expect("a directory");
    assert_eq!(
        dir.open_file(b"file", HostOpen::ReadWrite).err(),
        Some(Errno::EROFS)
    );
    assert_eq!(dir.remove(b"file", false), Err(Errno::EROFS));
    assert_eq!(
        dir.rename(b"file", &*dir, b"other", false),
        Err(Errno::EROFS)
    );
    let file = dir.open_file(b"file", HostOpen::Read).expect("a file");
    assert_eq!(file.write_at(b"x", 0), Err(Errno::EBADF));
    let mode = fs::metadata(host.path().join("d/file")).expect("a file");
    assert_eq!(mode.permissions().mode() & 0o077, 0);
}
