// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where images come from: one trait, verified readers only.
