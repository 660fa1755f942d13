// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a finished bundle: structure, signature, every page.
//!
//! The headers are read twice, by our parser and by goblin, which must agree
//! on every segment. The signature must be the one this version writes, or one
//! put over it later by somebody with a certificate: then its pages are checked
//! and its other blobs are left to `codesign`.

use std::io;

use elfuse_payload::{Digest, ReadAt};
use goblin::container::Endian;
use goblin::mach::load_command::{CommandVariant, LoadCommand};

use super::image::{HEADER, Image};
use super::sign::{self, MAGIC_CODE_DIRECTORY};
use super::{MAX_FILE, MachoError, PAGE, SEGMENT};

/// Load commands end within this many bytes in every stub.
const HEAD: u64 = 1 << 20;
/// A signature of 4 GiB of pages has 8 MiB of digests.
const MAX_SIGNATURE: u64 = 64 << 20;

/// What a signature says, once it was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The program's name in the signature.
    pub identifier: String,
    /// Whether it carries no certificate.
    pub ad_hoc: bool,
    /// Number of pages it covers.
    pub pages: u64,
    /// Whether it grants the use of the hypervisor.
    pub hypervisor: bool,
    /// SHA-256 of the code directory, which `codesign` calls the CDHash.
    pub cdhash: Digest,
}

impl Image {
    /// Reads and parses the headers of a file.
    ///
    /// # Errors
    /// [`MachoError`] if it is no executable.
    pub fn read(file: &dyn ReadAt) -> Result<Self, MachoError> {
        Self::parse(&read(file, 0, HEAD.min(file.size()))?)
    }
}

/// Checks the whole file; `advance` hears of bytes as they are checked.
///
/// # Errors
/// The first thing that is wrong, in file order within each check.
pub fn verify(file: &dyn ReadAt, advance: &dyn Fn(u64)) -> Result<Signature, MachoError> {
    let head = read(file, 0, HEAD.min(file.size()))?;
    let image = Image::parse(&head)?;
    check_structure(&image, file.size())?;
    second_opinion(&image, &head)?;
    let (offset, size) = image
        .signature
        .ok_or(MachoError::Missing("code signature"))?;
    let blob = read(file, offset, size)?;
    let signature = check_blobs(&blob, &image, offset)?;
    check_pages(file, &image, offset, &blob, advance)?;
    Ok(signature)
}

fn check_structure(image: &Image, size: u64) -> Result<(), MachoError> {
    let wrong = |why: &str| Err(MachoError::Structure(why.to_owned()));
    let payload = image
        .segment(SEGMENT)
        .ok_or(MachoError::Missing("__ELFUSE segment"))?;
    let linkedit = image
        .segment("__LINKEDIT")
        .ok_or(MachoError::Missing("__LINKEDIT segment"))?;
    if size > MAX_FILE {
        return wrong("the file is larger than 4 GiB");
    }
    if payload.memory_size != 0 || payload.offset % PAGE != 0 || payload.size % PAGE != 0 {
        return wrong("the payload segment is mapped or not aligned to 16 KiB");
    }
    if payload.offset + payload.size != linkedit.offset {
        return wrong("__LINKEDIT does not follow the payload");
    }
    if linkedit.offset + linkedit.size != size {
        return wrong("__LINKEDIT does not end with the file");
    }
    let (offset, length) = image
        .signature
        .ok_or(MachoError::Missing("code signature"))?;
    let in_linkedit = offset >= linkedit.offset && offset + length == size;
    if offset % 16 != 0 || !in_linkedit || length > MAX_SIGNATURE {
        return wrong("the signature is not the end of __LINKEDIT");
    }
    Ok(())
}

/// Has goblin parse the same load commands and compares the segments.
pub(super) fn second_opinion(image: &Image, head: &[u8]) -> Result<(), MachoError> {
    let disagree = |why: String| MachoError::Structure(format!("a second parser: {why}"));
    let mut at = HEADER;
    let mut segments = image.segments.iter();
    for _ in &image.commands {
        let command = LoadCommand::parse(head, &mut at, Endian::Little)
            .map_err(|error| disagree(error.to_string()))?;
        if let CommandVariant::Segment64(theirs) = command.command {
            let ours = segments
                .next()
                .ok_or_else(|| disagree("one more segment".into()))?;
            let same = theirs.fileoff == ours.offset
                && theirs.filesize == ours.size
                && theirs.vmaddr == ours.address
                && theirs.vmsize == ours.memory_size;
            if !same {
                return Err(disagree(format!("segment {} differs", ours.name)));
            }
        }
    }
    match segments.next() {
        Some(segment) => Err(disagree(format!("no segment {}", segment.name))),
        None => Ok(()),
    }
}

/// Blobs of a signature by slot, each with its header.
fn blobs(signature: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let count = usize::try_from(be32(signature, 8)?).ok()?;
    if be32(signature, 0)? != sign::MAGIC_SUPERBLOB || count > 64 {
        return None;
    }
    (0..count)
        .map(|n| {
            let slot = be32(signature, 12 + n * 8)?;
            let offset = usize::try_from(be32(signature, 16 + n * 8)?).ok()?;
            let length = usize::try_from(be32(signature, offset.checked_add(4)?)?).ok()?;
            Some((slot, signature.get(offset..offset.checked_add(length)?)?))
        })
        .collect()
}

/// Checks everything in the signature but the pages.
fn check_blobs(signature: &[u8], image: &Image, offset: u64) -> Result<Signature, MachoError> {
    let wrong = |why: &str| MachoError::Signature(why.to_owned());
    let blobs = blobs(signature).ok_or_else(|| wrong("damaged index of blobs"))?;
    let find = |slot| {
        blobs
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, blob)| *blob)
    };
    let code = find(sign::SLOT_CODE_DIRECTORY).ok_or_else(|| wrong("no code directory"))?;
    let directory = Directory::parse(code).ok_or_else(|| wrong("damaged code directory"))?;
    let text = image.segment("__TEXT").map_or(0, |segment| segment.size);
    if directory.code_limit != offset || directory.pages != offset.div_ceil(directory.page) {
        return Err(wrong("it does not cover the whole file"));
    }
    if be64(code, 72) != Some(text) {
        return Err(wrong("it names another size of __TEXT"));
    }
    for (number, name) in [
        (2, "requirements"),
        (5, "entitlements"),
        (7, "DER entitlements"),
    ] {
        let slot = directory.special(code, number);
        let stated = slot.filter(|digest| digest.iter().any(|&byte| byte != 0));
        let actual = find(number).map(Digest::of);
        if stated != actual.as_ref().map(|digest| &digest.as_bytes()[..]) {
            return Err(MachoError::Signature(format!("the {name} were changed")));
        }
    }
    let ad_hoc = be32(code, 12).is_some_and(|flags| flags & 2 != 0);
    let found = Signature {
        identifier: directory.identifier,
        ad_hoc,
        pages: directory.pages,
        hypervisor: find(sign::SLOT_ENTITLEMENTS_DER) == Some(&sign::entitlements_der()[..]),
        cdhash: Digest::of(code),
    };
    if ad_hoc {
        check_exact(signature, code, &found.identifier, text, offset)?;
    } else if find(sign::SLOT_CMS).is_none_or(|cms| cms.len() <= 8) {
        // Nothing follows the magic number and the length.
        return Err(wrong("it is neither ad hoc nor anybody's"));
    }
    Ok(found)
}

/// An ad-hoc signature is ours to the byte, padding included.
fn check_exact(
    signature: &[u8],
    code: &[u8],
    identifier: &str,
    text: u64,
    limit: u64,
) -> Result<(), MachoError> {
    let count = usize::try_from(sign::pages(limit)).unwrap_or(usize::MAX);
    let slots = code.len().saturating_sub(count.saturating_mul(32));
    let pages: Vec<Digest> = code[slots..]
        .chunks_exact(32)
        .filter_map(|slot| Some(Digest::from_bytes(slot.try_into().ok()?)))
        .collect();
    let expected = sign::build(identifier, text, limit, &pages);
    let differs = expected.iter().zip(signature).position(|(a, b)| a != b);
    if let Some(at) = differs {
        return Err(MachoError::Signature(format!(
            "byte {} was changed",
            limit + at as u64
        )));
    }
    if expected.len() != signature.len() {
        return Err(MachoError::Signature("it has another length".to_owned()));
    }
    Ok(())
}

/// The fields of a code directory that we use.
struct Directory {
    identifier: String,
    code_limit: u64,
    /// Bytes of a page: 16 KiB in ours, often 4 KiB in one put over it.
    page: u64,
    pages: u64,
    /// Slots in front of those of the pages.
    special: usize,
    hashes: usize,
}

impl Directory {
    fn parse(code: &[u8]) -> Option<Self> {
        let version = be32(code, 8)?;
        let kind = code.get(36..40)?;
        let known = be32(code, 0)? == MAGIC_CODE_DIRECTORY && version >= 0x2_0400;
        // SHA-256 with 32 bytes, and the sizes that pages have on a Mac.
        if !known || kind[0] != 32 || kind[1] != 2 || !(12..=14).contains(&kind[3]) {
            return None;
        }
        let hashes = usize::try_from(be32(code, 16)?).ok()?;
        let start = usize::try_from(be32(code, 20)?).ok()?;
        let special = usize::try_from(be32(code, 24)?).ok()?;
        let pages = usize::try_from(be32(code, 28)?).ok()?;
        let end = hashes.checked_add(pages.checked_mul(32)?)?;
        if hashes < special.checked_mul(32)? || end > code.len() {
            return None;
        }
        let name = code.get(start..)?;
        let name = &name[..name.iter().position(|&byte| byte == 0)?];
        Some(Self {
            identifier: String::from_utf8(name.to_vec()).ok()?,
            code_limit: be32(code, 32)?.into(),
            page: 1 << kind[3],
            pages: pages as u64,
            special,
            hashes,
        })
    }

    fn special<'a>(&self, code: &'a [u8], number: u32) -> Option<&'a [u8]> {
        let number = usize::try_from(number).ok();
        let number = number.filter(|&number| number <= self.special)?;
        let at = self.hashes.checked_sub(number * 32)?;
        code.get(at..at + 32)
    }
}

fn check_pages(
    file: &dyn ReadAt,
    image: &Image,
    limit: u64,
    signature: &[u8],
    advance: &dyn Fn(u64),
) -> Result<(), MachoError> {
    let damaged = || MachoError::Signature("damaged code directory".to_owned());
    let all = blobs(signature).ok_or_else(damaged)?;
    let code = all
        .iter()
        .find(|(slot, _)| *slot == sign::SLOT_CODE_DIRECTORY);
    let code = code.ok_or_else(damaged)?.1;
    let Directory { hashes, page, .. } = Directory::parse(code).ok_or_else(damaged)?;
    for (index, slot) in (0..).zip(code[hashes..].chunks_exact(32)) {
        let start = index * page;
        let end = (start + page).min(limit);
        if start >= limit {
            break;
        }
        let bytes = read(file, start, end - start)?;
        if Digest::of(&bytes).as_bytes() != slot {
            let part = image.part_at(start);
            return Err(MachoError::Page {
                page: index,
                start,
                end,
                part,
            });
        }
        advance(end - start);
    }
    Ok(())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(field.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(field.try_into().ok()?))
}

fn read(file: &dyn ReadAt, offset: u64, size: u64) -> Result<Vec<u8>, MachoError> {
    let fits = offset
        .checked_add(size)
        .is_some_and(|end| end <= file.size());
    let len = usize::try_from(size).ok().filter(|_| fits);
    let len = len.ok_or(MachoError::Malformed {
        what: "file",
        at: offset,
    })?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).map_err(read_error)?;
    Ok(bytes)
}

fn read_error(source: io::Error) -> MachoError {
    MachoError::Io {
        action: "read",
        source,
    }
}
