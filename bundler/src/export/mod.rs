// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a bundle's image in formats other tools read.
