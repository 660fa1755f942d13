// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds tar archives byte by byte, the malformed included.
//!
//! Ordinary tar libraries refuse to write what hostile or merely odd layers
//! contain; this one writes whatever it is told. [`Member`] is one entry with
//! its extended headers, [`Tarball`] the archive.

use std::collections::BTreeMap;

/// An archive under construction.
#[derive(Debug, Clone, Default)]
pub struct Tarball(Vec<u8>);

/// One entry. Fields that ustar cannot hold go to a pax header.
#[derive(Debug, Clone)]
pub struct Member {
    name: Vec<u8>,
    flag: u8,
    contents: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: String,
    device: (u32, u32),
    pax: BTreeMap<String, Vec<u8>>,
    long_name: bool,
}

impl Member {
    fn new(name: impl AsRef<[u8]>, flag: u8) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            flag,
            contents: Vec::new(),
            link: Vec::new(),
            mode: if flag == b'5' { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            mtime: "1000000000".to_owned(),
            device: (0, 0),
            pax: BTreeMap::new(),
            long_name: false,
        }
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Self {
        Self {
            contents: contents.as_ref().to_vec(),
            ..Self::new(name, b'0')
        }
    }

    /// A directory.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'5')
    }

    /// A symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            mode: 0o777,
            ..Self::new(name, b'2')
        }
    }

    /// A hard link.
    pub fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            ..Self::new(name, b'1')
        }
    }

    /// A character (`3`) or block (`4`) device.
    pub fn device(name: impl AsRef<[u8]>, flag: u8, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(name, flag)
        }
    }

    /// A named pipe.
    pub fn fifo(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'6')
    }

    /// Another type flag.
    #[must_use]
    pub fn flag(self, flag: u8) -> Self {
        Self { flag, ..self }
    }

    /// Permission bits.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    /// Owner and group.
    #[must_use]
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..self }
    }

    /// Modification time as pax writes it.
    #[must_use]
    pub fn mtime(self, mtime: &str) -> Self {
        Self {
            mtime: mtime.to_owned(),
            ..self
        }
    }

    /// An extended attribute, spelled as star does.
    #[must_use]
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(&format!("SCHILY.xattr.{name}"), value)
    }

    /// Any pax record.
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.insert(key.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Long names in GNU's form instead of pax.
    #[must_use]
    pub fn gnu(self) -> Self {
        Self {
            long_name: true,
            ..self
        }
    }

    fn encode(mut self, out: &mut Vec<u8>) {
        for (key, flag, name) in [("path", b'L', &self.name), ("linkpath", b'K', &self.link)] {
            if name.len() > 100 && self.long_name {
                let contents = [&name[..], b"\0"].concat();
                Self {
                    contents,
                    ..Self::new("././@LongLink", flag)
                }
                .encode(out);
            } else if name.len() > 100 {
                self.pax.insert(key.to_owned(), name.clone());
            }
        }
        let seconds = self.mtime.parse::<u64>().ok();
        if seconds.is_none() {
            self.pax
                .insert("mtime".to_owned(), self.mtime.clone().into_bytes());
        }
        for (key, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id >= 1 << 21 {
                self.pax.insert(key.to_owned(), id.to_string().into_bytes());
            }
        }
        if !self.pax.is_empty() {
            let contents = pax_records(
                self.pax
                    .iter()
                    .map(|(key, value)| (key.as_str(), &value[..])),
            );
            Self {
                contents,
                ..Self::new("pax", b'x')
            }
            .encode(out);
        }
        let mut block = [0; 512];
        put(&mut block, 0, &self.name[..self.name.len().min(100)]);
        octal(&mut block, 100, 7, u64::from(self.mode));
        octal(&mut block, 108, 7, u64::from(self.uid) % (1 << 21));
        octal(&mut block, 116, 7, u64::from(self.gid) % (1 << 21));
        octal(&mut block, 124, 11, self.contents.len() as u64);
        octal(&mut block, 136, 11, seconds.unwrap_or(0));
        block[156] = self.flag;
        put(&mut block, 157, &self.link[..self.link.len().min(100)]);
        put(
            &mut block,
            257,
            if self.long_name {
                b"ustar  \0"
            } else {
                b"ustar\x0000"
            },
        );
        octal(&mut block, 329, 7, u64::from(self.device.0));
        octal(&mut block, 337, 7, u64::from(self.device.1));
        seal(&mut block);
        out.extend_from_slice(&block);
        out.extend_from_slice(&self.contents);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

impl Tarball {
    /// An empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An archive of these members.
    pub fn of(members: impl IntoIterator<Item = Member>) -> Self {
        members.into_iter().fold(Self::new(), Self::with)
    }

    /// Appends a member.
    #[must_use]
    pub fn with(mut self, member: Member) -> Self {
        member.encode(&mut self.0);
        self
    }

    /// Appends a global pax header.
    #[must_use]
    pub fn global(self, records: &[(&str, &str)]) -> Self {
        let contents = pax_records(records.iter().map(|(key, value)| (*key, value.as_bytes())));
        self.with(Member {
            contents,
            ..Member::new("global", b'g')
        })
    }

    /// Appends bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The archive with its end marker.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// Makes a block's checksum right.
pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    octal(block, 148, 6, sum);
    block[154..156].copy_from_slice(b"\0 ");
}

/// `"<length> <key>=<value>\n"` for each record.
fn pax_records<'a>(records: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length += 1;
        }
        out.extend_from_slice(format!("{length} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn put(block: &mut [u8; 512], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn octal(block: &mut [u8; 512], at: usize, digits: usize, value: u64) {
    put(block, at, format!("{value:0digits$o}").as_bytes());
}
