// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forms of the archive itself: global headers, sparse files, odd endings.

use elfuse_tests::tarball::{Member, Tarball, seal};

use super::{Case, Umoci, case};

pub(super) fn cases() -> Vec<Case> {
    let file = |name: &'static str| Member::file(name, name);
    vec![
        raw("archive without an end", Tarball::of([file("a")]), true),
        raw(
            "bytes after the end",
            Tarball::of([file("a")]).raw(&[0; 1024]).raw(b"junk"),
            true,
        ),
        raw(
            "padding to a record",
            Tarball::of([file("a")]).raw(&[0; 10240]),
            false,
        ),
        raw(
            "global header",
            Tarball::new().global(&[("uid", "70")]).with(file("a")),
            false,
        )
        .umoci(Umoci::Refuses {
            why: "it takes the global header for an entry of unknown type; git writes them",
            ours: &[("a", "file 0644 70:0 1000000000.000000000 1 ca978112ca1b")],
        }),
        raw(
            "contiguous file",
            Tarball::of([file("a").flag(b'7')]),
            false,
        )
        .umoci(Umoci::Refuses {
            why: "POSIX has it treated as a regular file",
            ours: &[("a", "file 0644 0:0 1000000000.000000000 1 ca978112ca1b")],
        }),
        raw(
            "directory of v7 tar",
            Tarball::of([Member::file("d/", "").flag(0)]),
            false,
        ),
        raw("unknown type", Tarball::of([file("a").flag(b'Q')]), false)
            .umoci(Umoci::AlsoRefuses("entry type 'Q' is not supported")),
        case(
            "large file of zeros",
            vec![vec![Member::file("zeros", vec![0; 3 << 20])]],
        ),
        case(
            "empty files",
            vec![vec![Member::file("a", ""), Member::file("b", "")]],
        ),
        raw("sparse file of pax 1.0", sparse_1_0(), false),
        raw("sparse file of pax 0.1", sparse_0_1(), false),
        raw("sparse file of old GNU tar", old_gnu_sparse(), false).umoci(Umoci::Refuses {
            why: "Go understands the form but leaves its type, which umoci does not know",
            ours: &[("real", "file 0644 0:0 0.000000000 4096 5f98dcf4e566")],
        }),
        raw("owner in base 256", base_256(), false),
        raw(
            "truncated archive",
            Tarball::of([Member::file("a", [1; 600])]),
            true,
        )
        .truncated(700)
        .umoci(Umoci::AlsoRefuses("archive is truncated")),
        raw(
            "wrong checksum",
            Tarball::of([file("a")]).raw(&[b'x'; 512]),
            true,
        )
        .umoci(Umoci::AlsoRefuses("wrong checksum")),
    ]
}

impl Case {
    fn truncated(mut self, length: usize) -> Self {
        self.layers[0].truncate(length);
        self
    }
}

/// A case of one layer; `is_whole` when the archive ends as it is.
fn raw(name: &'static str, tarball: Tarball, is_whole: bool) -> Case {
    let mut bytes = tarball.finish();
    if is_whole {
        bytes.truncate(bytes.len() - 1024);
    }
    Case {
        layers: vec![bytes],
        ..case(name, vec![])
    }
}

fn sparse_1_0() -> Tarball {
    let mut data = b"2\n512\n5\n2048\n3\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"helloabc");
    Tarball::of([Member::file("GNUSparseFile.0/real", data)
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "real")
        .pax("GNU.sparse.realsize", "4096")])
}

fn sparse_0_1() -> Tarball {
    Tarball::of([Member::file("GNUSparseFile.0/real", "helloabc")
        .pax("GNU.sparse.name", "real")
        .pax("GNU.sparse.size", "4096")
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.map", "512,5,2048,3")])
}

fn header(name: &[u8], flag: u8, size: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar  \0");
    block
}

fn old_gnu_sparse() -> Tarball {
    let mut block = header(b"real", b'S', b"00000000010");
    for (cell, (offset, length)) in [(512, 5), (2048, 3)].into_iter().enumerate() {
        let text = format!("{offset:011o}\0{length:011o}\0");
        block[386 + 24 * cell..][..24].copy_from_slice(text.as_bytes());
    }
    block[483..494].copy_from_slice(b"00000010000");
    seal(&mut block);
    let mut data = b"helloabc".to_vec();
    data.resize(512, 0);
    Tarball::new().raw(&block).raw(&data)
}

fn base_256() -> Tarball {
    let mut block = header(b"a", b'0', b"00000000000");
    block[108..116].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xfd");
    block[116..124].copy_from_slice(b"\x80\0\0\0\0\x40\0\0");
    // Eleven seconds before 1970, in two's complement.
    block[136..148].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf5");
    seal(&mut block);
    Tarball::new().raw(&block)
}
