// SPDX-License-Identifier: MIT OR Apache-2.0
//! One image by several ways is one bundle.
