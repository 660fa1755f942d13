// SPDX-License-Identifier: GPL-2.0-only
//! Runs a bundle or a root directory on Linux through the simulator.

fn main() {}
