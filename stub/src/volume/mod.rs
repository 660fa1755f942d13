// SPDX-License-Identifier: MIT OR Apache-2.0
//! The volume that holds a Mac user's root file systems: one case-sensitive APFS
//! sparse image for all bundles, attached on demand and left attached.
//!
//! [`CacheVolume`] finds, makes, attaches, enlarges and detaches it, whatever state a
//! crash, a second start or the user's own mounting left it in. All decisions are
//! here and tested on every host; the system is behind [`DiskImages`]. Starts take
//! turns by a lock file; another program's changes show as errors that are looked into
//! again. A damaged image is set aside, never deleted: it may hold persistent data.

mod answer;
mod error;
mod hdiutil;
mod images;
mod places;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::VolumeError;
pub use hdiutil::Hdiutil;
pub use images::{Attachment, Detach, DiskImages, ImageError, Space};
use places::{foreign, host, remove_tree};

/// What an image can grow to at first: sparse, so it costs nothing. Images of up to
/// 100 GB give deleted space back by themselves.
const CAPACITY: u64 = 64 << 30;

/// How often something that may pass is tried.
const TRIES: u32 = 8;

/// How many damaged images are kept before a start refuses to set another aside.
const KEPT_DAMAGED: u32 = 5;

/// In the volume's root: this is the cache. Its name has both cases on purpose.
const MARK: &str = ".elfuse-Cache";

/// In the volume's root: Spotlight stays out.
const NO_INDEX: &str = ".metadata_never_index";

/// The cache volume of one user.
pub struct CacheVolume<'a> {
    images: &'a dyn DiskImages,
    root: PathBuf,
    pause: Duration,
}

/// The volume, attached.
#[derive(Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Its root directory.
    pub path: PathBuf,
    /// Where a damaged image was moved, which this volume replaces.
    pub set_aside: Option<PathBuf>,
}

/// What is known about the volume without changing anything.
#[derive(Debug, PartialEq, Eq)]
pub struct Status {
    /// The image's file.
    pub image: PathBuf,
    /// Whether it exists.
    pub exists: bool,
    /// How it is attached.
    pub attachment: Option<Attachment>,
    /// The room in it, when it is mounted.
    pub space: Option<Space>,
    /// The room on the disk below.
    pub disk: Space,
}

impl<'a> CacheVolume<'a> {
    /// The volume below `root`, the user's cache directory of this product, which is
    /// made if it is missing.
    ///
    /// # Errors
    /// [`VolumeError::Host`]; [`VolumeError::Foreign`] when `root` is a link or
    /// somebody else's.
    pub fn new(images: &'a dyn DiskImages, root: &Path) -> Result<Self, VolumeError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root);
        made.map_err(host("make directory", root))?;
        let found = root.symlink_metadata().map_err(host("look at", root))?;
        if !found.is_dir() {
            return Err(foreign(root, "it is not a directory"));
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(foreign(root, "it belongs to another user"));
        }
        // The system answers with paths without links.
        let root = root.canonicalize().map_err(host("look at", root))?;
        Ok(Self {
            images,
            root,
            pause: Duration::from_millis(50),
        })
    }

    fn image(&self) -> PathBuf {
        self.root.join("cache.sparsebundle")
    }

    fn mount(&self) -> PathBuf {
        self.root.join("volume")
    }

    /// Attaches the volume where it is not, makes it where there is none.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn attach(&self) -> Result<Mounted, VolumeError> {
        let _turn = self.lock()?;
        self.attach_in_turn()
    }

    fn attach_in_turn(&self) -> Result<Mounted, VolumeError> {
        self.check_image()?;
        let mut set_aside = None;
        let mut was_damaged = false;
        let mut last = ImageError::Busy("hdiutil attach");
        for attempt in 0..TRIES {
            if let Some(path) = self.find()? {
                return Ok(Mounted { path, set_aside });
            }
            self.check_mount()?;
            self.make_image()?;
            match self.images.attach(&self.image(), &self.mount()) {
                // The loop looks at what is attached now, complete or not.
                Ok(_) => continue,
                // Another program may just be attaching it.
                Err(error @ ImageError::Busy(_)) => last = error,
                // Nothing was mounted here before; so what is mounted now is ours.
                Err(ImageError::Answer { .. }) if self.is_mount_point(&self.mount())? => {
                    self.settle(&self.mount())?;
                    let path = self.mount();
                    return Ok(Mounted { path, set_aside });
                }
                // A volume that a crash left dirty may fail once; a second time, and the
                // image is replaced by an empty one.
                Err(ImageError::Damaged { .. }) if !was_damaged => was_damaged = true,
                Err(ImageError::Damaged { .. }) if set_aside.is_none() => {
                    set_aside = Some(self.set_aside()?);
                }
                Err(error) => return Err(self.failed(error)),
            }
            std::thread::sleep(self.pause * attempt);
        }
        let path = self.find()?.ok_or_else(|| self.failed(last))?;
        Ok(Mounted { path, set_aside })
    }

    /// Where the volume is mounted, also if not by us. A disk without a volume is what
    /// an interrupted attachment leaves: it is detached.
    fn find(&self) -> Result<Option<PathBuf>, VolumeError> {
        if !self.image_exists()? {
            return Ok(None);
        }
        let attached = match self.images.attached(&self.image()) {
            // The mark tells it too, and otherwise attaching will.
            Err(ImageError::Answer { .. }) => {
                let mount = self.mount();
                let is_ours = self.is_mount_point(&mount)? && mount.join(MARK).exists();
                return Ok(is_ours.then_some(mount));
            }
            attached => attached.map_err(|error| self.failed(error))?,
        };
        let Some(attachment) = attached else {
            return Ok(None);
        };
        if let Some(mount) = attachment.mount
            && self.is_mount_point(&mount)?
        {
            self.settle(&mount)?;
            return Ok(Some(mount));
        }
        match self.images.detach(&attachment.device, Detach::ByForce) {
            Ok(()) | Err(ImageError::Busy(_)) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Marks the volume as ours, and makes sure that it tells upper from lower case.
    fn settle(&self, mount: &Path) -> Result<(), VolumeError> {
        for name in [MARK, NO_INDEX] {
            let path = mount.join(name);
            if !path.exists() {
                fs::write(&path, b"").map_err(host("write", &path))?;
            }
        }
        if mount.join(MARK.to_lowercase()).exists() {
            return Err(foreign(mount, "its file system ignores case"));
        }
        Ok(())
    }

    /// The image, complete: made under another name first.
    fn make_image(&self) -> Result<(), VolumeError> {
        if self.image_exists()? {
            return Ok(());
        }
        let unfinished = self.root.join("new.sparsebundle");
        remove_tree(&unfinished)?;
        let mut made = self.images.create(&unfinished, CAPACITY);
        for attempt in 1..TRIES {
            if !matches!(made, Err(ImageError::Busy(_))) {
                break;
            }
            std::thread::sleep(self.pause * attempt);
            remove_tree(&unfinished)?;
            made = self.images.create(&unfinished, CAPACITY);
        }
        if let Err(error) = made {
            remove_tree(&unfinished)?;
            return Err(self.failed(error));
        }
        fs::rename(&unfinished, self.image()).map_err(host("rename", &unfinished))
    }

    /// Moves a damaged image away, and says where.
    fn set_aside(&self) -> Result<PathBuf, VolumeError> {
        let image = self.image();
        let mut names =
            (1..=KEPT_DAMAGED).map(|n| self.root.join(format!("damaged-{n}.sparsebundle")));
        let Some(aside) = names.find(|path| path.symlink_metadata().is_err()) else {
            return Err(foreign(&image, "it is damaged, like several before it"));
        };
        fs::rename(&image, &aside).map_err(host("rename", &image))?;
        Ok(aside)
    }

    /// Makes room for `needed` more bytes, enlarging the volume where it must.
    ///
    /// # Errors
    /// [`VolumeError::DiskFull`]; [`VolumeError::InUse`] when the volume must be
    /// enlarged while a bundle runs; others.
    pub fn make_room(&self, needed: u64) -> Result<Mounted, VolumeError> {
        let _turn = self.lock()?;
        let mounted = self.attach_in_turn()?;
        let disk = self.space(&self.root)?;
        if disk.free < needed {
            let free = disk.free;
            return Err(VolumeError::DiskFull { needed, free });
        }
        let space = self.space(&mounted.path)?;
        if space.free >= needed {
            return Ok(mounted);
        }
        let wanted = space.total.saturating_add(space.total.max(needed));
        self.detach_in_turn()?;
        let resized = self.images.resize(&self.image(), wanted);
        let mounted = self.attach_in_turn()?;
        resized.map_err(|error| self.failed(error))?;
        let mut space = self.space(&mounted.path)?;
        if space.free < needed {
            // The image has grown; its container may have to be told.
            let attached = self.images.attached(&self.image());
            let attached = attached.map_err(|error| self.failed(error))?;
            if let Some(container) = attached.and_then(|attached| attached.container) {
                let filled = self.images.fill(&container);
                filled.map_err(|error| self.failed(error))?;
            }
            space = self.space(&mounted.path)?;
        }
        if space.free < needed {
            let total = space.total;
            return Err(VolumeError::NotGrown { total, wanted });
        }
        Ok(mounted)
    }

    /// Attaches the volume, and enlarges it if it has less than `headroom` bytes of
    /// room, as far as the disk has them and nobody uses the volume.
    ///
    /// # Errors
    /// [`VolumeError`], not for want of room.
    pub fn attach_with_headroom(&self, headroom: u64) -> Result<Mounted, VolumeError> {
        let first = self.attach()?;
        if self.space(&first.path)?.free >= headroom {
            return Ok(first);
        }
        match self.make_room(headroom) {
            Ok(mounted) => Ok(Mounted {
                set_aside: first.set_aside,
                ..mounted
            }),
            // There may be enough for what comes.
            Err(VolumeError::DiskFull { .. } | VolumeError::InUse { .. }) => Ok(first),
            Err(error) => Err(error),
        }
    }

    /// Detaches the volume; it is attached again by the next start.
    ///
    /// # Errors
    /// [`VolumeError::InUse`]; others.
    pub fn detach(&self) -> Result<(), VolumeError> {
        let _turn = self.lock()?;
        self.detach_in_turn()
    }

    fn detach_in_turn(&self) -> Result<(), VolumeError> {
        let attached = self.images.attached(&self.image());
        let attached = attached.map_err(|error| self.failed(error))?;
        let Some(attachment) = attached else {
            return Ok(());
        };
        match self.images.detach(&attachment.device, Detach::Gently) {
            Err(ImageError::Busy(_)) => Err(VolumeError::InUse {
                mount: attachment.mount.unwrap_or_else(|| self.mount()),
            }),
            detached => detached.map_err(|error| self.failed(error)),
        }
    }

    /// Gives deleted files' space back to the disk; detaches the volume.
    ///
    /// # Errors
    /// [`VolumeError::InUse`]; others.
    pub fn compact(&self) -> Result<(), VolumeError> {
        let _turn = self.lock()?;
        if !self.image_exists()? {
            return Ok(());
        }
        self.detach_in_turn()?;
        let compacted = self.images.compact(&self.image());
        compacted.map_err(|error| self.failed(error))
    }

    /// What is there, without changing it.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn status(&self) -> Result<Status, VolumeError> {
        let exists = self.image_exists()?;
        let attachment = match exists {
            true => self.images.attached(&self.image()),
            false => Ok(None),
        };
        let attachment = attachment.map_err(|error| self.failed(error))?;
        let mount = attachment.as_ref().and_then(|found| found.mount.as_deref());
        Ok(Status {
            image: self.image(),
            exists,
            space: mount.map(|mount| self.space(mount)).transpose()?,
            attachment,
            disk: self.space(&self.root)?,
        })
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
