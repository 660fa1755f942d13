// SPDX-License-Identifier: MIT OR Apache-2.0
//! The overlay must look like one plain file system: the same operations run on
//! an overlay and on a tmpfs with the same content, and must answer the same.

use std::sync::Arc;

use linux_abi::fcntl::OpenFlags;
use proptest::prelude::*;

use super::OverlayFs;
use crate::vfs::testing::{World, tmpfs};
use crate::vfs::{FileSystem, RenameFlags};

fn populate(world: &World) {
    for dir in ["/d", "/d/sub", "/e", "/e/sub", "/empty"] {
        world.mkdir(dir).unwrap();
    }
    for file in ["/f", "/d/f", "/d/sub/f", "/e/f", "/e/sub/g"] {
        world.write(file, file.as_bytes()).unwrap();
    }
    world.link("/f", "/hard").unwrap();
    world.link("/f", "/d/hard").unwrap();
    world.symlink("d/sub", "/ln").unwrap();
}

/// A plain tmpfs and an overlay that start with the same tree.
fn twins() -> (World, World) {
    let (plain, lower) = (tmpfs(1), tmpfs(2));
    populate(&World::new(lower.clone()));
    let plain = World::new(plain);
    populate(&plain);
    let lower: Arc<dyn FileSystem> = lower;
    let overlay = OverlayFs::new(4, tmpfs(3), &lower).unwrap();
    (plain, World::new(overlay))
}

const PATHS: &[&str] = &[
    "/d", "/d/sub", "/e", "/e/sub", "/empty", "/f", "/d/f", "/d/sub/f", "/e/f", "/e/sub/g",
    "/hard", "/d/hard", "/ln", "/new", "/d/new", "/new/sub", "/d/sub/x", "/e/sub/x", "/ln/f",
    "/empty/x", "/new/f",
];

#[derive(Clone, Debug)]
enum Op {
    Mkdir(usize),
    Write(usize, u8),
    Append(usize),
    Unlink(usize),
    Rmdir(usize),
    Link(usize, usize),
    Symlink(usize),
    Rename(usize, usize),
    Exchange(usize, usize),
    Rewrite(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let path = 0..PATHS.len();
    prop_oneof![
        path.clone().prop_map(Op::Mkdir),
        (path.clone(), any::<u8>()).prop_map(|(p, b)| Op::Write(p, b)),
        path.clone().prop_map(Op::Append),
        path.clone().prop_map(Op::Unlink),
        path.clone().prop_map(Op::Rmdir),
        (path.clone(), path.clone()).prop_map(|(a, b)| Op::Link(a, b)),
        path.clone().prop_map(Op::Symlink),
        (path.clone(), path.clone()).prop_map(|(a, b)| Op::Rename(a, b)),
        (path.clone(), path.clone()).prop_map(|(a, b)| Op::Exchange(a, b)),
        path.prop_map(Op::Rewrite),
    ]
}

fn run(world: &World, op: &Op) -> Result<(), linux_abi::Errno> {
    let p = |i: &usize| PATHS[*i];
    match op {
        Op::Mkdir(a) => world.mkdir(p(a)),
        Op::Write(a, byte) => world.write(p(a), &[*byte; 3]),
        Op::Append(a) => world.append(p(a), b"+"),
        Op::Unlink(a) => world.unlink(p(a)),
        Op::Rmdir(a) => world.rmdir(p(a)),
        Op::Link(a, b) => world.link(p(a), p(b)),
        Op::Symlink(a) => world.symlink("e", p(a)),
        Op::Rename(a, b) => world.rename(p(a), p(b), RenameFlags::empty()),
        Op::Exchange(a, b) => world.rename(p(a), p(b), RenameFlags::EXCHANGE),
        Op::Rewrite(a) => world
            .open(p(a), OpenFlags::RDWR | OpenFlags::TRUNC)
            .map(drop),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn overlay_and_plain_file_system_answer_the_same(ops in prop::collection::vec(op(), 1..40)) {
        let (plain, overlay) = twins();
        for op in &ops {
            prop_assert_eq!(run(&plain, op), run(&overlay, op), "{:?}", op);
        }
        prop_assert_eq!(plain.dump(), overlay.dump());
    }
}

#[test]
fn inode_number_survives_copy_up() {
    let (_, world) = twins();
    let before = world.attr("/d/f").unwrap();
    world.append("/d/f", b"more").unwrap();
    let after = world.attr("/d/f").unwrap();
    assert_eq!((before.ino, before.dev), (after.ino, after.dev));
    assert_eq!(world.read("/d/f").unwrap(), b"/d/fmore");
}

#[test]
fn hard_links_of_the_lower_layer_stay_one_file() {
    let (_, world) = twins();
    world.append("/hard", b"!").unwrap();
    assert_eq!(world.read("/f").unwrap(), b"/f!");
    assert_eq!(world.read("/d/hard").unwrap(), b"/f!");
    assert_eq!(world.attr("/f").unwrap().nlink, 3);
}

#[test]
fn writing_an_open_file_after_unlink_does_not_bring_the_name_back() {
    let (_, world) = twins();
    let open = world.open("/e/f", OpenFlags::RDWR).unwrap();
    world.unlink("/e/f").unwrap();
    let caller = crate::file::Caller::kernel(&world.cred);
    let mut src = crate::file::SliceSource(b"xx");
    open.file()
        .try_write(&caller, &mut src, &mut 0, crate::file::IoFlags::empty())
        .unwrap();
    assert_eq!(world.read_open(&open), b"xx/f");
    assert_eq!(open.location().inode().attr().unwrap().nlink, 0);
    assert_eq!(world.attr("/e/f"), Err(linux_abi::Errno::ENOENT));
}

#[test]
fn lower_layer_is_never_written() {
    let lower_fs = tmpfs(2);
    let lower_world = World::new(lower_fs.clone());
    populate(&lower_world);
    let before = lower_world.dump();
    let lower: Arc<dyn FileSystem> = lower_fs;
    let world = World::new(OverlayFs::new(4, tmpfs(3), &lower).unwrap());
    world.append("/f", b"x").unwrap();
    world.rename("/d", "/moved", RenameFlags::empty()).unwrap();
    world.unlink("/moved/sub/f").unwrap();
    assert_eq!(world.list("/moved").unwrap(), ["f", "hard", "sub"]);
    assert_eq!(lower_world.dump(), before);
}
