// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory shared through fork: `MAP_SHARED | MAP_ANONYMOUS`, System V segments.
//!
//! [`SharedMemory`] is a sparse array of pages that appear when they are touched
//! and live as long as somebody has the object mapped.

use std::collections::BTreeMap;
use std::sync::Arc;

use elfuse_machine::{Frame, Machine};

use super::{MapError, Mappable, Page};
use crate::sync::{Rank, Ranked};

/// Anonymous memory that several address spaces may map.
pub struct SharedMemory {
    machine: Arc<Machine>,
    pages: u64,
    frames: Ranked<BTreeMap<u64, Frame>>,
}

impl SharedMemory {
    /// `pages` pages of zeros.
    #[must_use]
    pub fn new(machine: &Arc<Machine>, pages: u64) -> Arc<Self> {
        let frames = Ranked::new(Rank::SharedPages, BTreeMap::new());
        Arc::new(Self {
            machine: Arc::clone(machine),
            pages,
            frames,
        })
    }
}

impl Mappable for SharedMemory {
    fn page(&self, page_index: u64, _for_write: bool) -> Result<Page, MapError> {
        if page_index >= self.pages {
            return Err(MapError::Bus);
        }
        let mut frames = self.frames.lock();
        if let Some(frame) = frames.get(&page_index) {
            return Ok(Page::Anon(frame.clone()));
        }
        let frame = self
            .machine
            .alloc_frame_zeroed()
            .map_err(|_| MapError::OutOfMemory)?;
        frames.insert(page_index, frame.clone());
        Ok(Page::Anon(frame))
    }
}
