// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the Debian image of the tests, unless it is there, and prints where its layout
//! is. `cargo xtask bench start` asks for it, so that benchmarks and tests look at the
//! same image and xtask itself needs none of what makes it.

use anyhow::Result;

fn main() -> Result<()> {
    // All tools know plain layers.
    let layout = elfuse_tests::image::debian_system()?.plain;
    println!("{}", layout.display());
    Ok(())
}
