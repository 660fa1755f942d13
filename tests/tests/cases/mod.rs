// SPDX-License-Identifier: MIT OR Apache-2.0
//! The edge cases as data: layers, and what umoci makes of them.

mod forms;
mod links;
mod metadata;
mod whiteouts;

use elfuse_tests::tarball::{Member, Tarball};

/// How umoci compares.
#[derive(Debug)]
pub(crate) enum Umoci {
    /// The trees are equal.
    Agrees,
    /// Both refuse; our message contains this.
    AlsoRefuses(&'static str),
    /// umoci fails where it should not; these lines are right.
    Refuses {
        why: &'static str,
        ours: &'static [(&'static str, &'static str)],
    },
    /// umoci makes another tree; these lines are right.
    Differs {
        why: &'static str,
        ours: &'static [(&'static str, &'static str)],
    },
    /// umoci goes on where we refuse with this message.
    Accepts {
        why: &'static str,
        reason: &'static str,
    },
}

/// An image and the judgement on it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Uncompressed tars, the lowest first.
    pub(crate) layers: Vec<Vec<u8>>,
    /// Directories whose time umoci makes up: those no layer describes, and
    /// their parents.
    pub(crate) implicit: Vec<&'static str>,
    pub(crate) umoci: Umoci,
}

/// A case in which umoci is right.
fn case(name: &'static str, layers: Vec<Vec<Member>>) -> Case {
    let layers = layers
        .into_iter()
        .map(|layer| Tarball::of(layer).finish())
        .collect();
    Case {
        name,
        layers,
        implicit: Vec::new(),
        umoci: Umoci::Agrees,
    }
}

impl Case {
    fn implicit(self, implicit: &[&'static str]) -> Self {
        Self {
            implicit: implicit.to_vec(),
            ..self
        }
    }

    fn umoci(self, umoci: Umoci) -> Self {
        Self { umoci, ..self }
    }
}

/// All cases.
pub(crate) fn cases() -> Vec<Case> {
    [
        whiteouts::cases(),
        links::cases(),
        metadata::cases(),
        forms::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
