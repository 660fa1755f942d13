// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload format from the outside, one module per subject.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod extraction;
mod fuzz;
mod golden;
mod layers;
