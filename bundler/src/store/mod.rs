// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local content-addressed store of blobs, in OCI layout.
