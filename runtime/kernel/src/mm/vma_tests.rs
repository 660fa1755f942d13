// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of areas against a model with one entry per page.

use linux_abi::mman::ProtFlags;
use proptest::prelude::*;

use super::{Vma, VmaFlags, VmaMap};
use crate::mm::PAGE;

const PAGES: u64 = 40;

fn index(page: u64) -> usize {
    usize::try_from(page).expect("a page of the model")
}

fn area(pages: std::ops::Range<u64>, prot: u64) -> Vma {
    Vma {
        start: pages.start * PAGE,
        end: pages.end * PAGE,
        prot: ProtFlags::from_bits_retain(prot),
        flags: VmaFlags::empty(),
        backing: None,
    }
}

fn agrees(map: &VmaMap, model: &[Option<u64>]) {
    for (page, want) in (0u64..).zip(model) {
        let have = map.find(page * PAGE + 5).map(|vma| vma.prot.bits());
        assert_eq!(have, *want, "page {page}");
    }
    let mapped = model.iter().flatten().count() as u64;
    assert_eq!(map.total(), mapped * PAGE);
    let runs = model
        .iter()
        .enumerate()
        .filter(|(i, page)| page.is_some() && (*i == 0 || model[i - 1] != **page))
        .count();
    assert_eq!(
        map.len(),
        runs,
        "neighbours that do not differ are one area"
    );
}

proptest! {
    #[test]
    fn map_agrees_with_a_page_per_entry(
        steps in prop::collection::vec((0u8..4, 0..PAGES, 1u64..8, 0u64..3), 1..80)
    ) {
        let mut map = VmaMap::default();
        let mut model: Vec<Option<u64>> = vec![None; index(PAGES)];
        for (what, start, len, prot) in steps {
            let end = (start + len).min(PAGES);
            let range = start * PAGE..end * PAGE;
            let pages = index(start)..index(end);
            match what {
                0 | 1 => {
                    map.remove(range);
                    map.insert(area(start..end, prot));
                    model[pages].fill(Some(prot));
                }
                2 => {
                    let removed = map.remove(range);
                    let bytes: u64 = removed.iter().map(Vma::len).sum();
                    let had = model[pages.clone()].iter().flatten().count() as u64;
                    prop_assert_eq!(bytes, had * PAGE);
                    model[pages].fill(None);
                }
                _ => {
                    map.update(range, |vma| vma.prot = ProtFlags::from_bits_retain(prot));
                    model[pages].iter_mut().flatten().for_each(|page| *page = prot);
                }
            }
            agrees(&map, &model);
        }
    }

    #[test]
    fn free_range_is_the_highest_one(
        used in prop::collection::vec((0..PAGES, 1u64..5), 0..12),
        len in 1u64..6,
    ) {
        let mut map = VmaMap::default();
        let mut model = vec![false; index(PAGES)];
        for (start, count) in used {
            let end = (start + count).min(PAGES);
            map.remove(start * PAGE..end * PAGE);
            map.insert(area(start..end, 1));
            model[index(start)..index(end)].fill(true);
        }
        let want = (0..=PAGES - len)
            .rev()
            .find(|&at| model[index(at)..index(at + len)].iter().all(|used| !used));
        let have = map.find_free(len * PAGE, 0..PAGES * PAGE);
        prop_assert_eq!(have, want.map(|page| page * PAGE));
    }
}

#[test]
fn covers_needs_every_page() {
    let mut map = VmaMap::default();
    map.insert(area(0..2, 1));
    map.insert(area(2..4, 2));
    assert!(map.covers(0..4 * PAGE));
    map.remove(PAGE..2 * PAGE);
    assert!(!map.covers(0..4 * PAGE));
    assert!(map.is_free(PAGE..2 * PAGE));
}
