// SPDX-License-Identifier: MIT OR Apache-2.0
//! The public functions from end to end: compressions, digests, transforms,
//! determinism, the cache.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use elfuse_payload::Digest;
use tempfile::TempDir;

use super::super::cache::{DirCache, squash_cached};
use super::super::tar::writer::END;
use super::super::{SquashError, SquashOptions, squash};
use super::forms::{member, pax};
use super::{Limits, read_all, scan};
use crate::image::{BlobHandle, Layer, LayerMediaType};
use crate::progress::Quiet;
use crate::transform::inject::What;
use crate::transform::{Addition, Strip, Transforms};

struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn layer(&self, media_type: LayerMediaType, tar: &[u8]) -> Layer {
        let blob = match media_type {
            LayerMediaType::Tar => tar.to_vec(),
            LayerMediaType::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(tar).expect("memory");
                encoder.finish().expect("memory")
            }
            LayerMediaType::Zstd => zstd::encode_all(tar, 1).expect("memory"),
        };
        let digest = Digest::of(&blob);
        let path = self.path().join(digest.hex());
        fs::write(&path, &blob).expect("a file");
        let diff_id = Some(Digest::of(tar));
        let blob = BlobHandle::from_path(path);
        let size = fs::metadata(self.path().join(digest.hex()))
            .expect("a file")
            .len();
        Layer {
            media_type,
            digest,
            size,
            diff_id,
            blob,
        }
    }

    fn options(&self, transforms: Transforms) -> SquashOptions {
        let scratch = self.path().to_path_buf();
        SquashOptions {
            scratch,
            transforms,
            ..SquashOptions::default()
        }
    }

    /// Paths and contents' sizes of the squashed tar.
    fn names(&self, tar: &[u8], transforms: Transforms) -> Vec<String> {
        let layer = self.layer(LayerMediaType::Tar, tar);
        let mut out = Vec::new();
        squash(&[layer], &self.options(transforms), &Quiet, &mut out).expect("a squash");
        let tar = zstd::decode_all(&out[..]).expect("a zstd stream");
        let entries = scan(&tar, Limits::default()).expect("a tar").entries;
        entries
            .iter()
            .map(|entry| String::from_utf8(entry.path.clone()).expect("ASCII"))
            .collect()
    }
}

fn sample() -> Vec<u8> {
    let big: Vec<u8> = (0..700_000_u32)
        .flat_map(|i| (i / 7).to_le_bytes())
        .collect();
    let parts = [
        pax(b'x', &[("mtime", b"2000000000.5")]),
        member(b"z", b'0', &big),
        member(b"etc/", b'5', b""),
        member(b"etc/passwd", b'0', b"root:x:0:0::/:/bin/sh\n"),
        member(b"a", b'0', b"a"),
    ];
    [parts.concat(), END.to_vec()].concat()
}

#[test]
fn compression_and_threads_do_not_change_the_result() {
    let fixture = Fixture::new();
    let mut results = Vec::new();
    for media_type in [
        LayerMediaType::Tar,
        LayerMediaType::Gzip,
        LayerMediaType::Zstd,
    ] {
        let layer = fixture.layer(media_type, &sample());
        for threads in [1, 2, 5] {
            let mut out = Vec::new();
            let options = SquashOptions {
                threads,
                ..fixture.options(Transforms::default())
            };
            let layers = [layer.clone(), layer.clone(), layer.clone()];
            let summary = squash(&layers, &options, &Quiet, &mut out).expect("a squash");
            assert_eq!(summary.layer.digest, Digest::of(&out));
            results.push(out);
        }
    }
    assert!(results.iter().all(|out| *out == results[0]));
}

#[test]
fn wrong_uncompressed_digest_names_the_layer() {
    let fixture = Fixture::new();
    let mut layer = fixture.layer(LayerMediaType::Gzip, &sample());
    layer.diff_id = Some(Digest::of(b"another"));
    let options = fixture.options(Transforms::default());
    let error = squash(
        std::slice::from_ref(&layer),
        &options,
        &Quiet,
        &mut Vec::new(),
    )
    .expect_err("refused");
    assert!(matches!(error, SquashError::DiffId { layer: digest, .. } if digest == layer.digest));
}

#[test]
fn blob_that_is_not_the_one_named_is_refused_whatever_it_holds() {
    let fixture = Fixture::new();
    let options = fixture.options(Transforms::default());
    let refused = |layer: &Layer, bytes: &[u8]| {
        fs::write(fixture.path().join(layer.digest.hex()), bytes).expect("a file");
        let layers = std::slice::from_ref(layer);
        squash(layers, &options, &Quiet, &mut Vec::new()).expect_err("refused")
    };
    for media_type in [
        LayerMediaType::Tar,
        LayerMediaType::Gzip,
        LayerMediaType::Zstd,
    ] {
        let mut layer = fixture.layer(media_type, &sample());
        let good = fs::read(fixture.path().join(layer.digest.hex())).expect("the blob");
        layer.diff_id = None;
        let error = refused(&layer, &good[..good.len() / 2]);
        assert!(
            matches!(error, SquashError::Size { layer: digest, actual, .. }
                if digest == layer.digest && actual == good.len() as u64 / 2)
        );
        let error = refused(&layer, &[&good[..], &[0; 10]].concat());
        assert!(error.to_string().contains("longer than the"), "{error}");
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            let error = refused(&layer, &bytes);
            assert!(
                matches!(error, SquashError::Blob { layer: digest, actual }
                    if digest == layer.digest && actual == Digest::of(&bytes)),
                "{error}"
            );
        }
    }
}

#[test]
fn bomb_is_refused() {
    let fixture = Fixture::new();
    let zeros = [member(b"zeros", b'0', &vec![0; 70 << 20]), END.to_vec()].concat();
    let layer = fixture.layer(LayerMediaType::Zstd, &zeros);
    let options = fixture.options(Transforms::default());
    let error = squash(&[layer], &options, &Quiet, &mut Vec::new()).expect_err("a bomb");
    assert!(error.to_string().contains("entry zeros: "), "{error}");
    assert!(error.to_string().contains("more than 200 times"), "{error}");
}

#[test]
fn bytes_after_the_archive_count_for_the_ratio() {
    let fixture = Fixture::new();
    let bytes = [END.to_vec(), vec![0; 70 << 20]].concat();
    let layer = fixture.layer(LayerMediaType::Zstd, &bytes);
    let options = fixture.options(Transforms::default());
    let error = squash(&[layer], &options, &Quiet, &mut Vec::new()).expect_err("a bomb");
    assert!(matches!(error, SquashError::Limit { .. }), "{error}");
}

#[test]
fn epoch_bounds_all_times() {
    let fixture = Fixture::new();
    let layer = fixture.layer(LayerMediaType::Tar, &sample());
    let options = SquashOptions {
        epoch: Some(1000),
        ..fixture.options(Transforms::default())
    };
    let mut out = Vec::new();
    squash(&[layer], &options, &Quiet, &mut out).expect("a squash");
    let tar = zstd::decode_all(&out[..]).expect("a zstd stream");
    let entries = scan(&tar, Limits::default()).expect("a tar").entries;
    let times: Vec<_> = entries
        .iter()
        .map(|entry| (entry.meta.mtime.secs, entry.meta.mtime.nanos))
        .collect();
    // The sample's own times are 10 seconds after 1970, but for one.
    assert_eq!(times, [(0, 0), (10, 0), (10, 0), (10, 0), (1000, 0)]);
}

#[test]
fn second_squash_comes_from_the_cache_until_it_is_damaged() {
    let fixture = Fixture::new();
    let cache_dir = fixture.path().join("cache");
    fs::create_dir(&cache_dir).expect("a directory");
    let cache = DirCache::new(cache_dir.clone(), cache_dir.clone());
    let layers = [fixture.layer(LayerMediaType::Gzip, &sample())];
    let run = |transforms: Transforms| {
        let options = fixture.options(transforms);
        let result =
            squash_cached(&layers, &options, &Quiet, &cache, &mut io::sink()).expect("a squash");
        let mut blob = read_all(&result.file);
        blob.truncate(usize::try_from(result.summary.layer.size).expect("small"));
        assert_eq!(Digest::of(&blob), result.summary.layer.digest);
        (result.summary, result.is_cached)
    };
    let (first, is_cached) = run(Transforms::default());
    assert!(!is_cached);
    assert_eq!(run(Transforms::default()), (first, true));
    let strip = Strip {
        prefixes: vec!["etc".into()],
        ..Strip::default()
    };
    let (stripped, is_cached) = run(Transforms {
        strip,
        ..Transforms::default()
    });
    assert!(!is_cached && stripped.layer.digest != first.layer.digest);
    for entry in fs::read_dir(&cache_dir).expect("the cache") {
        let path = entry.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("an entry");
        bytes[1000] ^= 1;
        fs::write(&path, bytes).expect("a file");
    }
    assert_eq!(run(Transforms::default()), (first, false));
    assert_eq!(run(Transforms::default()), (first, true));
}

#[test]
fn layers_not_named_by_their_contents_are_not_cached() {
    let fixture = Fixture::new();
    let cache = DirCache::new(fixture.path().join("cache"), fixture.path().join("cache"));
    fs::create_dir(fixture.path().join("cache")).expect("a directory");
    let layer = Layer {
        diff_id: None,
        ..fixture.layer(LayerMediaType::Tar, &sample())
    };
    for _ in 0..2 {
        let options = fixture.options(Transforms::default());
        let result = squash_cached(
            std::slice::from_ref(&layer),
            &options,
            &Quiet,
            &cache,
            &mut io::sink(),
        )
        .expect("a squash");
        assert!(!result.is_cached);
    }
    assert_eq!(
        fs::read_dir(fixture.path().join("cache"))
            .expect("the cache")
            .count(),
        0
    );
}

#[test]
fn strip_empties_directories_but_keeps_them() {
    let names: &[&[u8]] = &[
        b"tmp/x",
        b"usr/share/doc/p/README",
        b"usr/share/man/man1/p.1",
        b"usr/bin/pip3",
        b"root/.cache/pip/http/x",
        b"root/.npm/_cacache/x",
    ];
    let tar = [
        names
            .iter()
            .flat_map(|name| member(name, b'0', b""))
            .collect(),
        END.to_vec(),
    ]
    .concat();
    let fixture = Fixture::new();
    let strip = |docs, caches, prefixes: &[&str]| {
        let prefixes = prefixes.iter().map(|&p| p.to_owned()).collect();
        let strip = Strip {
            docs,
            caches,
            prefixes,
        };
        fixture.names(
            &tar,
            Transforms {
                strip,
                ..Transforms::default()
            },
        )
    };
    let files = |all: Vec<String>| -> Vec<String> {
        all.into_iter()
            .filter(|path| !path.ends_with('/') || path.contains("share/"))
            .collect()
    };
    assert_eq!(
        files(strip(true, false, &[])),
        [
            "root/.cache/pip/http/x",
            "root/.npm/_cacache/x",
            "usr/bin/pip3",
            "usr/share/",
            "usr/share/doc/",
            "usr/share/man/"
        ]
    );
    // npm is not in the image, so its cache is not one.
    let kept = strip(false, true, &["/usr/share", "tmp/x", "no/such"]);
    assert_eq!(files(kept), ["root/.npm/_cacache/x", "usr/bin/pip3"]);
    let strip = Strip {
        prefixes: vec!["../etc".into()],
        ..Strip::default()
    };
    let options = fixture.options(Transforms {
        strip,
        ..Transforms::default()
    });
    let error = squash(&[], &options, &Quiet, &mut Vec::new()).expect_err("refused");
    assert!(error.to_string().contains("strip ../etc: "), "{error}");
}

#[test]
fn added_files_belong_to_root_and_go_through_links() {
    let fixture = Fixture::new();
    let host = fixture.path().join("host");
    fs::create_dir_all(host.join("sub")).expect("a directory");
    fs::write(host.join("tool"), "#!/bin/sh\n").expect("a file");
    fs::set_permissions(host.join("tool"), PermissionsExt::from_mode(0o755)).expect("a mode");
    fs::hard_link(host.join("tool"), host.join("sub/twin")).expect("a link");
    std::os::unix::fs::symlink("tool", host.join("link")).expect("a link");
    let mut link = member(b"lib", b'2', b"");
    link[157..164].copy_from_slice(b"usr/lib");
    let sum: u32 = link[..512]
        .iter()
        .enumerate()
        .map(|(i, &b)| u32::from(if (148..156).contains(&i) { b' ' } else { b }))
        .sum();
    link[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let tar = [member(b"usr/lib/", b'5', b""), link, END.to_vec()].concat();
    let spec = |container: &str| format!("{}:{container}", host.display());
    let additions = vec![
        Addition::parse(What::Dir, &spec("/lib")).expect("a spec"),
        Addition::parse(What::File, &format!("{}/tool:/bin/", host.display())).expect("a spec"),
    ];
    let layer = fixture.layer(LayerMediaType::Tar, &tar);
    let options = fixture.options(Transforms {
        additions,
        ..Transforms::default()
    });
    let mut out = Vec::new();
    squash(&[layer], &options, &Quiet, &mut out).expect("a squash");
    let tar = zstd::decode_all(&out[..]).expect("a zstd stream");
    let entries = scan(&tar, Limits::default()).expect("a tar").entries;
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| {
            let path = entry.path.escape_ascii();
            let kind = match &entry.kind {
                super::Kind::Hardlink(target) => format!(" = {}", target.escape_ascii()),
                super::Kind::Symlink(target) => format!(" -> {}", target.escape_ascii()),
                _ => String::new(),
            };
            format!(
                "{path}{kind} {:o} {}",
                entry.meta.mode, entry.meta.mtime.secs
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "./ 755 0",
            "bin/ 755 0",
            "bin/tool 755 0",
            "lib -> usr/lib 644 10",
            "usr/ 755 0",
            "usr/lib/ 644 10",
            "usr/lib/link -> tool 777 0",
            "usr/lib/sub/ 755 0",
            "usr/lib/sub/twin 755 0",
            "usr/lib/tool = usr/lib/sub/twin 755 0",
        ]
    );
}

#[test]
fn additions_that_make_no_sense_are_refused() {
    for spec in [
        "x",
        ":/x",
        "x:",
        "x:relative",
        "x:/a/../b",
        "x:/.wh.a",
        "x:/a\0b",
    ] {
        assert!(Addition::parse(What::File, spec).is_err(), "{spec:?}");
    }
    let odd = Addition::parse(What::File, "C:odd:/a").expect("the last colon counts");
    assert_eq!(odd.host, Path::new("C:odd"));
    let fixture = Fixture::new();
    for (what, host) in [
        (What::File, fixture.path()),
        (What::Dir, Path::new("/dev/null")),
        (What::File, Path::new("/no")),
    ] {
        let additions = vec![Addition {
            host: host.into(),
            container: b"/x".to_vec(),
            what,
        }];
        let options = fixture.options(Transforms {
            additions,
            ..Transforms::default()
        });
        let error = squash(&[], &options, &Quiet, &mut Vec::new()).expect_err("refused");
        assert!(
            error.to_string().contains(&host.display().to_string()),
            "{error}"
        );
    }
}
