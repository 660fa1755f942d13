// SPDX-License-Identifier: MIT OR Apache-2.0
//! The virtual file system: names, places and permissions.
//!
//! [`Inode`] is what a file system implements, [`Dentry`] one name in the tree
//! of a file system, [`Mount`] a file system at a place, [`Location`] a dentry
//! seen through a mount (Linux `struct path`) and [`Namespace`] all mounts.
//! [`Walk`] resolves paths; `ops` holds the operations on names. Nothing here
//! knows registers, guest memory or the host. Lock order: namespace, then the
//! children of a parent dentry before those of its child, then locks of file
//! systems. Linux 6.12.

mod attachments;
mod attr;
mod cred;
mod dentry;
mod dir_file;
mod inode;
mod mount;
mod open;
mod ops;
mod regular_file;
mod rename;
#[cfg(test)]
pub(crate) mod testing;
mod walk;

pub use attachments::Attachments;
pub use attr::{Attr, Clock, FsStat, Kind, SetAttr, SetTime, Timespec};
pub use cred::{Access, Capability, FsCred, may_access};
pub use dentry::Dentry;
pub use dir_file::DirFile;
pub use inode::{
    DirEntry, Directory, Fallocate, FileSystem, Inode, Link, NewKind, NewNode, Regular, XattrSet,
    Xattrs,
};
pub use mount::{Location, Mount, MountFlags, Namespace};
pub use open::{DeviceTable, OpenRequest, open, open_location};
pub use ops::{
    create_node, drop_set_id, hard_link, remove_dir, remove_file, set_attributes, truncate,
    truncate_inode, without_set_id,
};
pub(crate) use regular_file::MAX_FILE_SIZE;
pub use regular_file::RegularFile;
pub use rename::{RenameFlags, rename};
pub use walk::{Last, Walk, WalkFlags};
