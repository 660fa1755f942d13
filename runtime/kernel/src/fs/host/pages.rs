// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages of a host file in guest memory, shared by everybody who maps the file.
//!
//! A page is read when it is first touched and stays while the file is known; pages of
//! files that nobody changes go when no other memory is left and nobody maps them.
//! Because it is a copy, a host file that is cut short under a mapping changes
//! nothing for the guest: no signal of the host can come of it. Files of the image have
//! windows instead (`windows.rs`), and come here when there is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use elfuse_machine::Frame;
use elfuse_machine::host::HostFile;

use crate::mm::{FrameSource, MapError, PAGE, Page};

/// Bytes of a page as an index.
const PAGE_BYTES: usize = 4096;

/// The pages of one file.
#[derive(Default)]
pub(super) struct PageCache {
    pages: Mutex<BTreeMap<u64, Frame>>,
}

/// Files with pages that can be read again.
#[derive(Default)]
pub(super) struct CleanPages {
    caches: Mutex<Vec<Weak<PageCache>>>,
}

impl CleanPages {
    pub(super) fn add(&self, cache: &Arc<PageCache>) {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if caches.len() == caches.capacity() {
            caches.retain(|weak| weak.strong_count() > 0);
        }
        caches.push(Arc::downgrade(cache));
    }

    /// Lets go of all pages that nobody maps, but for those that are in use right now:
    /// the caller may be the one who uses them.
    pub(super) fn evict(&self) {
        let Ok(caches) = self.caches.try_lock() else {
            return;
        };
        for cache in caches.iter().filter_map(Weak::upgrade) {
            if let Ok(mut pages) = cache.pages.try_lock() {
                pages.retain(|_, page| !page.is_unique());
            }
        }
    }
}

impl PageCache {
    /// Has it no page?
    pub(super) fn is_empty(&self) -> bool {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.is_empty()
    }

    /// The page with this index of a file that is `size` bytes long.
    pub(super) fn page(
        &self,
        index: u64,
        size: u64,
        file: &dyn HostFile,
        frames: &FrameSource,
    ) -> Result<Page, MapError> {
        let start = index
            .checked_mul(PAGE)
            .filter(|&s| s < size)
            .ok_or(MapError::Bus)?;
        let lock = || self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = lock().get(&index) {
            return Ok(Page::Anon(page.clone()));
        }
        // Outside of the lock, as it may take our own pages.
        let page = frames.alloc()?;
        let mut pages = lock();
        if let Some(page) = pages.get(&index) {
            return Ok(Page::Anon(page.clone()));
        }
        let mut bytes = [0; PAGE_BYTES];
        match file.read_at(&mut bytes, start) {
            // Shorter than it is known to be: somebody on the host cut it.
            Ok(0) | Err(_) => return Err(MapError::Bus),
            Ok(_) => page.write(0, &bytes),
        }
        pages.insert(index, page.clone());
        Ok(Page::Anon(page))
    }

    /// Writes through to pages that are mapped.
    pub(super) fn update(&self, start: u64, data: &[u8]) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.is_empty() {
            return;
        }
        let mut done = 0;
        while done < data.len() {
            let at = start + u64::try_from(done).unwrap_or(0);
            let offset = usize::try_from(at % PAGE).unwrap_or(0);
            let len = (PAGE_BYTES - offset).min(data.len() - done);
            if let Some(page) = pages.get(&(at / PAGE)) {
                page.write(offset, &data[done..done + len]);
            }
            done += len;
        }
    }

    /// Forgets pages behind the end.
    pub(super) fn truncate(&self, size: u64) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = pages.split_off(&size.div_ceil(PAGE));
        let tail = usize::try_from(size % PAGE).unwrap_or(0);
        if tail > 0
            && let Some(page) = pages.get(&(size / PAGE))
        {
            page.write(tail, &[0; PAGE_BYTES][tail..]);
        }
        drop(pages);
        drop(gone);
    }

    /// Writes the pages of a range back to the file.
    pub(super) fn write_back(
        &self,
        range: std::ops::Range<u64>,
        size: u64,
        file: &dyn HostFile,
    ) -> Result<(), MapError> {
        let dirty: Vec<(u64, Frame)> = {
            let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
            pages
                .range(range)
                .map(|(index, page)| (*index, page.clone()))
                .collect()
        };
        for (index, page) in dirty {
            let start = index * PAGE;
            let len = usize::try_from(size.saturating_sub(start)).unwrap_or(usize::MAX);
            let mut bytes = [0; PAGE_BYTES];
            page.read(0, &mut bytes);
            let bytes = &bytes[..len.min(PAGE_BYTES)];
            file.write_at(bytes, start).map_err(|_| MapError::Bus)?;
        }
        Ok(())
    }
}
