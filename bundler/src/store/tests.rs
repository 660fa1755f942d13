// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the store: interrupted, wrong and concurrent blobs; pruning.

use std::io::{Read, Write};
use std::sync::Barrier;
use std::time::Duration;

use elfuse_payload::Digest;
use elfuse_runs::spare::Spare;

use super::{Pin, Store, StoreError};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Some(dir.path())).unwrap();
    (dir, store)
}

#[test]
fn blob_is_there_only_when_complete() {
    let (_dir, store) = store();
    let digest = Digest::of(b"hello world");
    let mut ingest = store.ingest(digest, 11).unwrap().unwrap();
    ingest.write_all(b"hello ").unwrap();
    drop(ingest);
    assert!(store.blob(&digest, 11).is_none());
    let mut ingest = store.ingest(digest, 11).unwrap().unwrap();
    assert_eq!(ingest.received(), 6);
    ingest.write_all(b"world").unwrap();
    let mut text = String::new();
    ingest
        .finish()
        .unwrap()
        .open()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "hello world");
    assert!(store.ingest(digest, 11).unwrap().is_none());
}

#[test]
fn wrong_content_is_thrown_away() {
    let (_dir, store) = store();
    let digest = Digest::of(b"right");
    let mut ingest = store.ingest(digest, 5).unwrap().unwrap();
    ingest.write_all(b"wrong").unwrap();
    assert!(matches!(ingest.finish(), Err(StoreError::Content { .. })));
    assert_eq!(store.ingest(digest, 5).unwrap().unwrap().received(), 0);
}

#[test]
fn short_content_stays_for_another_try() {
    let (_dir, store) = store();
    let digest = Digest::of(b"right");
    let mut ingest = store.ingest(digest, 5).unwrap().unwrap();
    ingest.write_all(b"ri").unwrap();
    assert!(matches!(
        ingest.finish(),
        Err(StoreError::Size { actual: 2, .. })
    ));
    assert_eq!(store.ingest(digest, 5).unwrap().unwrap().received(), 2);
}

#[test]
fn too_many_bytes_are_refused() {
    let (_dir, store) = store();
    let mut ingest = store.ingest(Digest::of(b"abc"), 3).unwrap().unwrap();
    assert!(ingest.write_all(b"abcd").is_err());
}

#[test]
fn two_runs_fetch_a_blob_once() {
    let (dir, _store) = store();
    let start = Barrier::new(8);
    for round in 0..100_u8 {
        let contents = [round; 6];
        let digest = Digest::of(&contents);
        let run = || {
            let store = Store::open(Some(dir.path())).unwrap();
            start.wait();
            let Some(mut ingest) = store.ingest(digest, 6).unwrap() else {
                return 0;
            };
            ingest.write_all(&contents).unwrap();
            ingest.finish().unwrap();
            1
        };
        let fetched: i32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(fetched, 1, "round {round}");
    }
    let unfinished = std::fs::read_dir(dir.path().join("ingest")).unwrap();
    assert_eq!(unfinished.count(), 0);
}

#[test]
fn damaged_document_is_not_served() {
    let (_dir, store) = store();
    let digest = store.put_document(b"{}").unwrap();
    assert_eq!(store.document(&digest).as_deref(), Some(&b"{}"[..]));
    std::fs::write(store.blob_path(&digest), b"[]").unwrap();
    assert_eq!(store.document(&digest), None);
}

#[test]
fn pins_survive_and_go_with_their_blob() {
    let (dir, store) = store();
    let digest = store.put_document(b"{}").unwrap();
    let pin = Pin {
        reference: "example.test/a:b".into(),
        digest,
        size: 2,
        media_type: "application/json".into(),
    };
    store.set_pin(&pin).unwrap();
    assert_eq!(store.pin("example.test/a:b"), Some(pin));
    assert_eq!(store.pin("example.test/a:c"), None);
    let pruned = store.prune(Spare::default()).unwrap();
    assert_eq!((pruned.files, pruned.kept_bytes), (1, 0));
    assert_eq!(Store::open(Some(dir.path())).unwrap().pins().unwrap(), []);
}

#[test]
fn prune_keeps_the_newest_bytes() {
    let (dir, store) = store();
    let old = store.put_document(b"old").unwrap();
    let new = store.put_document(b"new").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(1000);
    std::fs::File::open(store.blob_path(&old))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let keep_bytes = Some(3);
    let spare = Spare {
        keep_bytes,
        ..Spare::default()
    };
    store.prune(spare).unwrap();
    let store = Store::open(Some(dir.path())).unwrap();
    assert!(store.document(&old).is_none() && store.document(&new).is_some());
    let older_than = Some(Duration::from_secs(500));
    let spare = Spare {
        older_than,
        ..Spare::default()
    };
    let pruned = store.prune(spare).unwrap();
    assert_eq!(pruned.files, 0);
}

#[test]
fn prune_is_refused_while_another_run_is_open() {
    let (dir, store) = store();
    let _other = Store::open(Some(dir.path())).unwrap();
    assert!(store.prune(Spare::default()).is_err());
}
