// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bundle file: assemble, open, verify, compare.
