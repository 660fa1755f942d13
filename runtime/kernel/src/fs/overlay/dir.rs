// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories of the overlay: merged lookup and listing, and changes of names.
//!
//! Every change takes `names`, so copy-up and whiteouts cannot interleave with
//! another change. Linux 6.12 `fs/overlayfs/{namei,dir,readdir}.c`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use linux_abi::Errno;

use super::node::{Layers, OverlayNode};
use super::{Key, OPAQUE, REDIRECT, is_opaque, is_whiteout, origin, set_xattr, xattr};
use crate::file::Caller;
use crate::vfs::{DirEntry, Directory, Inode, Kind, NewKind, NewNode};

/// A file system call on an absent name is no error but an answer.
fn found<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn dir(inode: &Arc<dyn Inode>) -> Result<&dyn Directory, Errno> {
    inode.as_dir().ok_or(Errno::ENOTDIR)
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = path.to_vec();
    joined.push(b'/');
    joined.extend_from_slice(name);
    joined
}

/// A directory of the lower layer that shows through one above.
struct Merged {
    dir: Arc<dyn Inode>,
    path: Option<Vec<u8>>,
}

impl OverlayNode {
    /// What the upper layer says about `name`: a file, a whiteout or nothing.
    fn look_above(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>, Errno> {
        match self.upper() {
            Some(upper) => found(dir(&upper)?.lookup(&self.shared.caller(), name)),
            None => Ok(None),
        }
    }

    /// What the lower layer has under `name`, whatever is above.
    fn look_below(&self, name: &[u8]) -> Result<Option<Arc<dyn Inode>>, Errno> {
        match self.lower() {
            Some(lower) => found(dir(&lower)?.lookup(&self.shared.caller(), name)),
            None => Ok(None),
        }
    }

    fn lower_path(&self) -> Option<Vec<u8>> {
        self.layers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .lower_path
            .clone()
    }

    fn child(&self, name: &[u8]) -> Result<Arc<Self>, Errno> {
        let above = self.look_above(name)?;
        if let Some(upper) = &above
            && is_whiteout(upper)?
        {
            return Err(Errno::ENOENT);
        }
        let below = self.look_below(name)?;
        let me = self.this()?;
        let Some(upper) = above else {
            let lower = below.ok_or(Errno::ENOENT)?;
            return self.child_below(&me, name, lower);
        };
        let key = Key::Upper(upper.attr()?.ino);
        self.shared.intern(key, || {
            let merged = self.merged_with(&upper, name, below)?;
            let (lower, lower_path) = match merged {
                Some(merged) => (Some(merged.dir), merged.path),
                None => (None, None),
            };
            let home = Some((me, name.into()));
            Self::make(
                &self.shared,
                Layers {
                    upper: Some(upper),
                    lower,
                    home,
                    lower_path,
                },
            )
        })
    }

    /// The lower directory that shows through `upper`, and its path.
    fn merged_with(
        &self,
        upper: &Arc<dyn Inode>,
        name: &[u8],
        below: Option<Arc<dyn Inode>>,
    ) -> Result<Option<Merged>, Errno> {
        if upper.kind() != Kind::Directory || is_opaque(upper) {
            return Ok(None);
        }
        let (lower, path) = match xattr(upper, REDIRECT) {
            Some(path) => (found(self.shared.lower_at(&path))?, Some(path)),
            None => (below, self.lower_path().map(|path| join(&path, name))),
        };
        let lower = lower.filter(|lower| lower.kind() == Kind::Directory);
        Ok(lower.map(|dir| Merged { dir, path }))
    }

    fn child_below(
        &self,
        me: &Arc<Self>,
        name: &[u8],
        lower: Arc<dyn Inode>,
    ) -> Result<Arc<Self>, Errno> {
        let key = Self::key(None, &lower)?;
        self.shared.intern(key, || {
            let is_dir = lower.kind() == Kind::Directory;
            let lower_path = self
                .lower_path()
                .filter(|_| is_dir)
                .map(|path| join(&path, name));
            let home = Some((me.clone(), name.into()));
            Self::make(
                &self.shared,
                Layers {
                    upper: None,
                    lower: Some(lower),
                    home,
                    lower_path,
                },
            )
        })
    }

    fn upper_dir(&self) -> Result<Arc<dyn Inode>, Errno> {
        match self.upper() {
            Some(upper) => Ok(upper),
            None => self.copy_up(None),
        }
    }

    /// Makes room for a new `name`: takes a whiteout away and says whether the
    /// new file will hide something below.
    fn clear_whiteout(&self, upper: &Arc<dyn Inode>, name: &[u8]) -> Result<bool, Errno> {
        match self.look_above(name)? {
            Some(above) if is_whiteout(&above)? => {
                dir(upper)?.unlink(name)?;
                Ok(true)
            }
            Some(_) => Err(Errno::EEXIST),
            None if self.look_below(name)?.is_some() => Err(Errno::EEXIST),
            None => Ok(false),
        }
    }

    fn put_whiteout(&self, upper: &Arc<dyn Inode>, name: &[u8]) -> Result<(), Errno> {
        if self.look_below(name)?.is_none() {
            return Ok(());
        }
        let node = NewNode {
            kind: NewKind::Char(0),
            perm: 0,
            uid: 0,
            gid: 0,
        };
        dir(upper)?.create(name, &node).map(drop)
    }

    /// Takes `name` out of the upper layer, if it is there, and hides what is below.
    fn hide(&self, name: &[u8], child: &Arc<Self>) -> Result<(), Errno> {
        let upper = self.upper_dir()?;
        match self.look_above(name)? {
            Some(above) if above.kind() == Kind::Directory => {
                empty_of_whiteouts(&above, &self.shared.caller())?;
                dir(&upper)?.rmdir(name)?;
            }
            Some(_) => dir(&upper)?.unlink(name)?,
            None => self.lose_lower_name(name, child)?,
        }
        self.put_whiteout(&upper, name)
    }

    /// `name`, which only the lower layer has, is about to be hidden.
    fn lose_lower_name(&self, name: &[u8], child: &Arc<Self>) -> Result<(), Errno> {
        if child.kind() != Kind::Directory {
            child.hidden_links.fetch_sub(1, Ordering::Relaxed);
            if let Some(lower) = child.lower() {
                let attr = lower.attr()?;
                if attr.nlink > 1 {
                    // The other names must go on counting from here.
                    self.shared.pin(attr.ino, child);
                }
            }
        }
        let layers = child.layers.read().unwrap_or_else(PoisonError::into_inner);
        let is_home = layers
            .home
            .as_ref()
            .is_some_and(|(dir, home)| std::ptr::eq(Arc::as_ptr(dir), self) && **home == *name);
        if is_home && layers.upper.is_none() {
            child.is_homeless.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, Errno> {
        Ok(self.list(&self.shared.caller())?.is_empty())
    }

    /// Makes the lower directory of `self` follow it to another place.
    fn redirect(&self) -> Result<(), Errno> {
        let upper = self.upper_dir()?;
        match self.lower_path() {
            Some(path) => set_xattr(&upper, REDIRECT, &path),
            None => set_xattr(&upper, OPAQUE, b"y"),
        }
    }

    fn move_home(&self, parent: &Arc<Self>, name: &[u8]) {
        let old = {
            let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
            layers.home.replace((parent.clone(), name.into()))
        };
        drop(old);
    }

    /// Prepares a file for a move: everything that moves is in the upper layer
    /// and no longer depends on the place it is at.
    fn detach(&self) -> Result<(), Errno> {
        self.upper_dir()?;
        if self.kind() == Kind::Directory {
            self.redirect()
        } else {
            Ok(())
        }
    }

    fn same_overlay(&self, other: &Arc<dyn Inode>) -> Result<Arc<Self>, Errno> {
        let other = other.downcast::<Self>().ok_or(Errno::EXDEV)?;
        if !Arc::ptr_eq(&other.shared, &self.shared) {
            return Err(Errno::EXDEV);
        }
        other.this()
    }

    /// A file whose name `name` in `self` must be in the upper layer to be moved
    /// or linked: a hard link below that was copied up under another name gets
    /// this name too.
    fn name_above(&self, name: &[u8], child: &Arc<Self>) -> Result<(), Errno> {
        child.detach()?;
        if self.look_above(name)?.is_none() {
            let upper = self.upper_dir()?;
            dir(&upper)?.link(name, &child.upper().ok_or(Errno::ESTALE)?)?;
            child.hidden_links.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn empty_of_whiteouts(upper: &Arc<dyn Inode>, caller: &Caller<'_>) -> Result<(), Errno> {
    let upper = dir(upper)?;
    for entry in upper.list(caller)? {
        if is_whiteout(&upper.lookup(caller, &entry.name)?)? {
            upper.unlink(&entry.name)?;
        }
    }
    Ok(())
}

impl Directory for OverlayNode {
    fn lookup(&self, _caller: &Caller<'_>, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.child(name).map(|node| node as Arc<dyn Inode>)
    }

    fn list(&self, _caller: &Caller<'_>) -> Result<Vec<DirEntry>, Errno> {
        let caller = self.shared.caller();
        let mut all = BTreeMap::new();
        if let Some(lower) = self.lower() {
            all.extend(
                dir(&lower)?
                    .list(&caller)?
                    .into_iter()
                    .map(|e| (e.name.clone(), e)),
            );
        }
        if let Some(upper) = self.upper() {
            let upper = dir(&upper)?;
            for mut entry in upper.list(&caller)? {
                let inode = match entry.kind {
                    Kind::Char => Some(upper.lookup(&caller, &entry.name)?),
                    _ => found(upper.lookup(&caller, &entry.name))?,
                };
                let Some(inode) = inode else { continue };
                if is_whiteout(&inode)? {
                    all.remove(&entry.name);
                } else {
                    entry.ino = origin(&inode).unwrap_or(entry.ino + super::UPPER_INO_BASE);
                    all.insert(entry.name.clone(), entry);
                }
            }
        }
        Ok(all.into_values().collect())
    }

    fn create(&self, name: &[u8], node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        // A device 0:0 would be a whiteout.
        if matches!(node.kind, NewKind::Char(0)) {
            return Err(Errno::EPERM);
        }
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let upper = self.upper_dir()?;
        let hides = self.clear_whiteout(&upper, name)?;
        let made = dir(&upper)?.create(name, node)?;
        if hides && made.kind() == Kind::Directory {
            set_xattr(&made, OPAQUE, b"y")?;
        }
        let key = Key::Upper(made.attr()?.ino);
        let home = Some((self.this()?, name.into()));
        let layers = Layers {
            upper: Some(made),
            lower: None,
            home,
            lower_path: None,
        };
        let made = self
            .shared
            .intern(key, || Self::make(&self.shared, layers))?;
        Ok(made)
    }

    fn create_unnamed(&self, node: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let made = dir(&self.upper_dir()?)?.create_unnamed(node)?;
        let key = Key::Upper(made.attr()?.ino);
        let home = Some((self.this()?, Box::default()));
        let layers = Layers {
            upper: Some(made),
            lower: None,
            home,
            lower_path: None,
        };
        let made = self
            .shared
            .intern(key, || Self::make(&self.shared, layers))?;
        Ok(made)
    }

    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.same_overlay(target)?;
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let target_upper = match target.upper() {
            Some(upper) => upper,
            None => target.copy_up(None)?,
        };
        let upper = self.upper_dir()?;
        self.clear_whiteout(&upper, name)?;
        dir(&upper)?.link(name, &target_upper)
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let child = self.child(name)?;
        if child.kind() == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        self.hide(name, &child)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let child = self.child(name)?;
        if child.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        if !child.is_empty()? {
            return Err(Errno::ENOTEMPTY);
        }
        self.hide(name, &child)
    }

    fn rename(
        &self,
        name: &[u8],
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        exchange: bool,
    ) -> Result<(), Errno> {
        let new_dir = self.same_overlay(new_dir)?;
        let _names = self
            .shared
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let me = self.this()?;
        let source = self.child(name)?;
        let target = found(new_dir.child(new_name))?;
        let (old_upper, new_upper) = (self.upper_dir()?, new_dir.upper_dir()?);
        self.name_above(name, &source)?;
        if exchange {
            let target = target.ok_or(Errno::ENOENT)?;
            new_dir.name_above(new_name, &target)?;
            dir(&old_upper)?.rename(name, &new_upper, new_name, true)?;
            source.move_home(&new_dir, new_name);
            target.move_home(&me, name);
            return Ok(());
        }
        if let Some(target) = target {
            if target.kind() == Kind::Directory {
                if !target.is_empty()? {
                    return Err(Errno::ENOTEMPTY);
                }
                new_dir.hide(new_name, &target)?;
            } else if new_dir.look_above(new_name)?.is_none() {
                new_dir.lose_lower_name(new_name, &target)?;
            }
        }
        let is_dir = source.kind() == Kind::Directory;
        if is_dir && new_dir.look_above(new_name)?.is_some() {
            // The whiteout; what moves here hides the lower name itself.
            dir(&new_upper)?.unlink(new_name)?;
        }
        dir(&old_upper)?.rename(name, &new_upper, new_name, false)?;
        source.move_home(&new_dir, new_name);
        self.put_whiteout(&old_upper, name)
    }
}
