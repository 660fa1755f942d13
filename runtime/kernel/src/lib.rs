// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux semantics in safe Rust: tasks, memory, files, signals.
#![forbid(unsafe_code)]
