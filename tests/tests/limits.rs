// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest can take: a long run leaves no more behind than a short one, and a
//! program that wants everything gets what its limits say, and never the host's.

#[path = "limits/hogs.rs"]
mod hogs;
#[path = "limits/leaks.rs"]
mod leaks;
