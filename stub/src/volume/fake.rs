// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disk images that are directories: attaching moves the contents to the mount
//! point, detaching moves them back. Its failures are queued by request, and what
//! happened is on record.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::images::{Attachment, Detach, DiskImages, ImageError, Space};

/// What goes wrong with one request.
pub(super) enum Trouble {
    /// The request fails and has no effect.
    Fails(ImageError),
    /// The request takes effect, and the answer cannot be read.
    Unreadable,
    /// A disk appears without its volume.
    Half,
    /// Somebody else attaches the image first, at this place.
    Overtaken(PathBuf),
}

pub(super) struct Fake {
    troubles: RefCell<HashMap<&'static str, VecDeque<Trouble>>>,
    pub(super) log: RefCell<Vec<&'static str>>,
    attached: RefCell<Option<Attachment>>,
    pub(super) foreign_mounts: RefCell<Vec<PathBuf>>,
    pub(super) capacity: Cell<u64>,
    /// What the file system in the image was last told.
    pub(super) container: Cell<u64>,
    pub(super) used: Cell<u64>,
    pub(super) disk_free: Cell<u64>,
    pub(super) grows_alone: Cell<bool>,
    pub(super) is_used: Cell<bool>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            troubles: RefCell::default(),
            log: RefCell::default(),
            attached: RefCell::default(),
            foreign_mounts: RefCell::default(),
            capacity: Cell::new(0),
            container: Cell::new(0),
            used: Cell::new(0),
            disk_free: Cell::new(1 << 40),
            grows_alone: Cell::new(true),
            is_used: Cell::new(false),
        }
    }

    /// The next `request` meets `trouble`; several queue up.
    pub(super) fn next(&self, request: &'static str, trouble: Trouble) {
        let mut troubles = self.troubles.borrow_mut();
        troubles.entry(request).or_default().push_back(trouble);
    }

    fn begin(&self, request: &'static str) -> Option<Trouble> {
        self.log.borrow_mut().push(request);
        let mut troubles = self.troubles.borrow_mut();
        troubles.get_mut(request).and_then(VecDeque::pop_front)
    }

    pub(super) fn count(&self, request: &str) -> usize {
        let log = self.log.borrow();
        log.iter().filter(|entry| **entry == request).count()
    }

    /// Mounts the image, as this or another program does it.
    pub(super) fn mount(&self, image: &Path, mount: &Path) -> Attachment {
        if mount.exists() {
            fs::remove_dir(mount).unwrap();
        }
        fs::rename(image.join("contents"), mount).unwrap();
        let attachment = Attachment {
            image: image.to_path_buf(),
            device: "/dev/disk4".to_owned(),
            container: Some("/dev/disk5".to_owned()),
            mount: Some(mount.to_path_buf()),
        };
        *self.attached.borrow_mut() = Some(attachment.clone());
        attachment
    }

    /// A disk without a volume, as an interrupted attachment leaves it.
    pub(super) fn half_attach(&self, image: &Path) -> Attachment {
        let attachment = Attachment {
            image: image.to_path_buf(),
            device: "/dev/disk4".to_owned(),
            container: None,
            mount: None,
        };
        *self.attached.borrow_mut() = Some(attachment.clone());
        attachment
    }

    /// As after a restart of the host: nothing is attached.
    pub(super) fn unmount(&self) {
        let Some(attachment) = self.attached.borrow_mut().take() else {
            return;
        };
        if let Some(mount) = attachment.mount {
            fs::rename(&mount, attachment.image.join("contents")).unwrap();
            fs::create_dir(&mount).unwrap();
        }
    }
}

fn unreadable(verb: &'static str) -> ImageError {
    ImageError::Answer {
        verb,
        missing: "no list of system entities",
    }
}

impl DiskImages for Fake {
    fn create(&self, image: &Path, capacity: u64) -> Result<(), ImageError> {
        let trouble = self.begin("create");
        fs::create_dir(image).unwrap();
        if let Some(Trouble::Fails(error)) = trouble {
            return Err(error);
        }
        fs::create_dir(image.join("contents")).unwrap();
        self.capacity.set(capacity);
        self.container.set(capacity);
        Ok(())
    }

    fn attach(&self, image: &Path, mount: &Path) -> Result<Attachment, ImageError> {
        match self.begin("attach") {
            Some(Trouble::Fails(error)) => return Err(error),
            Some(Trouble::Half) => {
                return Ok(self.half_attach(image));
            }
            Some(Trouble::Overtaken(place)) => {
                self.mount(image, &place);
            }
            Some(Trouble::Unreadable) => {
                self.mount(image, mount);
                return Err(unreadable("hdiutil attach"));
            }
            None => {}
        }
        if self.attached.borrow().is_some() {
            return Err(ImageError::Busy("hdiutil attach"));
        }
        assert!(fs::read_dir(mount).unwrap().next().is_none(), "not empty");
        Ok(self.mount(image, mount))
    }

    fn attached(&self, image: &Path) -> Result<Option<Attachment>, ImageError> {
        match self.begin("attached") {
            Some(Trouble::Fails(error)) => return Err(error),
            Some(_) => return Err(unreadable("hdiutil info")),
            None => {}
        }
        let attached = self.attached.borrow().clone();
        Ok(attached.filter(|attachment| attachment.image == image))
    }

    fn detach(&self, device: &str, how: Detach) -> Result<(), ImageError> {
        if let Some(Trouble::Fails(error)) = self.begin("detach") {
            return Err(error);
        }
        if self.is_used.get() && how == Detach::Gently {
            return Err(ImageError::Busy("hdiutil detach"));
        }
        let is_ours = |attached: &Attachment| attached.device == device;
        assert!(self.attached.borrow().as_ref().is_some_and(is_ours));
        self.unmount();
        Ok(())
    }

    fn resize(&self, _image: &Path, capacity: u64) -> Result<(), ImageError> {
        if let Some(Trouble::Fails(error)) = self.begin("resize") {
            return Err(error);
        }
        assert!(self.attached.borrow().is_none(), "resized while attached");
        self.capacity.set(capacity);
        if self.grows_alone.get() {
            self.container.set(capacity);
        }
        Ok(())
    }

    fn fill(&self, container: &str) -> Result<(), ImageError> {
        assert_eq!(container, "/dev/disk5");
        match self.begin("fill") {
            Some(Trouble::Fails(error)) => Err(error),
            Some(_) => Ok(()),
            None => {
                self.container.set(self.capacity.get());
                Ok(())
            }
        }
    }

    fn compact(&self, _image: &Path) -> Result<(), ImageError> {
        self.begin("compact");
        assert!(self.attached.borrow().is_none(), "compacted while attached");
        Ok(())
    }

    fn space(&self, path: &Path) -> Result<Space, ImageError> {
        if self.is_mount_point(path)? {
            return Ok(Space {
                total: self.container.get(),
                free: self.container.get().saturating_sub(self.used.get()),
            });
        }
        Ok(Space {
            total: 1 << 41,
            free: self.disk_free.get(),
        })
    }

    fn is_mount_point(&self, path: &Path) -> Result<bool, ImageError> {
        let attached = self.attached.borrow();
        let mount = attached.as_ref().and_then(|found| found.mount.as_deref());
        let is_foreign = self.foreign_mounts.borrow().iter().any(|at| at == path);
        Ok(mount == Some(path) || is_foreign)
    }
}
