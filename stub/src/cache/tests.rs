// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts that follow each other, meet, break off, and find damage. The image is
//! the small one that the payload's own tests mutate: one file, `f`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use elfuse_payload::reader::Payload;
use elfuse_payload::segment::SectionKind;
use elfuse_runs::spare::Spare;

use super::{Cache, CachedImage};

const SEGMENT: &[u8] = include_bytes!("../../../payload/corpus/payload/small");
const CONTENT: &[u8] = b"contents of a file";

fn payload() -> Payload {
    Payload::open(SEGMENT.to_vec()).expect("a payload")
}

fn start(base: &Path) -> CachedImage {
    let cache = Cache::at(base.to_path_buf()).expect("a cache");
    cache.image(&payload()).expect("an image")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("a name").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn image_directory(base: &Path) -> PathBuf {
    let digest = payload().header().section(SectionKind::Layer).digest;
    base.join("images").join(digest.hex())
}

#[test]
fn second_start_takes_the_tree_of_the_first() {
    let base = tempfile::tempdir().expect("a directory");
    let first = start(base.path());
    assert_eq!(fs::read(first.tree.join("f")).expect("a file"), CONTENT);
    let inode = |image: &CachedImage| fs::metadata(image.tree.join("f")).expect("a file").ino();
    let (made, finished) = (inode(&first), first.finished);
    drop(first);
    let second = start(base.path());
    assert_eq!((inode(&second), second.finished), (made, finished));
    assert!(second.toc.find(b"f").is_some());
}

#[test]
fn start_after_an_interrupted_one_begins_anew() {
    let base = tempfile::tempdir().expect("a directory");
    let whole = image_directory(base.path());
    let unfinished = whole.with_file_name(format!(
        ".new-{}",
        whole.file_name().expect("a name").to_string_lossy()
    ));
    for (dir, marker) in [
        (&unfinished, ""),
        (&whole, "elfuse image 1\nsha256:another\n0\n"),
    ] {
        fs::create_dir_all(dir.join("tree")).expect("a directory");
        fs::write(dir.join("tree/junk"), "half").expect("a file");
        fs::write(dir.join("complete"), marker).expect("a file");
    }
    let image = start(base.path());
    assert_eq!(names(&image.tree), ["f"]);
    assert!(!unfinished.exists());
}

#[test]
fn starts_at_once_unpack_once() {
    let base = tempfile::tempdir().expect("a directory");
    let finished: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| start(base.path()).finished))
            .collect();
        let ends = starts
            .into_iter()
            .map(|start| start.join().expect("an end"));
        ends.collect()
    });
    assert!(finished.iter().all(|time| *time == finished[0]));
    assert_eq!(names(&base.path().join("images")).len(), 1);
}

#[test]
fn damaged_layer_leaves_nothing_behind() {
    let base = tempfile::tempdir().expect("a directory");
    let mut bytes = SEGMENT.to_vec();
    let layer = payload().header().section(SectionKind::Layer).offset;
    bytes[usize::try_from(layer).expect("a small file") + 20] ^= 1;
    let payload = Payload::open(bytes).expect("the layer is read later");
    let cache = Cache::at(base.path().to_path_buf()).expect("a cache");
    assert!(cache.image(&payload).is_err());
    assert_eq!(names(&base.path().join("images")), [""; 0]);
}

#[test]
fn pruning_spares_what_is_in_use() {
    let base = tempfile::tempdir().expect("a directory");
    let cache = Cache::at(base.path().to_path_buf()).expect("a cache");
    let image = cache.image(&payload()).expect("an image");
    // Unlike POSIX record locks these belong to the open file, so one process
    // can play both parts.
    assert_eq!(cache.prune(Spare::default()).expect("a removal"), (0, 0));
    assert!(image.tree.join("f").exists());
    drop(image);
    let removed = (1, CONTENT.len() as u64);
    assert_eq!(cache.prune(Spare::default()).expect("a removal"), removed);
    assert_eq!(names(&base.path().join("images")), [""; 0]);
}

#[test]
fn pruning_spares_what_was_used_lately_and_fits() {
    let base = tempfile::tempdir().expect("a directory");
    let cache = Cache::at(base.path().to_path_buf()).expect("a cache");
    drop(cache.image(&payload()).expect("an image"));
    let used = fs::File::options()
        .write(true)
        .open(image_directory(base.path()).join("used"))
        .expect("the time of use");
    let day = Duration::from_secs(86400);
    used.set_modified(SystemTime::now() - 10 * day)
        .expect("a time");
    let older = |days: u32| Spare {
        older_than: Some(days * day),
        keep_bytes: None,
    };
    let keep = |bytes| Spare {
        older_than: None,
        keep_bytes: Some(bytes),
    };
    let bytes = CONTENT.len() as u64;
    let both = Spare {
        older_than: Some(11 * day),
        keep_bytes: Some(bytes),
    };
    for spare in [older(11), keep(bytes), both] {
        assert_eq!(cache.prune(spare).expect("nothing"), (0, 0), "{spare:?}");
    }
    assert_eq!(cache.prune(keep(bytes - 1)).expect("a removal"), (1, bytes));
    drop(cache.image(&payload()).expect("an image"));
    assert_eq!(cache.prune(older(0)).expect("a removal"), (1, bytes));
}

#[test]
fn foreign_files_in_the_cache_stay() {
    let base = tempfile::tempdir().expect("a directory");
    let cache = Cache::at(base.path().to_path_buf()).expect("a cache");
    for name in ["notes", &"x".repeat(64)] {
        fs::create_dir(base.path().join("images").join(name)).expect("a directory");
    }
    assert_eq!(cache.prune(Spare::default()).expect("a removal"), (0, 0));
    assert_eq!(names(&base.path().join("images")).len(), 2);
}
