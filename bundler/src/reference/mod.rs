// SPDX-License-Identifier: MIT OR Apache-2.0
//! Image reference grammar: [REGISTRY/]REPO[:TAG][@DIGEST] with Docker's short names.
