// SPDX-License-Identifier: MIT OR Apache-2.0
//! kill -9 while the first start unpacks the image: the next start is right.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use elfuse_tests::tree;
use elfuse_tests::workspace::simulator;

use crate::common::Owner;

/// Moments at which a start is killed, spread over its time.
const MOMENTS: u32 = 20;

/// Starts the bundle and kills it after `time`; tells whether it was still running.
fn kill_after(owner: &Owner, time: Duration) -> Result<bool> {
    // Both programs become the next one, so the process is the one that unpacks.
    let mut command = owner.user.command(["run", "./box", "true"])?;
    command.env("ELFUSE_SIM", simulator()?);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    std::thread::sleep(time);
    child.kill()?;
    Ok(child.wait()?.code().is_none())
}

#[test]
fn unpacking_killed_at_any_moment_is_right_the_next_time() -> Result<()> {
    let owner = Owner::of_debian()?;
    let begun = Instant::now();
    owner.prints(&["true"])?;
    let time = begun.elapsed();
    let whole = tree::describe(&owner.unpacked()?.join("tree"))?;
    let images = owner.user.path("home/.cache/elfuse/images");
    let (mut killed, mut was_unfinished) = (0, 0);
    for moment in 0..MOMENTS {
        // Every fourth time the cache is what the kills before made of it.
        if moment % 4 != 3 && images.exists() {
            fs::remove_dir_all(&images)?;
        }
        // What the clock says within a slice is chance enough.
        let chance = begun.elapsed().subsec_nanos() % 1000;
        let slice = time / MOMENTS;
        let after = slice * moment + slice * chance / 1000;
        killed += u32::from(kill_after(&owner, after)?);
        // What has its final name is whole, whatever the moment.
        match owner.unpacked() {
            Ok(image) if image.join("complete").exists() => {
                let there = tree::describe(&image.join("tree"))?;
                ensure!(there == whole, "killed after {after:?}: another tree");
            }
            _ => was_unfinished += 1,
        }
    }
    ensure!(killed >= 10, "only {killed} starts were killed in {time:?}");
    ensure!(
        was_unfinished >= 3,
        "only {was_unfinished} were killed while they unpacked"
    );
    let text = owner.prints(&["bash", "-c", "echo $((6 * 7)); ls /usr/share/odd | wc -l"])?;
    ensure!(text.starts_with("42\n"), "{text}");
    ensure!(
        tree::describe(&owner.unpacked()?.join("tree"))? == whole,
        "another tree"
    );
    // What the killed starts had begun is gone.
    let left = fs::read_dir(&images)?.count();
    ensure!(left == 1, "{left} directories beside the image");
    Ok(())
}
