// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unmodified Linux programs in the simulator: each test runs programs of Debian's
//! arm64 packages and compares all that they print with what Linux gives, which is
//! either known or asked of the same program under `qemu-user`. Where Debian has no such
//! program, one is compiled: for musl, in Rust, in Go.

#[path = "programs/applets.rs"]
mod applets;
#[path = "programs/first.rs"]
mod first;
#[path = "programs/interpreters.rs"]
mod interpreters;
#[path = "programs/musl.rs"]
mod musl;
#[path = "programs/python_suite.rs"]
mod python_suite;
#[path = "programs/roots.rs"]
mod roots;
#[path = "programs/shells.rs"]
mod shells;
#[path = "programs/static_binaries.rs"]
mod static_binaries;
#[path = "programs/tools.rs"]
mod tools;
