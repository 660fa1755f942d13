// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bombs abort with the entry's name, the layer's digest and the option that
//! would let them through.

use super::super::limits::{Excess, Limits};
use super::super::{Name, SquashError};
use super::forms::{Raw, member, pax};
use super::{Digest, scan};

fn excess(bytes: &[u8], limits: Limits) -> (Name, Excess) {
    match scan(bytes, limits) {
        Err(SquashError::Limit {
            layer,
            entry,
            excess,
        }) => {
            assert_eq!(layer, Digest::of(bytes));
            (entry, excess)
        }
        other => panic!("no limit was hit: {other:?}"),
    }
}

#[test]
fn too_many_entries() {
    let bytes = [member(b"a", b'0', b""), member(b"b", b'0', b"")].concat();
    let limits = Limits {
        entries: 1,
        ..Limits::none()
    };
    assert_eq!(
        excess(&bytes, limits),
        (Name(b"b".to_vec()), Excess::Entries(1))
    );
}

#[test]
fn too_many_bytes_are_refused_before_they_are_read() {
    let limits = Limits {
        bytes: 1000,
        ..Limits::none()
    };
    let bytes = Raw::new(b"big", b'0', 1001).done();
    assert_eq!(
        excess(&bytes, limits),
        (Name(b"big".to_vec()), Excess::Bytes(1000))
    );
}

#[test]
fn holes_count_like_data() {
    let size = (1_u64 << 40).to_string();
    let sparse: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", size.as_bytes()),
        ("GNU.sparse.map", b"0,1"),
    ];
    let bytes = [pax(b'x', sparse), member(b"hole", b'0', b"x")].concat();
    let name = Name(b"hole".to_vec());
    let by_size = Limits {
        bytes: 1 << 30,
        ..Limits::none()
    };
    assert_eq!(
        excess(&bytes, by_size),
        (name.clone(), Excess::Bytes(1 << 30))
    );
    let by_ratio = Limits {
        ratio: 200,
        ..Limits::none()
    };
    assert_eq!(excess(&bytes, by_ratio), (name, Excess::Ratio(200)));
}

#[test]
fn names_and_attributes_count() {
    let limits = Limits {
        names: 50,
        ..Limits::none()
    };
    let attribute: &[(&str, &[u8])] = &[("SCHILY.xattr.user.a", &[1; 60])];
    let bytes = [pax(b'x', attribute), member(b"f", b'0', b"")].concat();
    assert_eq!(
        excess(&bytes, limits),
        (Name(b"f".to_vec()), Excess::Names(50))
    );
}

#[test]
fn message_names_the_option_that_helps() {
    let limits = Limits {
        bytes: 1,
        ..Limits::none()
    };
    let error = scan(&Raw::new(b"a\nb", b'0', 2).done(), limits).expect_err("too large");
    let text = error.to_string();
    assert!(text.contains("entry a\\nb: "), "{text}");
    assert!(text.contains("sha256:"), "{text}");
    assert!(
        text.ends_with("hint: --no-limits accepts it if you trust the image"),
        "{text}"
    );
}
