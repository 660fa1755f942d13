// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random sequences of layers against a naive model.
//!
//! The model is the overlay view of the specification: while a layer is
//! applied it lies beside the lower layers, whiteouts delete from the lower side
//! only, and at the end both are merged. Nothing is shared with the tree.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::super::Kind;
use super::super::entry::Entry;
use super::super::error::Problem;
use super::super::tree::Tree;
use super::{entry, listing};

/// A file's identity and tag, or a directory's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    File { inode: u64, tag: u32 },
    Dir(u32),
}

type Side = BTreeMap<String, Item>;

#[derive(Default)]
struct Model {
    lower: Side,
    upper: Side,
    inodes: u64,
}

fn below(side: &Side, dir: &str) -> Vec<String> {
    let prefix = format!("{dir}/");
    side.keys()
        .filter(|path| dir.is_empty() || path.starts_with(&prefix))
        .cloned()
        .collect()
}

fn cut(side: &mut Side, path: &str) {
    side.remove(path);
    for path in below(side, path) {
        side.remove(&path);
    }
}

fn parents(path: &str) -> Vec<&str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).collect()
}

impl Model {
    fn view(&self, path: &str) -> Option<Item> {
        if let Some(item) = self.upper.get(path) {
            return Some(*item);
        }
        // A directory may exist only because of what this layer put in it.
        let implied = (!below(&self.upper, path).is_empty()).then_some(Item::Dir(0));
        self.lower.get(path).copied().or(implied)
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Problem> {
        let path = String::from_utf8(entry.path.clone()).expect("the strategy makes ASCII");
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            if dir.is_empty() || matches!(self.view(dir), Some(Item::Dir(_))) {
                for path in below(&self.lower, dir) {
                    self.lower.remove(&path);
                }
            }
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = if dir.is_empty() {
                hidden.to_owned()
            } else {
                format!("{dir}/{hidden}")
            };
            cut(&mut self.lower, &hidden);
            return Ok(());
        }
        for parent in parents(&path) {
            match self.view(parent) {
                Some(Item::File { .. }) => return Err(Problem::ParentNotDir),
                Some(Item::Dir(_)) => {}
                None => drop(self.upper.insert(parent.to_owned(), Item::Dir(0))),
            }
        }
        let tag = entry.meta.uid;
        let new = match &entry.kind {
            Kind::Dir => Item::Dir(tag),
            Kind::Hardlink(target) => {
                let target = std::str::from_utf8(target).expect("the strategy makes ASCII");
                match self.view(target) {
                    None => return Err(Problem::LinkTargetMissing),
                    Some(Item::Dir(_)) => return Err(Problem::LinkToDir),
                    Some(file) => file,
                }
            }
            _ => {
                self.inodes += 1;
                Item::File {
                    inode: self.inodes,
                    tag,
                }
            }
        };
        let is_merge = matches!((self.view(&path), new), (Some(Item::Dir(_)), Item::Dir(_)));
        if !is_merge {
            cut(&mut self.lower, &path);
            cut(&mut self.upper, &path);
        }
        self.upper.insert(path, new);
        Ok(())
    }

    fn end_layer(&mut self) {
        let upper = std::mem::take(&mut self.upper);
        self.lower.extend(upper);
        for path in self.lower.keys().cloned().collect::<Vec<_>>() {
            for parent in parents(&path) {
                self.lower.entry(parent.to_owned()).or_insert(Item::Dir(0));
            }
        }
    }

    fn listing(&self) -> Vec<String> {
        let mut first: BTreeMap<u64, &str> = BTreeMap::new();
        let line = |(path, item): (&String, &Item)| match *item {
            Item::Dir(tag) => format!("{path} {tag}"),
            Item::File { .. } => path.clone(),
        };
        let mut lines = Vec::new();
        for (path, item) in &self.lower {
            lines.push(match *item {
                Item::Dir(_) => line((path, item)),
                Item::File { inode, tag } => match first.get(&inode) {
                    Some(first) => format!("{path} = {first}"),
                    None => {
                        first.insert(inode, path);
                        format!("{path} {tag}")
                    }
                },
            });
        }
        lines
    }
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("a-")], 1..4)
        .prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let in_dir = |name: &'static str| {
        move |path: String| match path.rsplit_once('/') {
            Some((dir, _)) => format!("{dir}/{name}"),
            None => name.to_owned(),
        }
    };
    let whiteout = path().prop_map(|path| match path.rsplit_once('/') {
        Some((dir, name)) => format!("{dir}/.wh.{name}"),
        None => format!(".wh.{path}"),
    });
    prop_oneof![
        4 => (path(), 1_u32..1000).prop_map(|(path, tag)| entry(&path, Kind::Fifo, tag)),
        3 => (path(), 1_u32..1000).prop_map(|(path, tag)| entry(&path, Kind::Dir, tag)),
        2 => (path(), path())
            .prop_map(|(path, target)| entry(&path, Kind::Hardlink(target.into_bytes()), 0)),
        3 => whiteout.prop_map(|path| entry(&path, Kind::Fifo, 0)),
        1 => path().prop_map(in_dir(".wh..wh..opq")).prop_map(|path| entry(&path, Kind::Fifo, 0)),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 3000, ..Config::default() })]

    #[test]
    fn layers_squash_as_the_naive_model_says(
        layers in proptest::collection::vec(proptest::collection::vec(any_entry(), 0..12), 1..5)
    ) {
        let mut tree = Tree::new();
        let mut model = Model::default();
        for (index, layer) in layers.iter().enumerate() {
            for entry in layer {
                let number = u32::try_from(index).expect("few layers");
                let done = tree.apply(number, entry.clone());
                prop_assert_eq!(done, model.apply(entry), "{:?}", entry.path.escape_ascii());
            }
            model.end_layer();
            let listed = listing(&tree);
            prop_assert_eq!(listed, model.listing());
        }
    }
}
