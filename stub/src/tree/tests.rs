// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest sees is the table of contents, whatever the host's tree holds.
