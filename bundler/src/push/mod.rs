// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uploads a bundle's image to a registry.
