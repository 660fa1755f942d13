// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes to the squashed tree the user asked for.
