// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest programs, image builder and end-to-end tests. Images are made by
//! other people's tools ([`debian`], [`image`], [`tarball`], [`layout`]), served
//! by a real registry ([`registry`]) behind a front that can misbehave
//! ([`front`]), and what comes out is judged by other programs again. Guest programs
//! ([`guest`]) live in roots of packages ([`guest_root`]); small ones make [`claims`].

pub mod applications;
pub mod bundler;
pub mod claims;
pub mod compiled;
pub mod debian;
pub mod front;
pub mod guest;
pub mod guest_root;
pub mod image;
pub mod layout;
pub mod program;
pub mod python;
pub mod registry;
pub mod tarball;
pub mod tree;
pub mod watched;
pub mod workspace;
