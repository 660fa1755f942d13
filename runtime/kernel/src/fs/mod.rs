// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file systems, and the descriptors that are no files.

pub mod anon;
pub mod dev;
pub mod devpts;
pub mod host;
pub mod inotify;
pub mod overlay;
pub mod proc;
pub mod setup;
pub mod sys;
pub mod tmpfs;
pub mod virtual_fs;
pub mod world;
