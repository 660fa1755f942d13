// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules that make a list of entries a tree, checked on writing and reading.
//!
//! One pass in table order, with binary searches in the part already checked;
//! no memory is taken.

use super::{
    Entry, Fault, Kind, MAX_ENTRIES, MAX_NAME, MAX_PATH, MAX_XATTR_VALUE, MAX_XATTRS, TocError,
    split,
};

pub(super) fn check(entries: &[Entry], tar_size: u64) -> Result<(), TocError> {
    if entries.len() > MAX_ENTRIES {
        return Err(TocError::TooMany(entries.len()));
    }
    let xattrs = entries.iter().map(|entry| entry.xattrs.len()).sum();
    if xattrs > MAX_XATTRS {
        return Err(TocError::TooMany(xattrs));
    }
    match entries.first() {
        Some(root) if root.path.is_empty() && root.kind == Kind::Dir => {}
        _ => return Err(TocError::NoRoot),
    }
    // Contents lie in table order, so the end of the last bounds the next.
    let mut contents_end = 0;
    for (index, entry) in entries.iter().enumerate() {
        check_entry(&entries[..index], entry)
            .and_then(|()| check_contents(entry, &mut contents_end, tar_size))
            .map_err(|fault| TocError::Entry {
                index,
                path: entry.path.clone(),
                fault,
            })?;
    }
    Ok(())
}

pub(super) fn find<'a>(entries: &'a [Entry], path: &[u8]) -> Option<&'a Entry> {
    let at = entries
        .binary_search_by(|entry| entry.path.as_slice().cmp(path))
        .ok()?;
    entries.get(at)
}

fn check_entry(before: &[Entry], entry: &Entry) -> Result<(), Fault> {
    if let Some(last) = before.last() {
        check_path(&entry.path)?;
        if entry.path <= last.path {
            return Err(Fault::Order);
        }
        let (parent, _) = split(&entry.path).ok_or(Fault::Path)?;
        if find(before, parent).is_none_or(|parent| parent.kind != Kind::Dir) {
            return Err(Fault::Parent);
        }
    }
    if entry.mode > 0o7777 {
        return Err(Fault::Mode);
    }
    if entry.mtime.nanos >= 1_000_000_000 {
        return Err(Fault::Time);
    }
    check_xattrs(&entry.xattrs)?;
    check_kind(before, entry)
}

fn check_path(path: &[u8]) -> Result<(), Fault> {
    let is_plain =
        |name: &[u8]| !name.is_empty() && name != b"." && name != b".." && name.len() <= MAX_NAME;
    let fits = path.len() <= MAX_PATH && !path.contains(&0);
    (fits && path.split(|&byte| byte == b'/').all(is_plain))
        .then_some(())
        .ok_or(Fault::Path)
}

fn check_xattrs(xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Fault> {
    let fits = |(name, value): &(Vec<u8>, Vec<u8>)| {
        !name.is_empty()
            && name.len() <= MAX_NAME
            && !name.contains(&0)
            && value.len() <= MAX_XATTR_VALUE
    };
    let is_sorted = xattrs.windows(2).all(|pair| pair[0].0 < pair[1].0);
    (is_sorted && xattrs.iter().all(fits))
        .then_some(())
        .ok_or(Fault::Xattr)
}

fn check_kind(before: &[Entry], entry: &Entry) -> Result<(), Fault> {
    let has_contents = entry.offset != 0 || entry.size != 0 || entry.digest.is_some();
    let is_device = matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
    let is_link = matches!(entry.kind, Kind::Symlink | Kind::Hardlink);
    if (entry.kind == Kind::File) != entry.digest.is_some()
        || (entry.kind != Kind::File && has_contents)
        || (!is_link && !entry.link.is_empty())
        || (!is_device && entry.device != (0, 0))
    {
        return Err(Fault::Fields);
    }
    match entry.kind {
        Kind::Symlink => {
            let fits = (1..=MAX_PATH).contains(&entry.link.len()) && !entry.link.contains(&0);
            fits.then_some(()).ok_or(Fault::Symlink)
        }
        Kind::Hardlink => match find(before, &entry.link) {
            Some(target) if !matches!(target.kind, Kind::Dir | Kind::Hardlink) => Ok(()),
            _ => Err(Fault::Hardlink),
        },
        _ => Ok(()),
    }
}

fn check_contents(entry: &Entry, end: &mut u64, tar_size: u64) -> Result<(), Fault> {
    if entry.kind != Kind::File {
        return Ok(());
    }
    let this_end = entry
        .offset
        .checked_add(entry.size)
        .ok_or(Fault::Contents)?;
    if entry.offset < *end || this_end > tar_size {
        return Err(Fault::Contents);
    }
    *end = this_end;
    Ok(())
}
