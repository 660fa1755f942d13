// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host directories: nothing outside is reached, whatever links say.

use std::os::unix::fs::symlink;
use std::path::Path;

use elfuse_machine::host::open_root;
use linux_abi::Errno;
use linux_abi::fcntl::{OpenFlags, Resolve};

use super::{HostFs, HostMode};
use crate::fs::overlay::OverlayFs;
use crate::vfs::testing::{World, ticking, tmpfs};
use crate::vfs::{FileSystem, RenameFlags, WalkFlags, XattrSet};

fn mount(path: &Path, mode: HostMode) -> std::sync::Arc<dyn FileSystem> {
    HostFs::new(7, open_root(path).unwrap(), mode, ticking(), None).unwrap()
}

#[test]
fn absolute_links_and_dots_stay_in_the_guest() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(temp.path().join("secret"), "outside").unwrap();
    std::fs::write(root.join("etc/passwd"), "inside").unwrap();
    symlink("/etc/passwd", root.join("abs")).unwrap();
    symlink("../secret", root.join("up")).unwrap();
    symlink("../../../../../etc/passwd", root.join("far")).unwrap();
    let world = World::new(mount(&root, HostMode::Immutable));
    assert_eq!(world.read("/abs").unwrap(), b"inside");
    assert_eq!(world.read("/far").unwrap(), b"inside");
    assert_eq!(world.read("/up"), Err(Errno::ENOENT));
    assert_eq!(world.read("/../secret"), Err(Errno::ENOENT));
    let beneath = world.resolve("abs", WalkFlags::FOLLOW, Resolve::BENEATH);
    assert_eq!(beneath.err(), Some(Errno::EXDEV));
}

#[test]
fn live_directory_shows_what_the_user_does_and_writes_through() {
    let temp = tempfile::tempdir().unwrap();
    let world = World::new(mount(temp.path(), HostMode::Live));
    world.mkdir("/d").unwrap();
    world.write("/d/f", b"guest").unwrap();
    assert_eq!(std::fs::read(temp.path().join("d/f")).unwrap(), b"guest");
    std::fs::rename(temp.path().join("d/f"), temp.path().join("d/g")).unwrap();
    assert_eq!(world.list("/d").unwrap(), ["g"]);
    assert_eq!(world.attr("/d/f"), Err(Errno::ENOENT));
    world.rename("/d/g", "/h", RenameFlags::empty()).unwrap();
    world.append("/h", b"!").unwrap();
    assert_eq!(std::fs::read(temp.path().join("h")).unwrap(), b"guest!");
}

#[test]
fn open_file_outlives_its_name_on_the_host() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("f"), "still here").unwrap();
    let world = World::new(mount(temp.path(), HostMode::Live));
    let open = world.open("/f", OpenFlags::empty()).unwrap();
    assert_eq!(world.read_open(&open), b"still here");
    world.unlink("/f").unwrap();
    assert_eq!(world.read_open(&open), b"still here");
}

#[test]
fn many_directories_and_files_are_kept_open_up_to_a_bound() {
    use std::os::unix::fs::MetadataExt;
    let many = 3 * super::KEPT_OPEN;
    let temp = tempfile::tempdir().unwrap();
    for n in 0..many {
        std::fs::create_dir(temp.path().join(n.to_string())).unwrap();
        std::fs::write(temp.path().join(format!("{n}/f")), n.to_string()).unwrap();
    }
    let dev = temp.path().metadata().unwrap().dev();
    let numbers: std::collections::HashSet<u64> = (0..many)
        .flat_map(|n| [n.to_string(), format!("{n}/f")])
        .map(|path| temp.path().join(path).metadata().unwrap().ino())
        .collect();
    for mode in [HostMode::Immutable, HostMode::Live] {
        let world = World::new(mount(temp.path(), mode));
        for n in (0..many).chain(0..many) {
            let read = world.read(&format!("/{n}/f")).unwrap();
            assert_eq!(read, n.to_string().as_bytes());
        }
        let open = std::fs::read_dir("/dev/fd").unwrap().filter(|entry| {
            let file = std::fs::metadata(entry.as_ref().unwrap().path());
            file.is_ok_and(|file| file.dev() == dev && numbers.contains(&file.ino()))
        });
        // Each that is kept holds one; an entry stays while its descriptor may be used.
        let open = open.count();
        assert!(open > 0 && open <= super::KEPT_OPEN, "{mode:?}: {open}");
    }
}

#[test]
fn overlay_keeps_the_host_directory_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("d")).unwrap();
    std::fs::write(temp.path().join("d/f"), "lower").unwrap();
    let lower = mount(temp.path(), HostMode::Immutable);
    let world = World::new(OverlayFs::new(4, tmpfs(3), &lower).unwrap());
    world.append("/d/f", b" and upper").unwrap();
    world.rename("/d", "/e", RenameFlags::empty()).unwrap();
    assert_eq!(world.read("/e/f").unwrap(), b"lower and upper");
    world.unlink("/e/f").unwrap();
    assert_eq!(world.list("/e").unwrap(), Vec::<String>::new());
    assert_eq!(std::fs::read(temp.path().join("d/f")).unwrap(), b"lower");
}

/// In an image its own attributes count, in the user's directories the host's are hidden.
#[test]
fn attributes_of_an_image_are_seen_and_follow_a_copied_file() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("f");
    std::fs::write(&file, "lower").unwrap();
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&file, name, value, rustix::fs::XattrFlags::empty())
    };
    set("user.note", b"kept").unwrap();

    let lower = mount(temp.path(), HostMode::Immutable);
    let plain = World::new(lower.clone());
    let at = plain.at("/f").unwrap();
    let xattrs = at.inode().as_xattrs().unwrap();
    assert_eq!(xattrs.list().unwrap(), [b"user.note"]);
    assert_eq!(xattrs.get(b"user.note").unwrap(), b"kept");
    assert_eq!(xattrs.get(b"user.other"), Err(Errno::ENODATA));
    assert_eq!(xattrs.set(b"user.x", b"", XattrSet::Any), Err(Errno::EROFS));

    let world = World::new(OverlayFs::new(4, tmpfs(3), &lower).unwrap());
    world.append("/f", b" and upper").unwrap();
    let at = world.at("/f").unwrap();
    let xattrs = at.inode().as_xattrs().unwrap();
    assert_eq!(xattrs.get(b"user.note").unwrap(), b"kept");
    xattrs.remove(b"user.note").unwrap();
    assert_eq!(xattrs.get(b"user.note"), Err(Errno::ENODATA));

    let live = World::new(mount(temp.path(), HostMode::Live));
    assert!(live.at("/f").unwrap().inode().as_xattrs().is_none());
}
