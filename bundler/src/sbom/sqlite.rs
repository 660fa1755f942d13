// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the rows of one table of an SQLite file, and nothing else.
//!
//! This is the part of the file format that rpm's database needs: table b-trees
//! and overflow chains (the SQLite project's "Database File Format", sections 1
//! and 2). SQLite itself would have to be built for every host that bundles are
//! made on. Pages are read once each, so a file that refers to itself ends.

use std::io;

use elfuse_payload::ReadAt;

use super::invalid;
use super::pages::{MAX_RECORD, Order, Pages, at, cut};

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: usize = 100;
const INTERIOR_TABLE: u8 = 5;
const LEAF_TABLE: u8 = 13;
/// The byte order of the format.
const ORDER: Order = Order::Big;

/// A value of a row; numbers that nobody asks for are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column<'a> {
    Null,
    Integer(i64),
    Bytes(&'a [u8]),
    Other,
}

/// Takes the columns of one row.
pub(super) type Row<'a> = &'a mut dyn FnMut(&[Column<'_>]) -> io::Result<()>;

/// An open database.
pub(super) struct Database<'f, R> {
    file: &'f R,
    page_size: usize,
    /// Bytes of a page that are not reserved.
    usable: usize,
}

impl<'f, R: ReadAt> Database<'f, R> {
    pub(super) fn open(file: &'f R) -> io::Result<Self> {
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(MAGIC) {
            return Err(invalid("not an SQLite database"));
        }
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 1 << 16,
            size => usize::from(size),
        };
        let usable = page_size.saturating_sub(usize::from(header[20]));
        if !page_size.is_power_of_two() || page_size < 512 || usable < 480 {
            return Err(invalid("invalid page size"));
        }
        Ok(Self {
            file,
            page_size,
            usable,
        })
    }

    /// Hands every row of a table to `row`.
    pub(super) fn scan(&self, table: &str, row: Row<'_>) -> io::Result<()> {
        let mut root = None;
        self.walk(1, &mut |columns| {
            if let [
                Column::Bytes(b"table"),
                Column::Bytes(name),
                _,
                Column::Integer(page),
                ..,
            ] = columns
                && *name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
            Ok(())
        })?;
        self.walk(root.ok_or_else(|| invalid("it lacks a table"))?, row)
    }

    fn walk(&self, root: u32, row: Row<'_>) -> io::Result<()> {
        let mut pages = Pages::new(self.file, self.page_size);
        let mut next = vec![root];
        while let Some(number) = next.pop() {
            self.visit(number, &mut pages, &mut next, row)
                .map_err(at("page", number))?;
        }
        Ok(())
    }

    /// Reads the rows of a page, or which pages come next, the last one first.
    fn visit(
        &self,
        number: u32,
        pages: &mut Pages<'_, R>,
        next: &mut Vec<u32>,
        row: Row<'_>,
    ) -> io::Result<()> {
        let page = take(pages, number)?;
        // The first page begins with the file's header.
        let start = if number == 1 { HEADER } else { 0 };
        let (kind, count) = (page[start], usize::from(ORDER.u16(&page, start + 3)?));
        let cells = start + if kind == INTERIOR_TABLE { 12 } else { 8 };
        let cell = |n: usize| ORDER.u16(&page, cells + 2 * n).map(usize::from);
        match kind {
            INTERIOR_TABLE => {
                next.push(ORDER.u32(&page, start + 8)?);
                for n in (0..count).rev() {
                    next.push(ORDER.u32(&page, cell(n)?)?);
                }
            }
            LEAF_TABLE => {
                for n in 0..count {
                    let payload = self.payload(&page, cell(n)?, pages)?;
                    row(&record(&payload)?)?;
                }
            }
            _ => return Err(invalid("it is of an unknown kind")),
        }
        Ok(())
    }

    /// The row at `at`, with what lies in overflow pages.
    fn payload(&self, page: &[u8], at: usize, pages: &mut Pages<'_, R>) -> io::Result<Vec<u8>> {
        let cell = page.get(at..self.usable).ok_or_else(cut)?;
        let (length, n) = varint(cell)?;
        let (_, m) = varint(&cell[n..])?;
        let cell = &cell[n + m..];
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_RECORD {
            return Err(invalid("a row is longer than 64 MiB"));
        }
        let local = self.local(length);
        let mut payload = cell.get(..local).ok_or_else(cut)?.to_vec();
        let mut next = if local < length {
            ORDER.u32(cell, local)?
        } else {
            0
        };
        while payload.len() < length {
            let page = take(pages, next)?;
            next = ORDER.u32(&page, 0)?;
            let count = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&page[4..4 + count]);
        }
        Ok(payload)
    }

    /// How much of a row of that length lies in the leaf itself.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let wanted = least + (length - least) % (self.usable - 4);
        if wanted <= most { wanted } else { least }
    }
}

/// Takes a page by its number, which counts from 1.
fn take<R: ReadAt>(pages: &mut Pages<'_, R>, number: u32) -> io::Result<Vec<u8>> {
    let index = number.checked_sub(1);
    pages.take(index.ok_or_else(|| invalid("there is no page 0"))?)
}

/// Takes a record apart.
fn record(payload: &[u8]) -> io::Result<Vec<Column<'_>>> {
    let (size, mut at) = varint(payload)?;
    let size = usize::try_from(size).map_err(|_| cut())?;
    let types = payload.get(..size).ok_or_else(cut)?;
    let mut values = &payload[size..];
    let mut columns = Vec::new();
    while at < size {
        let (kind, n) = varint(&types[at..])?;
        at += n;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err(invalid("a column is of an unknown kind")),
            _ => (kind - 12) / 2,
        };
        let length = usize::try_from(length).map_err(|_| cut())?;
        let (value, rest) = values.split_at_checked(length).ok_or_else(cut)?;
        values = rest;
        columns.push(match kind {
            0 => Column::Null,
            8 => Column::Integer(0),
            9 => Column::Integer(1),
            1..=6 => Column::Integer(integer(value)),
            7 => Column::Other,
            _ => Column::Bytes(value),
        });
    }
    Ok(columns)
}

fn integer(bytes: &[u8]) -> i64 {
    let sign = i64::from(bytes[0].cast_signed() >> 7);
    bytes
        .iter()
        .fold(sign, |value, byte| value << 8 | i64::from(*byte))
}

/// A number of seven bits a byte, the ninth of eight; and its length.
fn varint(bytes: &[u8]) -> io::Result<(u64, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(9).enumerate() {
        if n == 8 {
            return Ok((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((value, n + 1));
        }
    }
    Err(cut())
}
