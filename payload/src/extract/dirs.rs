// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens directories below the root, without following links, and keeps the last
//! one open: entries come in order of their paths, so the next one is often in
//! the same directory.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};

use super::Names;
use super::names::host_name;
use crate::toc::split;

/// A path this long is walked before it gets another name: macOS allows 1023
/// bytes in one call, names have 255.
const MAX_WALK: usize = 700;

pub(super) struct Dirs<'a> {
    root: BorrowedFd<'a>,
    names: Names,
    /// The directory opened last, with its path in the layer.
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'a> Dirs<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, names: Names) -> Self {
        Self {
            root,
            names,
            last: None,
        }
    }

    /// The directory that holds `path`, and the name on the host in it.
    pub(super) fn parent<'p>(
        &mut self,
        path: &'p [u8],
    ) -> io::Result<(BorrowedFd<'_>, Cow<'p, [u8]>)> {
        let (parent, name) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
        let name = self.host_name(name);
        if self.last.as_ref().is_none_or(|(last, _)| last != parent) {
            self.last = Some((parent.to_vec(), self.open(parent)?));
        }
        let dir = self.last.as_ref().map_or(self.root, |(_, dir)| dir.as_fd());
        Ok((dir, name))
    }

    /// Opens the directory `path`.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let mut dir: Option<OwnedFd> = None;
        let mut walk = b".".to_vec();
        for name in path
            .split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
        {
            walk.push(b'/');
            walk.extend_from_slice(&self.host_name(name));
            if walk.len() > MAX_WALK {
                dir = Some(self.step(dir.as_ref(), &walk)?);
                walk.truncate(1);
            }
        }
        self.step(dir.as_ref(), &walk)
    }

    fn step(&self, from: Option<&OwnedFd>, walk: &[u8]) -> io::Result<OwnedFd> {
        let from = from.map_or(self.root, AsFd::as_fd);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(from, walk, flags, Mode::empty())?)
    }

    fn host_name<'p>(&self, name: &'p [u8]) -> Cow<'p, [u8]> {
        match self.names {
            Names::Raw => Cow::Borrowed(name),
            Names::Escaped => host_name(name),
        }
    }
}
