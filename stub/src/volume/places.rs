// SPDX-License-Identifier: MIT OR Apache-2.0
//! The volume's places in the user's cache directory: what may be there, and
//! the lock. What is not ours is refused and never touched.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::{CacheVolume, ImageError, Space, VolumeError};

impl CacheVolume<'_> {
    /// Starts that make, attach or detach take turns. The lock ends with the file.
    pub(super) fn lock(&self) -> Result<File, VolumeError> {
        let path = self.root.join("volume.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(host("open", &path))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
            .map_err(|error| host("lock", &path)(error.into()))?;
        Ok(file)
    }

    /// Whether the image is there.
    pub(super) fn image_exists(&self) -> Result<bool, VolumeError> {
        let image = self.image();
        match image.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(host("look at", &image)(error)),
        }
    }

    /// A sparse image is a directory with a property list.
    pub(super) fn check_image(&self) -> Result<(), VolumeError> {
        let image = self.image();
        if !self.image_exists()? {
            return Ok(());
        }
        let found = image.symlink_metadata().map_err(host("look at", &image))?;
        if !found.is_dir() {
            return Err(foreign(&image, "it is not a sparse image"));
        }
        Ok(())
    }

    /// An empty directory of ours to mount the volume at.
    pub(super) fn check_mount(&self) -> Result<(), VolumeError> {
        let mount = self.mount();
        match fs::create_dir(&mount) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(host("make directory", &mount)(error)),
        }
        let found = mount.symlink_metadata().map_err(host("look at", &mount))?;
        if !found.is_dir() {
            return Err(foreign(&mount, "it is not a directory"));
        }
        if self.is_mount_point(&mount)? {
            return Err(foreign(&mount, "another volume is mounted there"));
        }
        let mut entries = fs::read_dir(&mount).map_err(host("list", &mount))?;
        match entries.next() {
            None => Ok(()),
            Some(_) => Err(foreign(&mount, "it is a directory with files")),
        }
    }

    pub(super) fn is_mount_point(&self, path: &Path) -> Result<bool, VolumeError> {
        let found = self.images.is_mount_point(path);
        found.map_err(|error| self.failed(error))
    }

    pub(super) fn space(&self, path: &Path) -> Result<Space, VolumeError> {
        let space = self.images.space(path);
        space.map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, source: ImageError) -> VolumeError {
        let image = self.image();
        VolumeError::Image { image, source }
    }
}

pub(super) fn foreign(path: &Path, why: &'static str) -> VolumeError {
    let path = path.to_path_buf();
    VolumeError::Foreign { path, why }
}

pub(super) fn host(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> VolumeError {
    let path = path.to_path_buf();
    move |source| VolumeError::Host {
        doing,
        path: path.clone(),
        source,
    }
}

/// Removes what an interrupted start left under its temporary name.
pub(super) fn remove_tree(path: &Path) -> Result<(), VolumeError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(host("remove", path)(error)),
        _ => Ok(()),
    }
}
