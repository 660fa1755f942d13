// SPDX-License-Identifier: MIT OR Apache-2.0
//! The on-disk format of a bundle's payload.
#![forbid(unsafe_code)]
