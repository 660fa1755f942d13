// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Linux arm64 user-space ABI: numbers, structs, flags.
#![forbid(unsafe_code)]
