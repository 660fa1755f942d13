// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a bundle in one pass: head, payload, tail, signature.
//!
//! Bytes go to the output as they come; each block then goes to hashing threads,
//! since the digest of a page needs nothing but that page, and comes back to be
//! filled again. Memory is a few blocks whatever the payload's size. Pages that
//! were written and hashed before can be adopted.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use elfuse_payload::Digest;

use super::grow::Grown;
use super::{MachoError, PAGE, Template, sign};

/// Bytes handed to a hashing thread at once, a multiple of the page size.
const BLOCK: usize = 64 * 16384;

/// A block and the number of its first page.
type Block = (u64, Vec<u8>);
type Hashed = Vec<(u64, Vec<Digest>)>;

/// Takes the payload as a [`Write`] and makes a signed executable of it.
pub struct SignedWriter<W> {
    out: W,
    grown: Grown,
    identifier: String,
    /// Payload bytes still owed.
    missing: u64,
    /// Of full length.
    block: Vec<u8>,
    /// How much of it is.
    filled: usize,
    next_page: u64,
    hashers: Hashers,
    adopted: Hashed,
}

impl<W: Write> SignedWriter<W> {
    /// Begins a file: writes everything up to the payload, which will have
    /// `payload` bytes, a multiple of 16 KiB. `identifier` names the program
    /// in its signature.
    ///
    /// # Errors
    /// [`MachoError::TooLarge`], or what the output said.
    pub fn new(
        template: &Template,
        payload: u64,
        identifier: &str,
        threads: usize,
        out: W,
    ) -> Result<Self, MachoError> {
        let grown = template.grow(payload, identifier)?;
        let mut writer = Self {
            out,
            identifier: identifier.to_owned(),
            missing: payload,
            block: vec![0; BLOCK],
            filled: 0,
            next_page: 0,
            hashers: Hashers::start(threads).map_err(write_error)?,
            adopted: Hashed::new(),
            grown,
        };
        let head = std::mem::take(&mut writer.grown.head);
        writer.push(&head).map_err(write_error)?;
        Ok(writer)
    }

    /// Ends the file with the signature and returns the output.
    ///
    /// # Errors
    /// [`MachoError::Structure`] if the payload was shorter than announced, or
    /// what the output said.
    pub fn finish(mut self) -> Result<W, MachoError> {
        if self.missing != 0 {
            return Err(MachoError::Structure(format!(
                "the payload is {} bytes short",
                self.missing
            )));
        }
        let tail = std::mem::take(&mut self.grown.tail);
        self.push(&tail).map_err(write_error)?;
        self.flush_block().map_err(write_error)?;
        let pages = self.hashers.finish(self.adopted).map_err(write_error)?;
        let Grown {
            text_size,
            code_limit,
            ..
        } = self.grown;
        let signature = sign::build(&self.identifier, text_size, code_limit, &pages);
        debug_assert_eq!(signature.len() as u64, self.grown.signature_size);
        self.out.write_all(&signature).map_err(write_error)?;
        self.out.flush().map_err(write_error)?;
        Ok(self.out)
    }

    /// Takes all of `source` for payload, tells `read` of every step and returns
    /// how many bytes that was. Saves the copy that writing makes.
    ///
    /// # Errors
    /// What the source or the output said, or that the payload is too long.
    pub fn read_from(&mut self, source: &mut dyn Read, read: &dyn Fn(u64)) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let count = match source.read(&mut self.block[self.filled..]) {
                Ok(0) => return Ok(total),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.expect(count as u64)?;
            self.advance(count)?;
            total += count as u64;
            read(count as u64);
        }
    }

    fn expect(&mut self, payload: u64) -> io::Result<()> {
        let left = self.missing.checked_sub(payload);
        self.missing = left.ok_or_else(|| io::Error::other("the payload is too long"))?;
        Ok(())
    }

    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let space = &mut self.block[self.filled..];
            let n = bytes.len().min(space.len());
            space[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.advance(n)?;
        }
        Ok(())
    }

    fn advance(&mut self, count: usize) -> io::Result<()> {
        self.filled += count;
        if self.filled == BLOCK {
            self.flush_block()?;
        }
        Ok(())
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        self.block.truncate(std::mem::take(&mut self.filled));
        self.out.write_all(&self.block)?;
        let pages = (self.block.len() as u64).div_ceil(PAGE);
        let block = std::mem::replace(&mut self.block, self.hashers.spare());
        self.hashers.send((self.next_page, block))?;
        self.next_page += pages;
        Ok(())
    }
}

impl<W: Write + Seek> SignedWriter<W> {
    /// Takes over pages of payload that are in the output already, where the
    /// next bytes would go.
    ///
    /// # Errors
    /// `InvalidInput` if that is not where a page begins, that the payload is
    /// too long, or what the output said.
    pub fn adopt(&mut self, pages: Vec<Digest>) -> io::Result<()> {
        if !(self.filled as u64).is_multiple_of(PAGE) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let count = pages.len() as u64;
        self.expect(count * PAGE)?;
        self.flush_block()?;
        let length = i64::try_from(count * PAGE).map_err(io::Error::other)?;
        self.out.seek(SeekFrom::Current(length))?;
        self.adopted.push((self.next_page, pages));
        self.next_page += count;
        Ok(())
    }
}

impl<W: Write> Write for SignedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.expect(bytes.len() as u64)?;
        self.push(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Threads that hash the pages of blocks in any order.
struct Hashers {
    queue: Option<SyncSender<Block>>,
    /// Blocks that are hashed.
    spare: Receiver<Vec<u8>>,
    threads: Vec<JoinHandle<Hashed>>,
}

impl Hashers {
    fn start(threads: usize) -> io::Result<Self> {
        let threads = threads.clamp(1, 16);
        let (queue, blocks) = sync_channel(threads * 2);
        let blocks = Arc::new(Mutex::new(blocks));
        let (done, spare) = channel();
        let spawn = |n: usize| {
            let (blocks, done) = (Arc::clone(&blocks), done.clone());
            let name = format!("hash-{n}");
            std::thread::Builder::new()
                .name(name)
                .spawn(move || hash_blocks(&blocks, &done))
        };
        Ok(Self {
            queue: Some(queue),
            spare,
            threads: (0..threads).map(spawn).collect::<Result<_, _>>()?,
        })
    }

    /// A block of full length: one that was hashed, or a new one.
    fn spare(&self) -> Vec<u8> {
        self.spare.try_recv().unwrap_or_else(|_| vec![0; BLOCK])
    }

    fn send(&self, block: Block) -> io::Result<()> {
        let queue = self.queue.as_ref();
        let sent = queue.is_some_and(|queue| queue.send(block).is_ok());
        sent.then_some(())
            .ok_or_else(|| io::Error::other("a hashing thread ended early"))
    }

    /// The digests of all pages, in order, `all` among them.
    fn finish(mut self, mut all: Hashed) -> io::Result<Vec<Digest>> {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let hashed = thread.join();
            all.extend(hashed.map_err(|_| io::Error::other("a hashing thread panicked"))?);
        }
        all.sort_unstable_by_key(|(first, _)| *first);
        Ok(all.into_iter().flat_map(|(_, pages)| pages).collect())
    }
}

fn hash_blocks(blocks: &Mutex<Receiver<Block>>, done: &Sender<Vec<u8>>) -> Hashed {
    let mut hashed = Hashed::new();
    loop {
        let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((first, block)) = next else {
            return hashed;
        };
        let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
        hashed.push((first, Digest::of_each(block.chunks(page))));
        if block.len() == BLOCK {
            let _ = done.send(block);
        }
    }
}

fn write_error(source: io::Error) -> MachoError {
    MachoError::Io {
        action: "write",
        source,
    }
}
