// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry point of the command line; see [`elfuse_bundle::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    elfuse_bundle::cli::main()
}
