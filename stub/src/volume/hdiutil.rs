// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disk images through macOS's own hdiutil and diskutil, by absolute path, so
//! that PATH does not choose them.
//!
//! This is the thin part: one process per request, its answer read by
//! [`answer`]. The options are those of facts/macos-host.md, section 5 ("A disk
//! image avoids most of this"); docs/mac-checklist.md lists what about them only a
//! Mac can show.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::answer;
use super::images::{Attachment, Detach, DiskImages, ImageError, Space};

/// Longest wait for one request. Making or attaching an image takes seconds, after a
/// crash of the host a file system check may come first.
const PATIENCE: Duration = Duration::from_secs(120);

/// The name that the volume has in the Finder, were it shown there.
const VOLUME_NAME: &str = "elfuse-cache";

/// macOS's disk image tools.
#[derive(Clone, Debug)]
pub struct Hdiutil {
    hdiutil: PathBuf,
    diskutil: PathBuf,
    patience: Duration,
}

impl Default for Hdiutil {
    fn default() -> Self {
        Self {
            hdiutil: PathBuf::from("/usr/bin/hdiutil"),
            diskutil: PathBuf::from("/usr/sbin/diskutil"),
            patience: PATIENCE,
        }
    }
}

impl DiskImages for Hdiutil {
    fn create(&self, image: &Path, capacity: u64) -> Result<(), ImageError> {
        let mut args = words(&["create", "-type", "SPARSEBUNDLE"]);
        args.extend(words(&["-fs", "Case-sensitive APFS"]));
        args.extend(words(&["-volname", VOLUME_NAME, "-size"]));
        args.push(size(capacity));
        args.push(image.into());
        self.hdiutil("hdiutil create", &args).map(drop)
    }

    fn attach(&self, image: &Path, mount: &Path) -> Result<Attachment, ImageError> {
        let mut args = words(&["attach", "-nobrowse", "-noautofsck", "-owners", "on"]);
        args.extend(words(&["-plist", "-mountpoint"]));
        args.push(mount.into());
        args.push(image.into());
        let answer = self.hdiutil("hdiutil attach", &args)?;
        answer::attach(&answer, image.to_path_buf())
    }

    fn attached(&self, image: &Path) -> Result<Option<Attachment>, ImageError> {
        let answer = self.hdiutil("hdiutil info", &words(&["info", "-plist"]))?;
        answer::info(&answer, image)
    }

    fn detach(&self, device: &str, how: Detach) -> Result<(), ImageError> {
        let args: &[&str] = match how {
            Detach::Gently => &["detach", device],
            Detach::ByForce => &["detach", "-force", device],
        };
        self.hdiutil("hdiutil detach", &words(args)).map(drop)
    }

    fn resize(&self, image: &Path, capacity: u64) -> Result<(), ImageError> {
        let mut args = words(&["resize", "-size"]);
        args.push(size(capacity));
        args.push(image.into());
        self.hdiutil("hdiutil resize", &args).map(drop)
    }

    fn fill(&self, container: &str) -> Result<(), ImageError> {
        // Size 0 means: all that there is.
        let args = words(&["apfs", "resizeContainer", container, "0"]);
        self.run(&self.diskutil, "diskutil apfs resizeContainer", &args)
            .map(drop)
    }

    fn compact(&self, image: &Path) -> Result<(), ImageError> {
        let mut args = words(&["compact", "-batteryallowed"]);
        args.push(image.into());
        self.hdiutil("hdiutil compact", &args).map(drop)
    }

    fn space(&self, path: &Path) -> Result<Space, ImageError> {
        let stat = rustix::fs::statvfs(path).map_err(|error| host("statvfs", error.into()))?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn is_mount_point(&self, path: &Path) -> Result<bool, ImageError> {
        let failed = |error| host("stat", error);
        let own = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            own => own.map_err(failed)?,
        };
        let above = path.join("..").metadata().map_err(failed)?;
        Ok(own.is_dir() && own.dev() != above.dev())
    }
}

impl Hdiutil {
    /// No request says -quiet: that closes standard error too, which is read.
    fn hdiutil(&self, verb: &'static str, args: &[OsString]) -> Result<Vec<u8>, ImageError> {
        self.run(&self.hdiutil, verb, args)
    }

    /// What the program writes on standard output, if it succeeds in time.
    fn run(
        &self,
        program: &Path,
        verb: &'static str,
        args: &[OsString],
    ) -> Result<Vec<u8>, ImageError> {
        let mut command = Command::new(program);
        // The sentences on standard error are read: they must be the untranslated ones.
        command.args(args).env("LC_ALL", "C").env_remove("LANG");
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ImageError::NoTool("hdiutil"),
            _ => host(verb, error),
        })?;
        let (status, out, said) = collect(child, self.patience)
            .map_err(|error| host(verb, error))?
            .ok_or(ImageError::Hung {
                verb,
                seconds: self.patience.as_secs(),
            })?;
        if status.success() {
            return Ok(out);
        }
        Err(answer::refusal(verb, &String::from_utf8_lossy(&said)))
    }
}

type Collected = (ExitStatus, Vec<u8>, Vec<u8>);

/// Waits for the child while threads read what it writes; kills it after `patience`.
fn collect(mut child: Child, patience: Duration) -> io::Result<Option<Collected>> {
    let out = reader(child.stdout.take());
    let said = reader(child.stderr.take());
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(2);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            // The readers end with the last process that holds the pipe, which may be
            // a helper that lives on: they are not waited for.
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    let lost = |_| io::Error::other("the reader of a pipe panicked");
    let out = out.join().map_err(lost)??;
    let said = said.join().map_err(lost)??;
    Ok(Some((status, out, said)))
}

fn reader(
    pipe: Option<impl Read + Send + 'static>,
) -> std::thread::JoinHandle<io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn host(verb: &'static str, source: io::Error) -> ImageError {
    ImageError::Host { verb, source }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// A size in hdiutil's unit of 512 bytes.
fn size(bytes: u64) -> OsString {
    OsString::from(format!("{}b", bytes.div_ceil(512)))
}

#[cfg(test)]
mod tests;
