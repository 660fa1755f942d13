// SPDX-License-Identifier: MIT OR Apache-2.0
//! Berkeley DB: two buckets of small pages, in both byte orders, with chains
//! of hash pages and of overflow pages. The format has no checksums, so that a
//! flipped bit may be one in a package's name.

use super::rpm::{flipped, header, names, put, refusal};
use crate::sbom::pages::Order;
use crate::sbom::rpm::Format;

const SIZE: usize = 512;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;

struct Writer {
    order: Order,
    pages: Vec<Vec<u8>>,
}

impl Writer {
    /// An empty database: the metadata, and a page for each bucket.
    fn new(order: Order) -> Self {
        let mut writer = Self {
            order,
            pages: vec![vec![0; SIZE]],
        };
        let meta = &mut writer.pages[0];
        // Magic number, version, page size, last bucket, spares of both.
        for (at, word) in [
            (12, 0x61561),
            (16, 9),
            (20, SIZE),
            (72, 1),
            (96, 1),
            (100, 1),
        ] {
            put(meta, at, order, word);
        }
        meta[25] = 8;
        for _ in 0..2 {
            writer.page(HASH);
        }
        writer
    }

    fn page(&mut self, kind: u8) -> usize {
        let number = self.pages.len();
        let mut page = vec![0; SIZE];
        put(&mut page, 8, self.order, number);
        page[25] = kind;
        self.pages.push(page);
        self.put16(number, 22, SIZE);
        put(&mut self.pages[0], 32, self.order, number);
        number
    }

    fn put16(&mut self, page: usize, at: usize, word: usize) {
        let word = u16::try_from(word).unwrap();
        let word = match self.order {
            Order::Little => word.to_le_bytes(),
            Order::Big => word.to_be_bytes(),
        };
        self.pages[page][at..at + 2].copy_from_slice(&word);
    }

    fn get16(&self, page: usize, at: usize) -> usize {
        usize::from(self.order.u16(&self.pages[page], at).unwrap())
    }

    /// A key or value as it stands in a hash page.
    fn item(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < SIZE / 4 {
            return [&[1], bytes].concat();
        }
        let numbers = bytes.chunks(SIZE - 26).map(|part| {
            let number = self.page(OVERFLOW);
            self.put16(number, 22, part.len());
            self.pages[number][26..26 + part.len()].copy_from_slice(part);
            number
        });
        let numbers: Vec<usize> = numbers.collect();
        for pair in numbers.windows(2) {
            put(&mut self.pages[pair[0]], 16, self.order, pair[1]);
        }
        let mut item = vec![3; 12];
        put(&mut item, 4, self.order, numbers[0]);
        put(&mut item, 8, self.order, bytes.len());
        item
    }

    fn add(&mut self, key: usize, value: &[u8]) {
        let mut word = [0; 4];
        put(&mut word, 0, self.order, key);
        let items = [self.item(&word), self.item(value)];
        let mut page = 1 + key % 2;
        loop {
            let next = self.order.u32(&self.pages[page], 16).unwrap();
            match usize::try_from(next).unwrap() {
                0 => break,
                next => page = next,
            }
        }
        let count = self.get16(page, 20);
        let room = self.get16(page, 22) - 26 - 2 * count;
        if room < items.concat().len() + 4 {
            let full = page;
            page = self.page(HASH);
            put(&mut self.pages[full], 16, self.order, page);
        }
        for item in items {
            let (count, end) = (self.get16(page, 20), self.get16(page, 22));
            let start = end - item.len();
            self.pages[page][start..end].copy_from_slice(&item);
            self.put16(page, 26 + 2 * count, start);
            self.put16(page, 20, count + 1);
            self.put16(page, 22, start);
        }
    }

    fn file(&self) -> Vec<u8> {
        self.pages.concat()
    }
}

const EXPECTED: [&str; 9] = ["p8", "p2", "p4", "p6", "p1", "p3", "p5", "p7", "p9"];

/// Bucket 0 is a chain of two pages, and value 8 of three.
fn database(order: Order) -> Vec<u8> {
    let mut writer = Writer::new(order);
    writer.add(8, &header("p8", &"x".repeat(1100)));
    writer.add(0, &[0xff; 4]);
    for key in 1..=9 {
        if key != 8 {
            writer.add(key, &header(&format!("p{key}"), "on the page"));
        }
    }
    writer.file()
}

#[test]
fn packages_of_both_byte_orders_are_found_and_the_counter_is_none() {
    for order in [Order::Little, Order::Big] {
        let found = names(Format::Berkeley, &database(order)).unwrap();
        assert_eq!(found, EXPECTED, "{order:?}");
    }
}

#[test]
fn berkeley_that_ends_too_early_is_refused_at_every_length() {
    let file = database(Order::Little);
    for length in 0..file.len() {
        let short = names(Format::Berkeley, &file[..length]);
        assert!(short.is_err(), "{length}");
    }
}

#[test]
fn flipped_bits_add_no_packages() {
    for (at, bytes) in flipped(&database(Order::Little)) {
        let found = names(Format::Berkeley, &bytes).unwrap_or_default();
        assert!(found.len() <= EXPECTED.len(), "{at}: {found:?}");
    }
}

#[test]
fn refusal_of_berkeley_says_where_and_why() {
    let refused = |at: usize, word: usize| {
        let mut file = database(Order::Little);
        put(&mut file, at, Order::Little, word);
        refusal(Format::Berkeley, &file)
    };
    assert_eq!(refused(12, 1), "not a Berkeley DB database");
    assert!(refused(12, 0x53162).contains("b-tree"));
    assert!(refused(16, 7).contains("version"));
    assert_eq!(refused(20, 768), "invalid page size");
    // The algorithm of encryption, the flag of checksums, that of subdatabases.
    for (at, word) in [(24, 0x0801), (24, 0x1_0800), (48, 2)] {
        assert!(refused(at, word).contains("not supported"), "{at}");
    }
    assert_eq!(refused(72, 0xffff_ffff), "page 2: it is used twice");
    assert_eq!(refused(96, 9_000), "page 9000: there is no such page");
    // The places of the first page's items, and how many there are.
    let overlap = 507 << 16 | 507;
    assert_eq!(refused(SIZE + 26, overlap), "page 1: its items overlap");
    assert_eq!(refused(SIZE + 20, 1), "page 1: a key has no value");
    // The first bucket's chain goes on in itself, and in the second bucket.
    assert_eq!(refused(SIZE + 16, 1), "page 1: it is used twice");
    assert_eq!(refused(SIZE + 16, 2), "page 2: it is used twice");
    // The first value's chain leads back, and its first page is a hash page.
    assert_eq!(
        refused(3 * SIZE + 16, 3),
        "page 1: page 3: it is used twice"
    );
    let kind = "page 1: page 2: it is of another kind or another page";
    assert_eq!(refused(2 * SIZE - 5 - 12 + 4, 2), kind);
    let long = "page 1: a record is longer than 64 MiB";
    assert_eq!(refused(2 * SIZE - 5 - 12 + 8, 1 << 27), long);
    let mut writer = Writer::new(Order::Big);
    writer.add(2, &header(&"n".repeat(70_000), ""));
    let nameless = "page 1: a package has no name or version";
    assert_eq!(refusal(Format::Berkeley, &writer.file()), nameless);
}
