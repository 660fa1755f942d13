// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest programs, image builder and end-to-end tests.

pub mod layout;
pub mod tarball;
pub mod tree;
