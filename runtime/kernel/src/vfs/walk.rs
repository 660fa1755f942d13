// SPDX-License-Identifier: MIT OR Apache-2.0
//! Path resolution (`fs/namei.c`).
//!
//! [`Walk`] is a state machine: [`Walk::advance`] goes to the parent of the last
//! component; the operation looks the last name up (or creates it), and
//! [`Walk::follow`] continues through a symbolic link. Links are expanded on an
//! explicit stack, never by recursion. `..` stops at the walk's root, whatever
//! is renamed meanwhile: going up is always by dentry, never by text.
//! Linux 6.12, including `openat2`'s `RESOLVE_*` flags.

use std::sync::Arc;

use bitflags::bitflags;
use linux_abi::Errno;
use linux_abi::fcntl::Resolve;

use crate::file::{Caller, FsContext};
use crate::vfs::{Access, Dentry, Kind, Link, Location, Namespace, may_access};

/// Symbolic links followed in one walk.
const MAX_LINKS: u32 = 40;

bitflags! {
    /// How the last component is treated.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WalkFlags: u32 {
        /// Follow a symbolic link in the last component.
        const FOLLOW = 1;
        /// The result must be a directory.
        const DIRECTORY = 2;
    }
}

/// The last component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// An ordinary name.
    Name(Vec<u8>),
    /// `.`: the place the walk is at.
    Dot,
    /// `..`: the walk went up already.
    DotDot,
    /// The path was nothing but slashes.
    Root,
}

struct Piece {
    path: Vec<u8>,
    pos: usize,
}

/// A path resolution under way.
pub struct Walk<'a> {
    caller: &'a Caller<'a>,
    namespace: &'a Namespace,
    root: Location,
    at: Location,
    anchor: Location,
    stack: Vec<Piece>,
    links: u32,
    resolve: Resolve,
    has_trailing_slash: bool,
}

impl<'a> Walk<'a> {
    /// Starts a walk of `path` at `start` (used when the path is relative).
    ///
    /// # Errors
    /// `ENOENT` for an empty path, `EXDEV` for an absolute one with
    /// `RESOLVE_BENEATH`.
    pub fn new(
        caller: &'a Caller<'a>,
        fs: &'a FsContext,
        start: Location,
        path: &[u8],
        resolve: Resolve,
    ) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        let root = if resolve.contains(Resolve::IN_ROOT) {
            start.clone()
        } else {
            fs.root()
        };
        let mut walk = Self {
            caller,
            namespace: fs.namespace(),
            root,
            anchor: start.clone(),
            at: start,
            stack: Vec::new(),
            links: 0,
            resolve,
            has_trailing_slash: false,
        };
        walk.push(path.to_vec())?;
        Ok(walk)
    }

    /// Where the walk is: after `advance` returned a name, its directory.
    #[must_use]
    pub fn at(&self) -> &Location {
        &self.at
    }

    /// Did a slash follow the last name? Then only a directory will do.
    #[must_use]
    pub fn has_trailing_slash(&self) -> bool {
        self.has_trailing_slash
    }

    /// The mounts that are walked.
    #[must_use]
    pub fn namespace(&self) -> &'a Namespace {
        self.namespace
    }

    fn push(&mut self, path: Vec<u8>) -> Result<(), Errno> {
        if path.first() == Some(&b'/') {
            if self.resolve.contains(Resolve::BENEATH) {
                return Err(Errno::EXDEV);
            }
            self.check_device(&self.root)?;
            self.at = self.root.clone();
        }
        self.stack.push(Piece { path, pos: 0 });
        Ok(())
    }

    fn check_device(&self, to: &Location) -> Result<(), Errno> {
        let crosses = !Arc::ptr_eq(&to.mount, &self.at.mount);
        if crosses && self.resolve.contains(Resolve::NO_XDEV) {
            Err(Errno::EXDEV)
        } else {
            Ok(())
        }
    }

    /// The next component of the stacked paths, and whether it is the last.
    fn next_component(&mut self) -> Option<(Vec<u8>, bool)> {
        while let Some(piece) = self.stack.last_mut() {
            let rest = &piece.path[piece.pos..];
            let Some(start) = rest.iter().position(|&b| b != b'/') else {
                self.stack.pop();
                continue;
            };
            let rest = &rest[start..];
            let len = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
            let name = rest[..len].to_vec();
            piece.pos += start + len;
            return Some((name, self.is_exhausted()));
        }
        None
    }

    fn is_exhausted(&self) -> bool {
        self.stack
            .iter()
            .all(|piece| piece.path[piece.pos..].iter().all(|&b| b == b'/'))
    }

    /// Goes to the directory of the last component, following links on the way.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, `EXDEV`.
    pub fn advance(&mut self) -> Result<Last, Errno> {
        loop {
            let Some((name, is_last)) = self.next_component() else {
                return Ok(Last::Root);
            };
            self.search_permission()?;
            if is_last && self.stack.iter().any(|p| p.pos < p.path.len()) {
                self.has_trailing_slash = true;
            }
            match name.as_slice() {
                b"." if is_last => return Ok(Last::Dot),
                b"." => continue,
                b".." => {
                    self.go_up()?;
                    if is_last {
                        return Ok(Last::DotDot);
                    }
                    continue;
                }
                _ if is_last => return Ok(Last::Name(name)),
                _ => {}
            }
            let child = self.lookup(&name)?;
            if child.inode().kind() == Kind::Symlink {
                self.follow(&child)?;
            } else if child.inode().as_dir().is_some() {
                self.at = child;
            } else {
                return Err(Errno::ENOTDIR);
            }
        }
    }

    fn search_permission(&self) -> Result<(), Errno> {
        if self.at.inode().as_dir().is_none() {
            return Err(Errno::ENOTDIR);
        }
        may_access(self.caller.cred, &self.at.inode().attr()?, Access::EXEC)
    }

    fn go_up(&mut self) -> Result<(), Errno> {
        let scoped = Resolve::BENEATH | Resolve::IN_ROOT;
        if self.resolve.intersects(scoped) && self.at.is_same(&self.anchor) {
            return if self.resolve.contains(Resolve::BENEATH) {
                Err(Errno::EXDEV)
            } else {
                Ok(())
            };
        }
        if self.at.is_same(&self.root) {
            return Ok(());
        }
        if let Some(up) = self.at.up() {
            let up = self.namespace.cross_down(up);
            self.check_device(&up)?;
            self.at = up;
        }
        Ok(())
    }

    /// Looks `name` up in the directory the walk is at, without following it.
    ///
    /// # Errors
    /// `ENOENT`, `ENAMETOOLONG`, `EXDEV`.
    pub fn lookup(&self, name: &[u8]) -> Result<Location, Errno> {
        self.enter(self.at.dentry.lookup(self.caller, name)?)
    }

    /// The place of a child of the directory the walk is at, across mounts.
    ///
    /// # Errors
    /// `EXDEV`.
    pub(super) fn enter(&self, child: Arc<Dentry>) -> Result<Location, Errno> {
        let child = self.namespace.cross_down(self.at.with(child));
        self.check_device(&child)?;
        Ok(child)
    }

    /// Continues through the symbolic link `link`. A magic link ends the walk
    /// at once when nothing is left of the path: then its target is returned.
    ///
    /// # Errors
    /// `ELOOP` after 40 links or when links are refused, `ENOENT` for an empty
    /// link, `EACCES`.
    pub fn follow(&mut self, link: &Location) -> Result<Option<Location>, Errno> {
        self.links += 1;
        if self.links > MAX_LINKS || self.resolve.contains(Resolve::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        match link.inode().follow(self.caller)? {
            Link::Path(path) if path.is_empty() => Err(Errno::ENOENT),
            Link::Path(path) => self.push(path).map(|()| None),
            Link::Place(place) => {
                if self.resolve.contains(Resolve::NO_MAGICLINKS) {
                    return Err(Errno::ELOOP);
                }
                if self.resolve.intersects(Resolve::BENEATH | Resolve::IN_ROOT) {
                    return Err(Errno::EXDEV);
                }
                self.check_device(&place)?;
                if self.is_exhausted() {
                    return Ok(Some(place));
                }
                self.at = place;
                Ok(None)
            }
        }
    }

    /// Resolves the whole path.
    ///
    /// # Errors
    /// As `advance`; `ENOTDIR` when a directory is asked for by flag or by a
    /// trailing slash.
    pub fn finish(&mut self, flags: WalkFlags) -> Result<Location, Errno> {
        let found = loop {
            let name = match self.advance()? {
                Last::Name(name) => name,
                Last::Dot | Last::DotDot | Last::Root => break self.at.clone(),
            };
            let child = self.lookup(&name)?;
            let wants_target = flags.contains(WalkFlags::FOLLOW) || self.has_trailing_slash;
            if child.inode().kind() != Kind::Symlink || !wants_target {
                break child;
            }
            if let Some(place) = self.follow(&child)? {
                break place;
            }
        };
        let wants_dir = flags.contains(WalkFlags::DIRECTORY) || self.has_trailing_slash;
        if wants_dir && found.inode().as_dir().is_none() {
            return Err(Errno::ENOTDIR);
        }
        Ok(found)
    }
}
