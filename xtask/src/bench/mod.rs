// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench ...`: the numbers that docs/budgets.md promises, measured
//! side by side with other people's programs on the same data, in one run.

pub(crate) mod bundle;
mod image;
mod measure;
pub(crate) mod runtime;
pub(crate) mod start;
