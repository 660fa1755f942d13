// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry point.

fn main() {}
