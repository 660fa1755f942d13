// SPDX-License-Identifier: MIT OR Apache-2.0
//! Windows on a file of the image: its pages without a copy, shared by everybody.
//!
//! Only files that nobody changes have them: what is written through the guest would
//! have to be kept the same in two places. Where there is no window, or one was lost
//! because the file was cut short on the host, `pages.rs` reads the file.
//! docs/decisions/0030.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use elfuse_machine::host::HostFile;
use elfuse_machine::{FileWindow, WINDOW_BYTES};

use crate::mm::{FrameSource, PAGE, Page};

/// The windows of one file, by their number in it; `None` where there can be none.
#[derive(Default)]
pub(super) struct Windows {
    parts: Mutex<BTreeMap<u64, Option<FileWindow>>>,
}

impl Windows {
    /// A page of a file whose size is, and always was, `size`.
    pub(super) fn page(
        &self,
        index: u64,
        size: u64,
        frames: &FrameSource,
        open: impl FnOnce() -> Option<std::sync::Arc<dyn HostFile>>,
    ) -> Option<Page> {
        let start = index.checked_mul(PAGE).filter(|&start| start < size)?;
        let part = start / WINDOW_BYTES;
        let within = usize::try_from(start % WINDOW_BYTES / PAGE).ok()?;
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.get(&part) {
            Some(None) => return None,
            Some(Some(window)) => {
                if let Some(page) = window.page(within) {
                    return Some(Page::File(page));
                }
                if window.is_torn() {
                    parts.insert(part, None);
                    return None;
                }
            }
            None => {}
        }
        // There was none, or its place was needed for another.
        let from = part * WINDOW_BYTES;
        let made = open()
            .filter(|file| file.stat().is_ok_and(|stat| stat.size == size))
            .and_then(|file| frames.map_file(file.as_fd(), from, size - from).ok());
        let page = made.as_ref().and_then(|window| window.page(within));
        parts.insert(part, made);
        page.map(Page::File)
    }
}
