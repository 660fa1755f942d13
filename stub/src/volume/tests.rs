// SPDX-License-Identifier: MIT OR Apache-2.0
//! The volume's decisions, driven through the failures of disk images.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use super::fake::{Fake, Trouble};
use super::{CacheVolume, DiskImages, ImageError, MARK, TRIES, VolumeError};

struct Home {
    _dir: tempfile::TempDir,
    root: PathBuf,
    fake: Fake,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("elfuse");
        let fake = Fake::new();
        Self {
            _dir: dir,
            root,
            fake,
        }
    }

    fn volume(&self) -> CacheVolume<'_> {
        CacheVolume {
            pause: Duration::ZERO,
            ..CacheVolume::new(&self.fake, &self.root).unwrap()
        }
    }

    fn mount(&self) -> PathBuf {
        self.root.join("volume")
    }

    fn image(&self) -> PathBuf {
        self.root.join("cache.sparsebundle")
    }

    /// As a user had it yesterday: with a file in the volume, and detached.
    fn used() -> Self {
        let home = Self::new();
        let mounted = home.volume().attach().unwrap();
        fs::write(mounted.path.join("tree"), b"files").unwrap();
        home.fake.unmount();
        home.fake.log.borrow_mut().clear();
        home
    }

    fn has_yesterdays_tree(&self) -> bool {
        self.mount().join("tree").exists()
    }
}

fn busy() -> Trouble {
    Trouble::Fails(ImageError::Busy("hdiutil attach"))
}

fn damaged() -> Trouble {
    Trouble::Fails(ImageError::Damaged {
        verb: "hdiutil attach",
        said: "image not recognized".to_owned(),
    })
}

#[test]
fn the_first_start_makes_the_volume_and_later_ones_attach_or_find_it() {
    let home = Home::new();
    let mounted = home.volume().attach().unwrap();
    assert_eq!(mounted.path, home.mount());
    assert!(mounted.path.join(MARK).exists());
    assert!(mounted.path.join(".metadata_never_index").exists());
    assert_eq!(home.fake.count("create"), 1);
    fs::write(mounted.path.join("tree"), b"files").unwrap();

    home.volume().attach().unwrap();
    assert_eq!(home.fake.count("attach"), 1, "left attached");
    home.fake.unmount();
    home.volume().attach().unwrap();
    assert_eq!(
        (home.fake.count("create"), home.fake.count("attach")),
        (1, 2)
    );
    assert!(home.has_yesterdays_tree());
}

#[test]
fn a_missing_tool_is_named_with_a_way_out() {
    let home = Home::new();
    let missing = || Trouble::Fails(ImageError::NoTool("hdiutil"));
    home.fake.next("create", missing());
    let error = home.volume().attach().unwrap_err();
    assert!(
        error.to_string().contains("hdiutil: not on this machine"),
        "{error}"
    );
    assert!(error.hint().contains("ELFUSE_CACHE"));
    assert!(!home.image().exists());
    assert!(
        !home.root.join("new.sparsebundle").exists(),
        "no partial result"
    );
}

#[test]
fn busy_passes_or_is_an_error_in_the_end() {
    let home = Home::used();
    for _ in 1..TRIES {
        home.fake.next("attach", busy());
    }
    home.volume().attach().unwrap();
    assert!(home.has_yesterdays_tree());

    home.fake.unmount();
    for _ in 0..TRIES {
        home.fake.next("attach", busy());
    }
    let error = home.volume().attach().unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(home.image().exists());
}

#[test]
fn a_busy_creation_is_begun_anew() {
    let home = Home::new();
    home.fake.next("create", busy());
    home.volume().attach().unwrap();
    assert_eq!(home.fake.count("create"), 2);
}

#[test]
fn no_space_for_the_image_leaves_nothing_behind() {
    let home = Home::new();
    let full = Trouble::Fails(ImageError::NoSpace("hdiutil create"));
    home.fake.next("create", full);
    let error = home.volume().attach().unwrap_err();
    assert!(error.to_string().contains("no space"), "{error}");
    assert_eq!(error.hint(), "free space on the disk");
    assert!(!home.root.join("new.sparsebundle").exists());
    home.volume().attach().unwrap();
}

#[test]
fn what_an_interrupted_creation_left_is_replaced() {
    let home = Home::new();
    fs::create_dir_all(home.root.join("new.sparsebundle/bands")).unwrap();
    home.volume().attach().unwrap();
    assert!(!home.image().join("bands").exists());
}

#[test]
fn a_half_attached_image_is_detached_and_attached_again() {
    let home = Home::used();
    home.fake.half_attach(&home.image());
    home.volume().attach().unwrap();
    assert!(home.has_yesterdays_tree());
    assert_eq!(
        *home.fake.log.borrow(),
        ["attached", "detach", "attach", "attached"]
    );
}

#[test]
fn an_attachment_that_ends_half_way_is_repeated() {
    let home = Home::used();
    home.fake.next("attach", Trouble::Half);
    home.volume().attach().unwrap();
    assert_eq!(home.fake.count("detach"), 1);
    assert!(home.has_yesterdays_tree());
}

#[test]
fn an_image_attached_elsewhere_is_used_where_it_is() {
    let home = Home::used();
    let elsewhere = home.root.parent().unwrap().join("Volumes");
    home.fake.mount(&home.image(), &elsewhere);
    let mounted = home.volume().attach().unwrap();
    assert_eq!(mounted.path, elsewhere);
    assert_eq!(home.fake.count("attach"), 0);
}

#[test]
fn another_program_that_is_faster_is_no_failure() {
    let home = Home::used();
    home.fake.next("attach", Trouble::Overtaken(home.mount()));
    home.volume().attach().unwrap();
    assert!(home.has_yesterdays_tree());
    assert_eq!(home.fake.count("attach"), 1);
}

#[test]
fn answers_of_a_new_kind_do_not_hide_a_volume_that_is_there() {
    let home = Home::used();
    home.fake.next("attached", Trouble::Unreadable);
    home.fake.next("attach", Trouble::Unreadable);
    assert_eq!(home.volume().attach().unwrap().path, home.mount());
    assert!(home.has_yesterdays_tree());
    home.fake.next("attached", Trouble::Unreadable);
    assert_eq!(home.volume().attach().unwrap().path, home.mount());
    assert_eq!(home.fake.count("attach"), 1);
}

#[test]
fn an_unreadable_answer_without_a_volume_is_an_error() {
    let home = Home::used();
    let unreadable = ImageError::Answer {
        verb: "hdiutil attach",
        missing: "no device",
    };
    home.fake.next("attach", Trouble::Fails(unreadable));
    let error = home.volume().attach().unwrap_err();
    assert!(error.to_string().contains("no device"), "{error}");
    assert!(error.hint().contains("newer version"));
}

#[test]
fn a_damaged_image_is_kept_aside_and_made_anew() {
    let home = Home::used();
    home.fake.next("attach", damaged());
    home.fake.next("attach", damaged());
    let mounted = home.volume().attach().unwrap();
    let aside = home.root.join("damaged-1.sparsebundle");
    assert_eq!(mounted.set_aside.as_deref(), Some(&*aside));
    assert!(aside.join("contents/tree").exists(), "nothing is deleted");
    assert!(!home.has_yesterdays_tree());
}

#[test]
fn damage_that_passes_changes_nothing() {
    let home = Home::used();
    home.fake.next("attach", damaged());
    assert_eq!(home.volume().attach().unwrap().set_aside, None);
    assert!(home.has_yesterdays_tree());
}

#[test]
fn damage_again_and_again_is_an_error() {
    let home = Home::used();
    for _ in 0..3 {
        home.fake.next("attach", damaged());
    }
    let error = home.volume().attach().unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(!home.root.join("damaged-2.sparsebundle").exists());
}

fn why_foreign(home: &Home) -> &'static str {
    match home.volume().attach() {
        Err(VolumeError::Foreign { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn foreign_files_are_refused_and_not_touched() {
    let home = Home::used();
    fs::write(home.mount().join("mine"), b"precious").unwrap();
    assert_eq!(why_foreign(&home), "it is a directory with files");
    assert_eq!(fs::read(home.mount().join("mine")).unwrap(), b"precious");

    let home = Home::used();
    fs::remove_dir(home.mount()).unwrap();
    symlink("/tmp", home.mount()).unwrap();
    assert_eq!(why_foreign(&home), "it is not a directory");

    let home = Home::used();
    home.fake.foreign_mounts.borrow_mut().push(home.mount());
    assert_eq!(why_foreign(&home), "another volume is mounted there");

    let home = Home::new();
    fs::create_dir(&home.root).unwrap();
    fs::write(home.image(), b"a file").unwrap();
    assert_eq!(why_foreign(&home), "it is not a sparse image");
    assert_eq!(fs::read(home.image()).unwrap(), b"a file");

    let home = Home::new();
    symlink("/tmp", &home.root).unwrap();
    let refused = CacheVolume::new(&home.fake, &home.root).map(drop);
    assert!(matches!(refused, Err(VolumeError::Foreign { .. })));
    assert!(home.fake.log.borrow().is_empty());
}

#[test]
fn a_volume_that_ignores_case_is_refused() {
    let home = Home::used();
    fs::write(home.image().join("contents").join(MARK.to_lowercase()), b"").unwrap();
    assert_eq!(why_foreign(&home), "its file system ignores case");
}

#[test]
fn room_is_made_by_growing_a_volume_that_nobody_uses() {
    for grows_alone in [true, false] {
        let home = Home::used();
        home.fake.grows_alone.set(grows_alone);
        let before = home.fake.capacity.get();
        home.volume().make_room(1 << 30).unwrap();
        assert_eq!(home.fake.count("resize"), 0, "there was room");
        home.fake.used.set(before - (1 << 20));
        home.volume().make_room(1 << 30).unwrap();
        assert_eq!(home.fake.container.get(), before * 2);
        assert_eq!(home.fake.count("fill"), usize::from(!grows_alone));
        assert!(home.has_yesterdays_tree());
    }
}

#[test]
fn growing_waits_for_no_bundle_and_says_so() {
    let home = Home::used();
    home.volume().attach().unwrap();
    home.fake.used.set(home.fake.capacity.get());
    home.fake.is_used.set(true);
    let error = home.volume().make_room(1 << 30).unwrap_err();
    assert!(matches!(error, VolumeError::InUse { .. }), "{error}");
    assert!(home.has_yesterdays_tree());
}

#[test]
fn a_refused_resize_leaves_the_volume_attached() {
    let home = Home::used();
    home.fake.used.set(home.fake.capacity.get());
    let refused = ImageError::NoSpace("hdiutil resize");
    home.fake.next("resize", Trouble::Fails(refused));
    home.volume().make_room(1 << 30).unwrap_err();
    assert!(home.has_yesterdays_tree());
    assert!(home.fake.is_mount_point(&home.mount()).unwrap());
}

#[test]
fn growth_that_does_not_arrive_is_an_error() {
    let home = Home::used();
    home.fake.grows_alone.set(false);
    home.fake.used.set(home.fake.capacity.get());
    home.fake.next("fill", Trouble::Half);
    let error = home.volume().make_room(1 << 30).unwrap_err();
    assert!(matches!(error, VolumeError::NotGrown { .. }), "{error}");
}

#[test]
fn a_full_disk_is_told_before_anything_is_written() {
    let home = Home::used();
    home.fake.disk_free.set(1000);
    let error = home.volume().make_room(1 << 30).unwrap_err();
    assert_eq!(
        error.to_string(),
        "make room in the cache: 1073741824 bytes are needed, 1000 are free on the disk"
    );
    assert_eq!(home.fake.count("resize"), 0);
}

#[test]
fn status_and_detaching_make_nothing() {
    let home = Home::new();
    let status = home.volume().status().unwrap();
    assert!(!status.exists && status.attachment.is_none());
    home.volume().detach().unwrap();
    home.volume().compact().unwrap();
    assert!(!home.image().exists());

    home.volume().attach().unwrap();
    let status = home.volume().status().unwrap();
    assert_eq!(status.attachment.unwrap().mount, Some(home.mount()));
    assert_eq!(status.space.unwrap().total, home.fake.capacity.get());
    home.volume().compact().unwrap();
    assert_eq!(home.volume().status().unwrap().space, None);
}

#[test]
fn headroom_is_made_where_it_can_be_and_never_a_reason_to_fail() {
    let home = Home::used();
    home.fake.used.set(home.fake.capacity.get() - 10);
    home.fake.disk_free.set(1000);
    home.volume().attach_with_headroom(1 << 30).unwrap();
    assert_eq!(home.fake.count("resize"), 0, "the disk is full");
    home.fake.disk_free.set(1 << 40);
    home.fake.is_used.set(true);
    home.volume().attach_with_headroom(1 << 30).unwrap();
    assert_eq!(home.fake.count("resize"), 0, "a bundle runs");
    home.fake.is_used.set(false);
    home.volume().attach_with_headroom(1 << 30).unwrap();
    assert_eq!(home.fake.count("resize"), 1);
    assert!(home.has_yesterdays_tree());
}
