// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories and tar archives without an image around them.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use elfuse_payload::Digest;

use super::{Place, error, gzip, layer};

fn rootfs() -> Place {
    let place = Place::new();
    let root = place.path("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("bin/tool"), vec![7; 300_000]).unwrap();
    fs::set_permissions(root.join("bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("bin/tool"), root.join("bin/alias")).unwrap();
    symlink("tool", root.join("bin/link")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::create_dir(root.join("new\nline")).unwrap();
    place
}

#[test]
fn directory_is_an_image_with_everything_in_it() {
    let place = rootfs();
    let image = place.load("rootfs", "root").unwrap();
    assert_eq!(image.reference, "rootfs");
    assert_eq!(image.platform.to_string(), "linux/arm64");
    assert_eq!(image.manifest_digest, Digest::of(&image.manifest));
    let mut tar = tar::Archive::new(image.layers[0].blob.open().unwrap());
    let mut seen = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        let header = entry.header();
        seen.push((
            String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            header.entry_type(),
            header.mode().unwrap() & 0o7000,
            header.uid().unwrap(),
            contents.len(),
        ));
    }
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let named = |(name, kind, bits, size): (&str, _, _, _)| (name.to_owned(), kind, bits, 0, size);
    let expected = [
        ("./", Directory, 0, 0),
        ("bin/", Directory, 0, 0),
        ("bin/alias", Regular, 0o4000, 300_000),
        ("bin/link", Symlink, 0, 0),
        ("bin/tool", Link, 0o4000, 0),
        ("empty", Regular, 0, 0),
        ("new\nline/", Directory, 0, 0),
    ];
    assert_eq!(seen, expected.map(named));
    assert_eq!(place.squash(&image).len(), 7);
}

#[test]
fn same_directory_is_the_same_layer_however_it_is_read() {
    let place = rootfs();
    let one = place.load("rootfs", "root").unwrap();
    let two = place.load("rootfs", "root").unwrap();
    assert_eq!(one.manifest, two.manifest);
    let mut bytes = Vec::new();
    let mut stream = one.layers[0].blob.open().unwrap();
    let mut small = [0; 977];
    loop {
        match stream.read(&mut small).unwrap() {
            0 => break,
            count => bytes.extend_from_slice(&small[..count]),
        }
    }
    assert_eq!(bytes.len() as u64, one.layers[0].size);
    assert_eq!(Digest::of(&bytes), one.layers[0].digest);
}

#[test]
fn file_that_becomes_shorter_is_named() {
    let place = rootfs();
    let image = place.load("rootfs", "root").unwrap();
    fs::write(place.path("root/bin/tool"), "short").unwrap();
    let mut stream = image.layers[0].blob.open().unwrap();
    let error = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
    assert!(
        error.to_string().contains("bin/alias: it became shorter"),
        "{error}"
    );
}

#[test]
fn times_and_attributes_are_kept() {
    let place = rootfs();
    let file = place.path("root/bin/tool");
    let is_supported =
        rustix::fs::setxattr(&file, "user.note", b"v", rustix::fs::XattrFlags::empty()).is_ok();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(&file).unwrap().set_modified(time).unwrap();
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.mtime_nsec(), 123_456_789);
    let image = place.load("rootfs", "root").unwrap();
    let mut tar = tar::Archive::new(image.layers[0].blob.open().unwrap());
    let mut entry = tar
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.path_bytes().ends_with(b"alias"))
        .unwrap();
    let records: Vec<_> = entry
        .pax_extensions()
        .unwrap()
        .unwrap()
        .map(|record| {
            let record = record.unwrap();
            (
                record.key().unwrap().to_owned(),
                record.value().unwrap().to_owned(),
            )
        })
        .collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert!(
        records.contains(&pair("mtime", "1000000000.123456789")),
        "{records:?}"
    );
    let attribute = pair("SCHILY.xattr.user.note", "v");
    assert_eq!(records.contains(&attribute), is_supported);
}

#[test]
fn names_with_a_meaning_and_other_files_are_refused() {
    let place = rootfs();
    fs::write(place.path("root/bin/.wh.x"), "").unwrap();
    let message = error(place.load("rootfs", "root"));
    assert!(message.contains("bin/.wh.x"), "{message}");
    let message = error(place.load("rootfs", "root/empty"));
    assert!(message.contains("not a directory"), "{message}");
    let message = error(place.load("rootfs", "gone"));
    assert!(message.starts_with("open "), "{message}");
}

#[test]
fn socket_is_left_out() {
    let place = rootfs();
    let _socket = std::os::unix::net::UnixListener::bind(place.path("root/socket")).unwrap();
    let image = place.load("rootfs", "root").unwrap();
    assert_eq!(place.squash(&image).len(), 7);
}

#[test]
fn archive_may_be_plain_gzip_or_zstd() {
    let place = Place::new();
    let tar = layer("etc/one", "1");
    place.write("a.tar", &tar);
    place.write("a.tar.gz", &gzip(&tar));
    place.write("a.tar.zst", &zstd::encode_all(&tar[..], 3).unwrap());
    for name in ["a.tar", "a.tar.gz", "a.tar.zst"] {
        let image = place.load("tar", name).unwrap();
        assert_eq!(image.reference, "tar");
        assert_eq!(place.squash(&image), ["./", "etc/", "etc/one"]);
    }
    place.write("a.tar.bz2", b"BZh91AY");
    let message = error(place.load("tar", "a.tar.bz2"));
    assert!(message.contains("bzip2"), "{message}");
}
