// SPDX-License-Identifier: MIT OR Apache-2.0
//! A selected image: manifest, configuration and verified layers.
