// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client of the OCI distribution protocol.
