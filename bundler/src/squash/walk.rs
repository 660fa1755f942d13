// SPDX-License-Identifier: MIT OR Apache-2.0
//! Resolving the names layers use, inside the tree.
//!
//! Parents are walked through symbolic links as a chroot would: an absolute
//! target starts at the tree's root and `..` stops there. Names that do not exist
//! yet are kept and made directories when something is written below them, so
//! a dangling link leads where it points, as in umoci.

use super::entry::Meta;
use super::error::Problem;
use super::tree::{Body, LayerIndex, Names, Node, NodeId, Tree};

/// Linux's bound on links followed in one walk.
const MAX_LINKS: u32 = 40;
/// A bound on the names met in one walk, so that links cannot multiply it.
const MAX_STEPS: usize = 4096;
/// Linux's bounds on a path and on one name in it.
pub(crate) const PATH_MAX: usize = 4095;
const NAME_MAX: usize = 255;

/// Splits an entry's path: empty and `.` parts vanish, `..` is refused.
pub(crate) fn split(path: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    if path.contains(&0) {
        return Err(Problem::NulInName);
    }
    if path.len() > PATH_MAX {
        return Err(Problem::PathTooLong);
    }
    let mut parts = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Problem::DotDot),
            part if part.len() > NAME_MAX => return Err(Problem::NameTooLong),
            part => parts.push(part),
        }
    }
    Ok(parts)
}

/// One step of a walk that ended so far.
enum Step {
    Dir(NodeId),
    /// Not there, or below something not there.
    Missing,
    /// A file where a directory is needed.
    NotDir,
}

/// A path resolved as far as it exists.
struct Walked {
    /// Names from the root down, with what each turned out to be.
    steps: Vec<(Vec<u8>, Step)>,
}

impl Tree {
    /// The directory that `parts` leads to, or `None` if there is none.
    pub(crate) fn find_dir(&self, parts: &[&[u8]]) -> Result<Option<NodeId>, Problem> {
        let walked = self.walk(parts)?;
        Ok(match walked.steps.last() {
            None => Some(self.root()),
            Some((_, Step::Dir(id))) => Some(*id),
            Some(_) => None,
        })
    }

    /// What a path names, its parents walked through links, its last part not.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Option<NodeId>, Problem> {
        let parts = split(path)?;
        let Some((name, dirs)) = parts.split_last() else {
            return Ok(Some(self.root()));
        };
        let dir = self.find_dir(dirs)?;
        Ok(dir
            .and_then(|dir| self.lookup(dir, name))
            .map(|name| name.node))
    }

    /// The directory that `parts` leads to; missing ones are made, and belong
    /// to `layer`.
    pub(crate) fn make_dir(
        &mut self,
        parts: &[&[u8]],
        layer: LayerIndex,
    ) -> Result<NodeId, Problem> {
        let walked = self.walk(parts)?;
        // Links may lead deeper than any path in the archive is long.
        let length: usize = walked.steps.iter().map(|(name, _)| name.len() + 1).sum();
        if length > PATH_MAX {
            return Err(Problem::PathTooLong);
        }
        let mut dir = self.root();
        for (name, step) in walked.steps {
            dir = match step {
                Step::Dir(id) => id,
                Step::NotDir => return Err(Problem::ParentNotDir),
                Step::Missing if name.len() > NAME_MAX => return Err(Problem::NameTooLong),
                Step::Missing => {
                    let body = Body::Dir(Names::new());
                    let made = self.add(Node {
                        meta: Meta::implicit_dir(),
                        body,
                    });
                    self.insert(dir, &name, made, layer);
                    made
                }
            };
        }
        Ok(dir)
    }

    fn walk(&self, parts: &[&[u8]]) -> Result<Walked, Problem> {
        let mut steps: Vec<(Vec<u8>, Step)> = Vec::new();
        let mut todo: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut links = 0;
        let mut met = todo.len();
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    steps.pop();
                    continue;
                }
                _ => {}
            }
            let dir = match steps.last() {
                None => Some(self.root()),
                Some((_, Step::Dir(id))) => Some(*id),
                Some(_) => None,
            };
            let Some(found) = dir.map(|dir| self.lookup(dir, &part)) else {
                steps.push((part, Step::Missing));
                continue;
            };
            match found.map(|name| (name.node, &self.node(name.node).body)) {
                None => steps.push((part, Step::Missing)),
                Some((id, Body::Dir(_))) => steps.push((part, Step::Dir(id))),
                Some((_, Body::Symlink(target))) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Problem::LinkLoop);
                    }
                    if target.starts_with(b"/") {
                        steps.clear();
                    }
                    let before = todo.len();
                    todo.extend(target.rsplit(|&b| b == b'/').map(<[u8]>::to_vec));
                    met += todo.len() - before;
                    if met > MAX_STEPS {
                        return Err(Problem::LinkLoop);
                    }
                }
                Some(_) => steps.push((part, Step::NotDir)),
            }
        }
        Ok(Walked { steps })
    }
}
