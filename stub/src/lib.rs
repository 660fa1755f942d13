// SPDX-License-Identifier: MIT OR Apache-2.0
//! The macOS program that carries a bundle's payload.
