// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the squash below its public entry: rules one by one, random layers
//! against a naive model, mutated archives, and archive forms byte by byte.

mod check;
mod counts;
mod forms;
mod fuzz;
mod limits;
mod model;
mod rules;
mod whole;

use std::io::Read;

use elfuse_payload::Digest;

use super::decode::Hashed;
use super::entry::{Entry, Kind, Meta};
use super::error::SquashError;
use super::limits::{Account, Limits};
use super::parse::{LayerId, Scanned, parse};
use super::tree::Tree;
use super::{SquashOptions, emit};
use crate::progress::{Progress, Quiet};

/// Metadata that tells `tag` apart.
fn meta(tag: u32) -> Meta {
    Meta {
        mode: 0o644,
        uid: tag,
        ..Meta::implicit_dir()
    }
}

fn entry(path: &str, kind: Kind, tag: u32) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        meta: meta(tag),
    }
}

fn dir(path: &str, tag: u32) -> Entry {
    entry(path, Kind::Dir, tag)
}

/// A file; fifos and files follow the same rules and need no contents.
fn file(path: &str, tag: u32) -> Entry {
    entry(path, Kind::Fifo, tag)
}

fn symlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Symlink(target.as_bytes().to_vec()), 0)
}

fn hardlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Hardlink(target.as_bytes().to_vec()), 99)
}

/// One line per name: path, owner (the tag), `*` when it is not the first name
/// of its file.
fn listing(tree: &Tree) -> Vec<String> {
    let paths = tree.paths();
    let mut lines = Vec::new();
    for (index, path) in paths.iter().enumerate().skip(1) {
        let first = paths.iter().position(|other| other.node == path.node);
        let mark = match first.filter(|&first| first < index) {
            Some(first) => format!(" = {}", paths[first].path.escape_ascii()),
            None => format!(" {}", tree.node(path.node).meta.uid),
        };
        lines.push(format!("{}{mark}", path.path.escape_ascii()));
    }
    lines
}

fn apply_all(layers: Vec<Vec<Entry>>) -> Result<Tree, super::Problem> {
    let mut tree = Tree::new();
    for (index, layer) in layers.into_iter().enumerate() {
        for entry in layer {
            tree.apply(u32::try_from(index).expect("few layers"), entry)?;
        }
    }
    Ok(tree)
}

/// Takes an archive apart as a layer of a trusted image.
fn scan(bytes: &[u8], limits: Limits) -> Result<Scanned, SquashError> {
    let id = LayerId {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        source: 0,
    };
    parse(
        Hashed::of(bytes),
        id,
        &Account::new(limits),
        &SquashOptions::default().scratch,
    )
}

fn scan_and_apply(bytes: &[u8]) -> Option<(Tree, Scanned)> {
    let mut scanned = scan(
        bytes,
        Limits {
            bytes: 16 << 20,
            ..Limits::default()
        },
    )
    .ok()?;
    let mut tree = Tree::new();
    for entry in std::mem::take(&mut scanned.entries) {
        tree.apply(0, entry).ok()?;
    }
    Some((tree, scanned))
}

/// Memory as a sink, in small pieces.
struct Memory {
    tar: Vec<u8>,
    space: [u8; 700],
}

impl Default for Memory {
    fn default() -> Self {
        let (tar, space) = (Vec::new(), [0; 700]);
        Self { tar, space }
    }
}

impl emit::Sink for Memory {
    fn space(&mut self) -> &mut [u8] {
        &mut self.space
    }

    fn advance(&mut self, count: usize) -> std::io::Result<()> {
        self.tar.extend_from_slice(&self.space[..count]);
        Ok(())
    }
}

/// The normal form of a tree.
fn emit_tar(tree: &Tree, scanned: Scanned) -> Vec<u8> {
    let mut out = Memory::default();
    let mut sources = [scanned.contents];
    let task = Quiet.task("", None);
    let emit = emit::Emit {
        tree,
        sources: &mut sources,
        epoch: None,
        task: &*task,
    };
    assert!(emit.run(&mut out).is_ok(), "emitting to memory");
    out.tar
}

fn read_all(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("memory");
    bytes
}
