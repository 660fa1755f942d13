// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extended attributes of an image's files: read from the host, or from the table
//! of contents that stands for it, and never changed.

use elfuse_machine::host::HostXattrs;
use linux_abi::Errno;

use super::node::HostInode;
use crate::vfs::{Inode, Kind, XattrSet, Xattrs};

impl HostInode {
    fn xattrs(&self) -> Result<HostXattrs, Errno> {
        let xattrs = if self.kind() == Kind::Directory {
            self.handle()?.xattrs(None)
        } else {
            let place = self.place()?;
            place.dir.handle()?.xattrs(Some(&place.name))
        };
        match xattrs {
            // A host without attributes stores files that have none.
            Err(Errno::EOPNOTSUPP) => Ok(Vec::new()),
            xattrs => xattrs,
        }
    }
}

impl Xattrs for HostInode {
    fn get(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let all = self.xattrs()?;
        let found = all.into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).ok_or(Errno::ENODATA)
    }

    fn set(&self, _name: &[u8], _value: &[u8], _how: XattrSet) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }

    fn list(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(self.xattrs()?.into_iter().map(|(name, _)| name).collect())
    }

    fn remove(&self, _name: &[u8]) -> Result<(), Errno> {
        Err(Errno::EROFS)
    }
}
