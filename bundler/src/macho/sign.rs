// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ad-hoc code signature with the hypervisor entitlement.
//!
//! A signature is a `SuperBlob` of five blobs: the `CodeDirectory` with the
//! digest of every page, empty requirements, the entitlements as XML and as
//! DER, and an empty CMS wrapper that marks it as ad hoc. All fields are big
//! endian. Its size depends on the identifier and the number of pages alone,
//! so it is known before the first page is hashed. Layout: docs/macho.md.

use elfuse_payload::Digest;

use super::PAGE;

pub(super) const MAGIC_SUPERBLOB: u32 = 0xfade_0cc0;
pub(super) const MAGIC_CODE_DIRECTORY: u32 = 0xfade_0c02;
const MAGIC_WRAPPER: u32 = 0xfade_0b01;

pub(super) const SLOT_CODE_DIRECTORY: u32 = 0;
pub(super) const SLOT_REQUIREMENTS: u32 = 2;
pub(super) const SLOT_ENTITLEMENTS: u32 = 5;
pub(super) const SLOT_ENTITLEMENTS_DER: u32 = 7;
pub(super) const SLOT_CMS: u32 = 0x10000;

/// Special slots before the pages: numbers -7 to -1.
pub(super) const SPECIAL_SLOTS: usize = 7;
/// Where the identifier stands in a version 0x20400 directory.
pub(super) const IDENTIFIER_AT: usize = 88;
/// `log2` of the page size.
const PAGE_SHIFT: u8 = 14;
/// Index entries: type and offset.
const INDEX: usize = 8;
const BLOBS: usize = 5;

/// An empty requirement set, with its header.
pub(super) const REQUIREMENTS: [u8; 12] = [0xfa, 0xde, 0x0c, 0x01, 0, 0, 0, 12, 0, 0, 0, 0];

/// The one entitlement a bundle needs.
pub(super) const ENTITLEMENT: &str = "com.apple.security.hypervisor";

const PLIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>com.apple.security.hypervisor</key>
	<true/>
</dict>
</plist>
"#;

/// Entitlements as an XML property list, with the blob header.
pub(super) fn entitlements() -> Vec<u8> {
    blob(0xfade_7171, PLIST.as_bytes())
}

/// Entitlements as DER: a version and one key with the value true.
pub(super) fn entitlements_der() -> Vec<u8> {
    let key = ENTITLEMENT.as_bytes();
    let pair = [&[0x0c, 0x1d][..], key, &[0x01, 0x01, 0xff]].concat();
    let dictionary = [&[0xb0, 0x24, 0x30, 0x22][..], &pair].concat();
    let content = [&[0x70, 0x29, 0x02, 0x01, 0x01][..], &dictionary].concat();
    blob(0xfade_7172, &content)
}

fn blob(magic: u32, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len() + 8).unwrap_or(u32::MAX);
    [&magic.to_be_bytes()[..], &len.to_be_bytes(), content].concat()
}

/// Number of pages of `code_limit` bytes of code.
pub(super) const fn pages(code_limit: u64) -> u64 {
    code_limit.div_ceil(PAGE)
}

/// Length of the signature of that much code, rounded up to 16.
pub(super) fn size(identifier: &str, code_limit: u64) -> u64 {
    let fixed = 12
        + BLOBS * INDEX
        + IDENTIFIER_AT
        + identifier.len()
        + 1
        + SPECIAL_SLOTS * 32
        + REQUIREMENTS.len()
        + entitlements().len()
        + entitlements_der().len()
        + 8;
    super::align(fixed as u64 + pages(code_limit) * 32, 16)
}

/// Builds the signature; its length is what [`size`] said.
///
/// `text_size` is the file size of `__TEXT`, `code_limit` the number of bytes
/// that the pages cover; both are below 4 GiB.
pub(super) fn build(
    identifier: &str,
    text_size: u64,
    code_limit: u64,
    pages: &[Digest],
) -> Vec<u8> {
    let xml = entitlements();
    let der = entitlements_der();
    let special = [(5, &xml[..]), (2, &REQUIREMENTS[..]), (7, &der[..])];
    let directory = code_directory(identifier, text_size, code_limit, pages, &special);
    let cms = blob(MAGIC_WRAPPER, &[]);
    let blobs = [
        (SLOT_CODE_DIRECTORY, &directory[..]),
        (SLOT_REQUIREMENTS, &REQUIREMENTS[..]),
        (SLOT_ENTITLEMENTS, &xml[..]),
        (SLOT_ENTITLEMENTS_DER, &der[..]),
        (SLOT_CMS, &cms[..]),
    ];
    let mut offset = 12 + BLOBS * INDEX;
    let mut index = Vec::new();
    let mut body = Vec::new();
    for (slot, content) in blobs {
        index.extend_from_slice(&slot.to_be_bytes());
        index.extend_from_slice(&be32(offset));
        body.extend_from_slice(content);
        offset += content.len();
    }
    let mut signature = MAGIC_SUPERBLOB.to_be_bytes().to_vec();
    signature.extend_from_slice(&be32(offset));
    signature.extend_from_slice(&be32(BLOBS));
    signature.extend_from_slice(&index);
    signature.extend_from_slice(&body);
    signature.resize(signature.len().next_multiple_of(16), 0);
    signature
}

fn code_directory(
    identifier: &str,
    text_size: u64,
    code_limit: u64,
    pages: &[Digest],
    special: &[(usize, &[u8])],
) -> Vec<u8> {
    let hashes_at = IDENTIFIER_AT + identifier.len() + 1 + SPECIAL_SLOTS * 32;
    let mut slots = [[0; 32]; SPECIAL_SLOTS];
    for (number, content) in special {
        slots[SPECIAL_SLOTS - number] = *Digest::of(content).as_bytes();
    }
    let mut out = MAGIC_CODE_DIRECTORY.to_be_bytes().to_vec();
    out.extend_from_slice(&be32(hashes_at + pages.len() * 32));
    out.extend_from_slice(&0x0002_0400_u32.to_be_bytes()); // version
    out.extend_from_slice(&2_u32.to_be_bytes()); // flags: ad hoc
    out.extend_from_slice(&be32(hashes_at));
    out.extend_from_slice(&be32(IDENTIFIER_AT));
    out.extend_from_slice(&be32(SPECIAL_SLOTS));
    out.extend_from_slice(&be32(pages.len()));
    out.extend_from_slice(&u32::try_from(code_limit).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&[32, 2, 0, PAGE_SHIFT]); // SHA-256, platform, page size
    out.extend_from_slice(&[0; 4]); // spare2
    out.extend_from_slice(&[0; 8]); // scatter and team offsets
    out.extend_from_slice(&[0; 4]); // spare3
    out.extend_from_slice(&[0; 8]); // codeLimit64
    out.extend_from_slice(&0_u64.to_be_bytes()); // execSegBase
    out.extend_from_slice(&text_size.to_be_bytes());
    out.extend_from_slice(&1_u64.to_be_bytes()); // execSegFlags: main binary
    out.extend_from_slice(identifier.as_bytes());
    out.push(0);
    out.extend(slots.iter().flatten());
    for page in pages {
        out.extend_from_slice(page.as_bytes());
    }
    out
}

fn be32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}
