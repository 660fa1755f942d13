// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hdiutil answers: property lists of `attach` and `info`, and sentences
//! on standard error. Unknown keys are passed over; a missing one that is
//! needed is an error that names it.

use std::path::{Path, PathBuf};

use plist::{Dictionary, Value};

use super::images::{Attachment, ImageError};

const ATTACH: &str = "hdiutil attach";
const INFO: &str = "hdiutil info";

/// The answer to `hdiutil attach -plist`, for `image`.
pub(super) fn attach(bytes: &[u8], image: PathBuf) -> Result<Attachment, ImageError> {
    let answer = dictionary(bytes, ATTACH)?;
    attachment(&answer, image, ATTACH)
}

/// What the answer to `hdiutil info -plist` says about `image`.
pub(super) fn info(bytes: &[u8], image: &Path) -> Result<Option<Attachment>, ImageError> {
    let answer = dictionary(bytes, INFO)?;
    let images = answer
        .get("images")
        .and_then(Value::as_array)
        .ok_or(ImageError::Answer {
            verb: INFO,
            missing: "no list of images",
        })?;
    // Images that are just being attached or come from the network have no path.
    let is_ours = |entry: &&Dictionary| {
        let path = entry.get("image-path").and_then(Value::as_string);
        path.is_some_and(|path| Path::new(path) == image)
    };
    let ours = images.iter().filter_map(Value::as_dictionary).find(is_ours);
    ours.map(|entry| attachment(entry, image.to_path_buf(), INFO))
        .transpose()
}

fn dictionary(bytes: &[u8], verb: &'static str) -> Result<Dictionary, ImageError> {
    Value::from_reader_xml(bytes)
        .ok()
        .and_then(Value::into_dictionary)
        .ok_or(ImageError::Answer {
            verb,
            missing: "not a property list with a dictionary",
        })
}

fn attachment(
    answer: &Dictionary,
    image: PathBuf,
    verb: &'static str,
) -> Result<Attachment, ImageError> {
    let missing = |missing| ImageError::Answer { verb, missing };
    let entities = answer
        .get("system-entities")
        .and_then(Value::as_array)
        .ok_or_else(|| missing("no list of system entities"))?;
    let mut devices = Vec::new();
    let mut mounted = None;
    for entity in entities.iter().filter_map(Value::as_dictionary) {
        let Some(device) = entity.get("dev-entry").and_then(Value::as_string) else {
            continue;
        };
        devices.push(device);
        if let Some(mount) = entity.get("mount-point").and_then(Value::as_string) {
            mounted = Some((whole_disk(device), PathBuf::from(mount)));
        }
    }
    // The image's own disk has the lowest number; that of its APFS container follows.
    let device = devices
        .iter()
        .map(|device| whole_disk(device))
        .min_by_key(|device| disk_number(device))
        .ok_or_else(|| missing("no device"))?;
    let (container, mount) = match mounted {
        Some((container, mount)) => (Some(container), Some(mount)),
        None => (None, None),
    };
    Ok(Attachment {
        image,
        device,
        container,
        mount,
    })
}

/// `/dev/disk5` of `/dev/disk5s1`.
fn whole_disk(device: &str) -> String {
    let Some(number) = disk_number(device) else {
        return device.to_owned();
    };
    format!("/dev/disk{number}")
}

fn disk_number(device: &str) -> Option<u32> {
    let rest = device.strip_prefix("/dev/disk")?;
    let digits = rest.split('s').next()?;
    digits.parse().ok()
}

/// What a sentence of hdiutil or diskutil means. The words are those of strerror(3) and
/// of the disk image framework; with other words the sentence is passed on as it is.
pub(super) fn refusal(verb: &'static str, said: &str) -> ImageError {
    let last = said
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("no reason given");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["Resource busy", "Resource temporarily unavailable"]) {
        ImageError::Busy(verb)
    } else if has(&["No space left on device"]) {
        ImageError::NoSpace(verb)
    } else if has(&[
        "image not recognized",
        "image data corrupted",
        "corrupt image",
        "no mountable file systems",
    ]) {
        ImageError::Damaged {
            verb,
            said: last.to_owned(),
        }
    } else {
        ImageError::Refused {
            verb,
            said: last.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
