// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mach-O: read, grow the payload segment, sign, verify.
