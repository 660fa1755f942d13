// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software bill of materials from package databases.
