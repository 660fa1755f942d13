// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gzip files (RFC 1952) of any number of members.
//!
//! Layers are checked by the digest of what they expand to, and CRC-32 costs a
//! sixth of decompression, which is the slowest thing the squash does: so it
//! can be left out. Zeros after the last member are padding, as gzip(1) has it;
//! anything else is an error.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Flags of a member's header.
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// Whether a member's CRC-32 is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Verify,
    /// Something stronger covers the contents.
    Skip,
}

/// Decompresses what it reads.
pub(crate) struct Gunzip<R> {
    source: R,
    inflate: Decompress,
    crc: Option<Crc>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In front of a member.
    First,
    Contents,
    Between,
    End,
}

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(source: R, checksum: Checksum) -> Self {
        let crc = (checksum == Checksum::Verify).then(Crc::new);
        Self {
            source,
            inflate: Decompress::new(false),
            crc,
            state: State::First,
        }
    }

    /// Fills some of `buffer`; 0 at the end of the member.
    fn inflate(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.source.fill_buf()?;
            if input.is_empty() {
                return Err(truncated());
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(input, buffer, FlushDecompress::None);
            let status = status.map_err(|_| invalid("damaged gzip stream"))?;
            let used = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0);
            let made = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
            self.source.consume(used);
            if let Some(crc) = &mut self.crc {
                crc.update(&buffer[..made]);
            }
            if status == Status::StreamEnd {
                self.trailer()?;
                self.state = State::Between;
                return Ok(made);
            }
            if made > 0 {
                return Ok(made);
            }
            if used == 0 {
                return Err(invalid("damaged gzip stream"));
            }
        }
    }

    fn header(&mut self) -> io::Result<()> {
        let fixed: [u8; 10] = self.array()?;
        let flags = fixed[3];
        if fixed[..3] != [0x1f, 0x8b, 8] || flags & RESERVED != 0 {
            return Err(invalid("not a gzip stream"));
        }
        if flags & EXTRA != 0 {
            let length = u16::from_le_bytes(self.array()?);
            for _ in 0..length {
                self.byte()?;
            }
        }
        for flag in [NAME, COMMENT] {
            if flags & flag != 0 {
                while self.byte()? != 0 {}
            }
        }
        if flags & HEADER_CRC != 0 {
            let _: [u8; 2] = self.array()?;
        }
        self.inflate.reset(false);
        if let Some(crc) = &mut self.crc {
            crc.reset();
        }
        Ok(())
    }

    /// CRC-32 and length, both modulo 2^32.
    fn trailer(&mut self) -> io::Result<()> {
        let crc = u32::from_le_bytes(self.array()?);
        let length = u32::from_le_bytes(self.array()?);
        let is_right = self.crc.as_ref().is_none_or(|own| own.sum() == crc);
        if !is_right || u64::from(length) != self.inflate.total_out() & 0xffff_ffff {
            return Err(invalid(
                "gzip stream does not have the checksum or length it says",
            ));
        }
        Ok(())
    }

    /// Whether another member follows; zero bytes are skipped.
    fn is_more(&mut self) -> io::Result<bool> {
        loop {
            let buffer = self.source.fill_buf()?;
            match buffer.first() {
                None => return Ok(false),
                Some(0x1f) => return Ok(true),
                Some(0) => {
                    let zeros = buffer.iter().take_while(|&&b| b == 0).count();
                    self.source.consume(zeros);
                }
                Some(_) => return Err(invalid("garbage after gzip stream")),
            }
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source
            .read_exact(&mut bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => truncated(),
                _ => error,
            })?;
        Ok(bytes)
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::End => return Ok(0),
                State::Between => {
                    let is_more = self.is_more()?;
                    self.state = if is_more { State::First } else { State::End };
                }
                State::First => {
                    self.header()?;
                    self.state = State::Contents;
                }
                State::Contents => match self.inflate(buffer)? {
                    0 => {}
                    made => return Ok(made),
                },
            }
        }
    }
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "unexpected end of gzip stream",
    )
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read, Write};

    use flate2::{Compression, GzBuilder};

    use super::{Checksum, Gunzip};

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn gunzip(bytes: &[u8], checksum: Checksum) -> std::io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        let done = Gunzip::new(bytes, checksum).read_to_end(&mut whole).is_ok();
        // However the input is cut, the result is the same.
        let mut out = Vec::new();
        let source = BufReader::with_capacity(1, bytes);
        let result = Gunzip::new(source, checksum).read_to_end(&mut out);
        assert_eq!(done, result.is_ok());
        assert!(!done || whole == out);
        result.map(|_| out)
    }

    #[test]
    fn members_are_joined_and_zero_padding_ends_them() {
        let both = [member(b"one "), member(b""), member(b"two"), vec![0; 700]].concat();
        for checksum in [Checksum::Verify, Checksum::Skip] {
            assert_eq!(gunzip(&both, checksum).expect("three members"), b"one two");
        }
    }

    #[test]
    fn every_header_field_is_skipped() {
        let builder = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![7; 300]);
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(b"text").expect("memory");
        let bytes = encoder.finish().expect("memory");
        assert_eq!(gunzip(&bytes, Checksum::Verify).expect("a member"), b"text");
    }

    #[test]
    fn garbage_and_truncation_are_errors() {
        let mut bytes = member(b"contents that are cut");
        bytes.push(b'x');
        for length in 0..bytes.len() - 1 {
            assert!(
                gunzip(&bytes[..length], Checksum::Skip).is_err(),
                "{length} bytes"
            );
        }
        assert!(gunzip(&bytes, Checksum::Skip).is_err());
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed_when_checksums_are_verified() {
        let good = member(&b"some text that repeats, some text that repeats".repeat(3));
        let text = gunzip(&good, Checksum::Verify).expect("a member");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = gunzip(&bytes, Checksum::Verify) {
                assert_eq!(other, text, "bit {bit}");
            }
        }
    }

    #[test]
    fn large_contents_agree_with_another_decoder() {
        let text: Vec<u8> = (0..2_000_000_u32)
            .flat_map(|i| (i / 3).to_le_bytes())
            .collect();
        let bytes = [member(&text), member(&text[..100_001])].concat();
        let mut expected = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut expected)
            .expect("members");
        let mut out = Vec::new();
        Gunzip::new(&bytes[..], Checksum::Verify)
            .read_to_end(&mut out)
            .expect("members");
        assert!(out == expected);
    }
}
