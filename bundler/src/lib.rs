// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns a container image into one signed macOS executable.
#![forbid(unsafe_code)]
