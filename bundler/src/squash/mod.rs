// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applies layers in order into one tree and emits one deterministic tar.
