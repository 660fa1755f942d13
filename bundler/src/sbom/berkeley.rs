// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the records of a Berkeley DB hash database, and nothing else.
//!
//! rpm kept `Packages` in this format before 4.16. A metadata page tells where
//! the buckets begin; each is a chain of hash pages, with keys and values in
//! turn, and long ones in chains of overflow pages of their own (Berkeley DB
//! 5.3, `dbinc/db_page.h`). Pages are read once each and items do not overlap,
//! so that all records together are not longer than the file.

use std::io;

use elfuse_payload::ReadAt;

use super::invalid;
use super::pages::{MAX_RECORD, Order, Pages, Record, at, cut};

const META: usize = 512;
const HASH_MAGIC: u32 = 0x0006_1561;
const BTREE_MAGIC: u32 = 0x0005_3162;
/// Those that differ in nothing that is read here.
const VERSIONS: std::ops::RangeInclusive<u32> = 8..=10;
/// Among the flags of a hash database: it holds further ones.
const SUBDATABASES: u32 = 2;
const SPARES: usize = 32;

const PAGE_HEADER: usize = 26;
const HASH_PAGES: [u8; 2] = [2, 13];
const OVERFLOW_PAGES: [u8; 1] = [7];

const ON_PAGE: u8 = 1;
const DUPLICATES: [u8; 2] = [2, 4];
const OFF_PAGE: u8 = 3;

/// The key of the record that counts packages.
const COUNTER: [u8; 4] = [0; 4];

/// What the metadata page says.
struct Meta {
    order: Order,
    page_size: usize,
    last_page: u32,
    last_bucket: u32,
    /// What to add to a bucket's number, by the length of that number in bits.
    spares: [u32; SPARES],
}

struct Database<'f, R> {
    meta: Meta,
    pages: Pages<'f, R>,
}

/// Hands the header of every package to `record`.
pub(super) fn scan(file: &impl ReadAt, record: Record<'_>) -> io::Result<()> {
    let meta = Meta::read(file)?;
    let mut database = Database {
        pages: Pages::new(file, meta.page_size),
        meta,
    };
    for bucket in 0..=database.meta.last_bucket {
        let first = database.meta.first_page(bucket);
        let mut next = first.ok_or_else(|| at("bucket", bucket)(cut()))?;
        while next != 0 {
            let number = next;
            next = database
                .bucket_page(number, record)
                .map_err(at("page", number))?;
        }
    }
    Ok(())
}

impl Meta {
    fn read(file: &impl ReadAt) -> io::Result<Self> {
        let mut page = [0; META];
        file.read_exact_at(&mut page, 0)?;
        let orders = [Order::Little, Order::Big].into_iter();
        let of = |magic| {
            let mut orders = orders.clone();
            orders.find(|order| order.u32(&page, 12).is_ok_and(|found| found == magic))
        };
        if of(BTREE_MAGIC).is_some() {
            return Err(invalid("a Berkeley DB b-tree, where a hash is expected"));
        }
        let order = of(HASH_MAGIC).ok_or_else(|| invalid("not a Berkeley DB database"))?;
        let [version, page_size] = order.words(&page[16..])?;
        let (is_encrypted, flags) = (page[24] != 0, page[26]);
        if !VERSIONS.contains(&version) {
            return Err(invalid("its version is not supported"));
        }
        if is_encrypted || flags != 0 || order.u32(&page, 48)? & SUBDATABASES != 0 {
            let what = "encryption, checksums of pages, parts and subdatabases are not supported";
            return Err(invalid(what));
        }
        if !page_size.is_power_of_two() || !(512..=1 << 16).contains(&page_size) {
            return Err(invalid("invalid page size"));
        }
        Ok(Self {
            order,
            page_size: usize::try_from(page_size).map_err(|_| cut())?,
            last_page: order.u32(&page, 32)?,
            last_bucket: order.u32(&page, 72)?,
            spares: order.words(&page[96..])?,
        })
    }

    fn first_page(&self, bucket: u32) -> Option<u32> {
        let bits = u32::BITS - bucket.leading_zeros();
        let spare = self.spares.get(usize::try_from(bits).ok()?)?;
        bucket.checked_add(*spare)
    }
}

impl<R: ReadAt> Database<'_, R> {
    /// Reads the records of a hash page and tells which one comes next.
    fn bucket_page(&mut self, number: u32, record: Record<'_>) -> io::Result<u32> {
        let page = self.page(number, &HASH_PAGES)?;
        let items = items(&page, self.meta.order)?;
        let (pairs, rest) = items.as_chunks();
        for [key, value] in pairs {
            let (key, value) = (self.value(key)?, self.value(value)?);
            if key.len() != COUNTER.len() {
                return Err(invalid("a key is no number"));
            }
            if key != COUNTER {
                record(&value)?;
            }
        }
        if !rest.is_empty() {
            return Err(invalid("a key has no value"));
        }
        self.next(&page)
    }

    fn page(&mut self, number: u32, kinds: &[u8]) -> io::Result<Vec<u8>> {
        if number == 0 || number > self.meta.last_page {
            return Err(invalid("there is no such page"));
        }
        let page = self.pages.take(number)?;
        if self.meta.order.u32(&page, 8)? != number || !kinds.contains(&page[25]) {
            return Err(invalid("it is of another kind or another page"));
        }
        Ok(page)
    }

    fn next(&self, page: &[u8]) -> io::Result<u32> {
        self.meta.order.u32(page, 16)
    }

    /// A key or a value, from wherever it lies.
    fn value(&mut self, item: &[u8]) -> io::Result<Vec<u8>> {
        match item[0] {
            ON_PAGE => Ok(item[1..].to_vec()),
            OFF_PAGE => {
                let [first, length] = self.meta.order.words(item.get(4..).ok_or_else(cut)?)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.chain(first, length)
            }
            kind if DUPLICATES.contains(&kind) => Err(invalid("a key has several values")),
            _ => Err(invalid("an item is of an unknown kind")),
        }
    }

    fn chain(&mut self, first: u32, length: usize) -> io::Result<Vec<u8>> {
        if length > MAX_RECORD {
            return Err(invalid("a record is longer than 64 MiB"));
        }
        let mut value = Vec::new();
        let mut next = first;
        while value.len() < length {
            let number = next;
            let page = self
                .page(number, &OVERFLOW_PAGES)
                .map_err(at("page", number))?;
            let count = usize::from(self.meta.order.u16(&page, 22)?);
            let part = page.get(PAGE_HEADER..PAGE_HEADER + count);
            let part = part.filter(|part| value.len() + part.len() <= length);
            value.extend_from_slice(part.ok_or_else(cut).map_err(at("page", number))?);
            next = self.next(&page)?;
        }
        Ok(value)
    }
}

/// The items of a page, which lie from its end downwards.
fn items(page: &[u8], order: Order) -> io::Result<Vec<&[u8]>> {
    let count = usize::from(order.u16(page, 20)?);
    let index = PAGE_HEADER + 2 * count;
    let mut end = page.len();
    let mut items = Vec::new();
    for n in 0..count {
        let start = usize::from(order.u16(page, PAGE_HEADER + 2 * n)?);
        if start < index || start >= end {
            return Err(invalid("its items overlap"));
        }
        items.push(&page[start..end]);
        end = start;
    }
    Ok(items)
}
