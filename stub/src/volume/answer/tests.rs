// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers in the shape that hdiutil gives them, and broken ones.

use std::path::{Path, PathBuf};

use super::{attach, info, refusal};
use crate::volume::images::ImageError;

const IMAGE: &str = "/Users/u/Library/Caches/elfuse/cache.sparsebundle";

fn plist(body: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\"><dict>{body}</dict></plist>\n"
    )
    .into_bytes()
}

fn entity(device: &str, more: &str) -> String {
    format!(
        "<dict><key>content-hint</key><string>x</string>\
         <key>dev-entry</key><string>{device}</string>\
         <key>potentially-mountable</key><true/>{more}</dict>"
    )
}

fn entities(mount: &str) -> String {
    let volume = format!("<key>mount-point</key><string>{mount}</string>");
    format!(
        "<key>system-entities</key><array>{}{}{}{}</array>",
        entity("/dev/disk12", ""),
        entity("/dev/disk12s1", if mount.is_empty() { "" } else { &volume }),
        entity("/dev/disk4s1", ""),
        entity("/dev/disk4", ""),
    )
}

fn images(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries: String = entries
        .iter()
        .map(|(path, body)| {
            format!("<dict><key>image-path</key><string>{path}</string>{body}</dict>")
        })
        .collect();
    plist(&format!(
        "<key>framework</key><string>671</string><key>images</key><array>\
         <dict><key>removable</key><true/></dict>{entries}</array>"
    ))
}

#[test]
fn attach_names_the_images_disk_its_container_and_the_mount_point() {
    let answer = plist(&entities("/Users/u/Library/Caches/elfuse/volume"));
    let attached = attach(&answer, PathBuf::from(IMAGE)).unwrap();
    assert_eq!(attached.device, "/dev/disk4");
    assert_eq!(attached.container.as_deref(), Some("/dev/disk12"));
    assert_eq!(
        attached.mount.as_deref(),
        Some(Path::new("/Users/u/Library/Caches/elfuse/volume"))
    );
}

#[test]
fn a_volume_that_is_not_mounted_has_a_device_only() {
    let attached = attach(&plist(&entities("")), PathBuf::from(IMAGE)).unwrap();
    assert_eq!(attached.device, "/dev/disk4");
    assert_eq!((attached.container, attached.mount), (None, None));
}

#[test]
fn info_finds_one_image_among_others() {
    let other = entities("/Volumes/other");
    let ours = entities("/Volumes/cache");
    let answer = images(&[("/tmp/other.dmg", &other), (IMAGE, &ours)]);
    let found = info(&answer, Path::new(IMAGE)).unwrap().unwrap();
    assert_eq!(found.mount.as_deref(), Some(Path::new("/Volumes/cache")));
    assert_eq!(info(&answer, Path::new("/tmp/no.dmg")).unwrap(), None);
}

#[test]
fn strange_entries_of_other_images_do_not_matter() {
    let answer = images(&[("/tmp/other.dmg", ""), (IMAGE, &entities("/Volumes/cache"))]);
    assert!(info(&answer, Path::new(IMAGE)).unwrap().is_some());
}

fn missing(answer: Result<impl std::fmt::Debug, ImageError>) -> &'static str {
    match answer {
        Err(ImageError::Answer { missing, .. }) => missing,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_of_another_shape_says_what_it_lacks() {
    let image = || PathBuf::from(IMAGE);
    assert_eq!(
        missing(attach(b"disk4 mounted", image())),
        "not a property list with a dictionary"
    );
    assert_eq!(
        missing(attach(b"", image())),
        "not a property list with a dictionary"
    );
    assert_eq!(
        missing(attach(
            &plist("<key>entities</key><array></array>"),
            image()
        )),
        "no list of system entities"
    );
    let none = "<key>system-entities</key><array></array>";
    assert_eq!(missing(attach(&plist(none), image())), "no device");
    let renamed = plist("<key>disks</key><array></array>");
    assert_eq!(
        missing(info(&renamed, Path::new(IMAGE))),
        "no list of images"
    );
    let ours_changed = images(&[(IMAGE, "<key>entities</key><array></array>")]);
    assert_eq!(
        missing(info(&ours_changed, Path::new(IMAGE))),
        "no list of system entities"
    );
}

#[test]
fn cut_off_answers_are_errors_and_no_panics() {
    let whole = images(&[(IMAGE, &entities("/Volumes/cache"))]);
    for end in 0..whole.len() - 10 {
        assert!(info(&whole[..end], Path::new(IMAGE)).is_err(), "{end}");
    }
}

#[test]
fn sentences_have_meanings() {
    let said = |text: &str| refusal("hdiutil attach", text);
    assert!(matches!(
        said("hdiutil: attach failed - Resource busy\n"),
        ImageError::Busy(_)
    ));
    assert!(matches!(
        said("hdiutil: attach failed - Resource temporarily unavailable"),
        ImageError::Busy(_)
    ));
    assert!(matches!(
        said("hdiutil: create failed - No space left on device"),
        ImageError::NoSpace(_)
    ));
    for damage in ["image not recognized", "no mountable file systems"] {
        let error = said(&format!("hdiutil: attach failed - {damage}\n\n"));
        assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    }
    let error = said("load plugin\nhdiutil: attach failed - Permission denied\n");
    assert_eq!(
        error.to_string(),
        "hdiutil attach: hdiutil: attach failed - Permission denied"
    );
    assert_eq!(said("").to_string(), "hdiutil attach: no reason given");
}
